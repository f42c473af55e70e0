// `make bench-database`: a real PostgreSQL beside the real API server. At 5 tasks a second: from the create's answer to the Secret, and from
// the answer to `spec.end` until PostgreSQL lets nobody in as the role and has cut the session that stood open. Then a ledger of many rows:
// what a start, the memory and a sweep cost. `--count N`, `--rows N,M`, `--write` to keep the table in docs/reference/benchmark-postgresql.md.

import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { handleOf, handlePrefix } from '../../src/core/lease.ts'
import { asUid } from '../../src/core/names.ts'
import { acquireCluster } from '../cluster/shared.ts'
import { createDatabase, type Database } from '../e2e/support/database.ts'
import { createScenario, type Scenario } from '../e2e/support/scenario.ts'
import { eventually } from '../support/cluster.ts'
import { type RunningOperator, startOperator } from '../support/operator.ts'
import { createDriver, type Driver, drive, type Spread, spread } from './driver.ts'

const root = resolve(import.meta.dirname, '../..')
const api = '/apis/taskbound.dev/v1alpha1'
const ledger = `${api}/namespaces/taskbound-system/credentialleases`
const rate = 5

const options = parseArgs({
  options: {
    count: { type: 'string', default: '150' },
    rows: { type: 'string', default: '10000,50000' },
    write: { type: 'boolean', default: false },
  },
}).values

interface Lives {
  readonly secret: Spread
  readonly refused: Spread
  readonly cut: Spread
  readonly writes: number
}

/** Tasks at a rate, each with a session that stays open; then their ends at the same rate. */
async function lives(driver: Driver, scenario: Scenario, database: Database, operator: RunningOperator, count: number): Promise<Lives> {
  const seen = await driver.watch(scenario.namespace)
  const tasks = `${api}/namespaces/${scenario.namespace}/agenttasks`
  const name = (i: number): string => `taskbound-b${i}`
  const [created, ended, refused, cut] = [
    new Map<string, number>(),
    new Map<string, number>(),
    new Map<string, number>(),
    new Map<string, number>(),
  ]
  const before = await writes(operator)
  await drive(count, { rate }, async (i) => {
    await driver.call('POST', tasks, {
      apiVersion: 'taskbound.dev/v1alpha1',
      kind: 'AgentTask',
      metadata: { name: `b${i}` },
      spec: {
        agentRef: { name: 'clerk' },
        action: 'test.run',
        credentials: [{ name: 'db', providerRef: { kind: 'ClusterCredentialProvider', name: database.name }, scopes: ['app_read'] }],
      },
    })
    created.set(name(i), performance.now())
  })
  await Promise.all([...Array(count).keys()].map((i) => seen.wait('made', name(i))))
  const roles = new Map<string, string>()
  for (let i = 0; i < count; i += 1) {
    const given = await database.active(`b${i}`)
    roles.set(given.username, name(i))
    const session = await database.server.login(given.username, given.password)
    session.once('end', () => cut.set(name(i), performance.now()))
  }
  // one connection that asks as often as it can who may log in
  const looker = await database.server.login(database.server.superuser.username, database.server.superuser.password)
  let looking = true
  const looks = (async () => {
    const open = new Set(roles.keys())
    while (looking) {
      const { rows } = await looker.query(`select rolname from pg_roles where rolname ~ '^tb[a-z2-7]{36}$' and rolcanlogin`)
      const at = performance.now()
      const alive = new Set(rows.map((row) => String(row['rolname'])))
      for (const role of open) {
        if (alive.has(role)) continue
        open.delete(role)
        refused.set(roles.get(role) ?? '', at)
      }
      await new Promise((done) => setTimeout(done, 2))
    }
  })()
  await drive(count, { rate }, async (i) => {
    await driver.call('PATCH', `${tasks}/b${i}`, { spec: { end: 'Completed' } }, { type: 'application/merge-patch+json' })
    ended.set(name(i), performance.now())
  })
  await eventually(
    () => {
      if (cut.size < count || refused.size < count) throw new Error(`${cut.size} cut, ${refused.size} refused of ${count}`)
    },
    { timeoutMs: 30_000 },
  )
  looking = false
  await looks
  await looker.end()
  await new Promise((done) => setTimeout(done, 1000))
  const after = await writes(operator)
  seen.stop()
  return { secret: spread(created, seen.made), refused: spread(ended, refused), cut: spread(ended, cut), writes: (after - before) / count }
}

const metric = async (operator: RunningOperator): Promise<string> => (await fetch(`${operator.metrics}/metrics`)).text()

async function writes(operator: RunningOperator): Promise<number> {
  let sum = 0
  for (const [, verb, resource, n] of (await metric(operator)).matchAll(
    /^taskbound_api_requests_total\{verb="(\w+)",resource="([^"]+)",code="\d+"\} (\d+)$/gm,
  ))
    if (verb !== 'GET' && /agenttasks|secrets|credentialleases/.test(resource ?? '')) sum += Number(n)
  return sum
}

const value = (text: string, name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])

/** Milliseconds from the start of a process to its lead, its memory, and what CPU it takes to look at all rows. */
async function start(
  kubeconfig: string,
): Promise<{ readonly active: number; readonly rssMb: number; readonly cpu: number; readonly operator: RunningOperator }> {
  const began = performance.now()
  const operator = await startOperator({ kubeconfig, env: { NODE_OPTIONS: '--max-semi-space-size=4' } })
  await operator.active()
  const active = performance.now() - began
  await new Promise((done) => setTimeout(done, 5000))
  const text = await metric(operator)
  return { active, rssMb: value(text, 'process_resident_memory_bytes') / 1e6, cpu: value(text, 'process_cpu_seconds_total'), operator }
}

/** Closed rows of yesterday's tasks, as the operator itself writes them. */
async function fill(driver: Driver, clusterUid: string, provider: string, from: number, to: number): Promise<void> {
  const prefix = handlePrefix(clusterUid, 'taskbound-system')
  const as = 'system:serviceaccount:taskbound-system:taskbound'
  const at = new Date(Math.floor(Date.now() / 1000) * 1000).toISOString().replace('.000Z', 'Z')
  await drive(to - from, { inFlight: 32 }, async (nth) => {
    const i = from + nth
    const handle = handleOf(prefix, asUid(`bench-${i}`), 'db', 1)
    const made = await driver.call(
      'POST',
      ledger,
      {
        apiVersion: 'taskbound.dev/v1alpha1',
        kind: 'CredentialLease',
        metadata: { name: handle },
        spec: {
          handle,
          installation: prefix,
          task: { namespace: 'bench', name: `t${i}`, uid: `bench-${i}` },
          agent: 'clerk',
          action: 'test.run',
          credential: 'db',
          attempt: 1,
          provider: { kind: 'ClusterCredentialProvider', name: provider, uid: 'bench', type: 'postgres' },
          effectBy: at,
        },
      },
      { as },
    )
    await driver.call(
      'PATCH',
      `${ledger}/${handle}/status`,
      { metadata: { resourceVersion: made.metadata.resourceVersion }, status: { state: 'Revoked', revocationTime: at, closeTime: at } },
      { type: 'application/merge-patch+json', as },
    )
  })
}

const ms = ({ p50, p99, max }: Spread): string => `${p50.toFixed(1)} / ${p99.toFixed(1)} / ${max.toFixed(1)}`

async function main(): Promise<void> {
  const cluster = await acquireCluster()
  process.env['KUBECONFIG'] = cluster.kubeconfig
  const access = { kubeconfig: cluster.kubeconfig, kubectl: cluster.kubectl }
  const scenario = await createScenario('benchdb', access)
  const database = await createDatabase(scenario)
  const driver = createDriver(scenario.kube.endpoint)
  try {
    const first = await start(cluster.kubeconfig)
    const found = await lives(driver, scenario, database, first.operator, Number(options.count))
    await first.operator.stop()
    const empty = await start(cluster.kubeconfig)
    await empty.operator.stop()
    const { metadata } = await driver.call('GET', '/api/v1/namespaces/kube-system')
    const full: string[] = []
    let filled = 0
    for (const rows of options.rows.split(',').map(Number)) {
      await fill(driver, metadata.uid, database.name, filled, rows)
      filled = rows
      const { operator, active, cpu, rssMb } = await start(cluster.kubeconfig)
      await operator.stop()
      full.push(`| ${rows} rows more | ${active.toFixed(0)} | ${cpu.toFixed(2)} | ${rssMb.toFixed(0)} |`)
    }
    const lines = [
      '| what | p50 / p99 / max, ms |',
      '| --- | --- |',
      `| create to Secret, ${rate} a second, ${options.count} tasks | ${ms(found.secret)} |`,
      `| end to login refused | ${ms(found.refused)} |`,
      `| end to session cut | ${ms(found.cut)} |`,
      '',
      `API writes of a life, with its row: ${found.writes.toFixed(2)}.`,
      '',
      '| a start with | until it leads, ms | CPU of the first seconds, s | memory, MB |',
      '| --- | --- | --- | --- |',
      `| ${options.count} rows | ${empty.active.toFixed(0)} | ${empty.cpu.toFixed(2)} | ${empty.rssMb.toFixed(0)} |`,
      ...full,
    ]
    console.log(lines.join('\n'))
    if (options.write) {
      const about = `<!-- Written by \`make bench-database\` (test/bench/database.ts --write); do not edit. -->
# Benchmark with PostgreSQL

Measured by \`node test/bench/database.ts --write\` on ${cpus().length} cores (${cpus()[0]?.model.trim() ?? ''}), shared by the API server, etcd without
fsync, PostgreSQL ${database.server.version} without fsync and with every statement logged, the operator and what measures. Node ${process.versions.node},
${execFileSync('uname', ['-sr'], { encoding: 'utf8' }).trim()}. The clock starts at the API server's answer. "Refused": PostgreSQL's catalog lets nobody log in as the
role, read every 2 ms. "Cut": a session that stood open was ended. The memory and CPU are those of five seconds after the start.

`
      await writeFile(resolve(root, 'docs/reference/benchmark-postgresql.md'), `${about}${lines.join('\n')}\n`)
    }
  } finally {
    driver.close()
    await database.close()
    await scenario.close()
    await cluster.release()
  }
}

await main()
