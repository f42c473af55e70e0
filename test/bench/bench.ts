// `make bench`: Taskbound beside a bare client and beside an operator written as examples have it, which make the same writes under the same
// admission policies, on one control plane in one run, one after the other. `--quick` for a short look, `--runs N` (default 3; medians are
// shown), `--write` to keep the table in docs/reference/benchmark.md. etcd runs without fsync, so nothing here speaks of durability.

import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureBinaries } from '../cluster/build.ts'
import { readTestEnvironment } from '../cluster/environment.ts'
import { acquireCluster } from '../cluster/shared.ts'
import { connect, eventually, run } from '../support/cluster.ts'
import { type RunningOperator, startOperator } from '../support/operator.ts'
import { api, type Costs, costs, floorOf, merge, type Sample, type Side, startNaive, watched } from './contestants.ts'
import { createDriver } from './driver.ts'
import { type Cost, type Run, render, type Who } from './report.ts'
import { type Bench, endsInBurst, type Figures, forbid, live, lives, sample, type Workload } from './workloads.ts'

const root = resolve(import.meta.dirname, '../..')
/** Young objects get as little room as the operator needs: its memory is then what it holds. */
const nodeOptions = '--max-semi-space-size=4'

interface Plan {
  readonly runs: number
  readonly workloads: readonly Workload[]
  readonly burst: number
  readonly ends: number
  readonly converged: number
}

function plan(quick: boolean, runs: number): Plan {
  const scale = quick ? 0.2 : 1
  return {
    runs,
    workloads: [
      { name: 'one at a time', count: 200 * scale, load: 'alone' },
      { name: '20 a second', count: 600 * scale, load: { rate: 20 } },
      { name: 'a burst, 16 in flight', count: 1000 * scale, load: { inFlight: 16 } },
    ],
    burst: 1000 * scale,
    ends: 50 * scale,
    converged: 1000,
  }
}

/** 100 policies, one of which permits. */
function cedarOf(name: string, ...more: readonly string[]): string {
  const permits = [name, ...Array.from({ length: 99 }, (_, i) => `${name}-other-${i}`)].map((id) => permit(id))
  return [...permits, ...more].join('\n')
}

const permit = (id: string): string => `@id("${id}") permit (principal, action, resource == Taskbound::ClusterProvider::"${id}");`
const ban = (id: string): string => `@id("${id}-ban") forbid (principal, action, resource == Taskbound::ClusterProvider::"${id}");`

async function allow({ driver, name }: Bench): Promise<void> {
  const object = (kind: string, spec: object): object => ({ apiVersion: 'taskbound.dev/v1alpha1', kind, metadata: { name }, spec })
  const provider = {
    type: 'jwt',
    namespaces: { matchLabels: { [`bench.taskbound.dev/${name}`]: 'yes' } },
    jwt: { profile: 'AccessToken', audiences: ['https://bench.example'], scopes: ['run'] },
  }
  await driver.call('POST', `${api}/clustercredentialproviders`, object('ClusterCredentialProvider', provider))
  await driver.call('POST', `${api}/clusteragentpolicies`, object('ClusterAgentPolicy', { cedar: cedarOf(name) }))
}

async function setPolicies({ driver, name }: Bench, cedar: string): Promise<void> {
  await driver.call('PATCH', `${api}/clusteragentpolicies/${name}`, { spec: { cedar } }, { type: merge })
}

type Start = (issuerPort?: number) => Promise<RunningOperator>

const starting =
  (kubeconfig: string): Start =>
  async (issuerPort) => {
    const operator = await startOperator({
      kubeconfig,
      env: { NODE_OPTIONS: nodeOptions },
      ...(issuerPort === undefined ? {} : { issuerPort }),
    })
    try {
      await operator.active()
    } catch (error) {
      await operator.stop('SIGKILL')
      throw error
    }
    return operator
  }

/** What the bare client has to write, from a life under the operator. */
async function learn(bench: Bench, start: Start): Promise<Sample> {
  const operator = await start()
  try {
    return await sample(
      bench,
      watched(() => costs(operator)),
    )
  } finally {
    await operator.stop()
  }
}

interface Raced {
  readonly lives: ReadonlyMap<string, Figures>
  readonly endsInBurst: Run['endsInBurst'][Who]
  readonly cost: Cost
}

/** One contestant's turn: every load, and what they cost it and the driver together. */
async function race(bench: Bench, { workloads, burst, ends }: Plan, side: Side, ask?: () => Promise<Costs>): Promise<Raced> {
  await lives(bench, { name: 'warm-up', count: 50, load: { inFlight: 4 } }, side)
  const [before, driver] = [await ask?.(), process.cpuUsage()]
  const figures = new Map<string, Figures>()
  for (const workload of workloads) figures.set(workload.name, await lives(bench, workload, side))
  const [after, { user, system }] = [await ask?.(), process.cpuUsage(driver)]
  const tasks = workloads.reduce((sum, { count }) => sum + count, 0)
  const each = (of: 'cpuSeconds' | 'writes' | 'reads'): number | undefined =>
    before === undefined || after === undefined ? undefined : (after[of] - before[of]) / tasks
  return {
    lives: figures,
    endsInBurst: await endsInBurst(bench, { burst, ends }, side),
    cost: {
      cpu: each('cpuSeconds'),
      driverCpu: (user + system) / 1e6 / tasks,
      rssMb: after?.rssMb,
      writes: each('writes'),
      reads: each('reads'),
    },
  }
}

async function once(bench: Bench, planned: Plan, given: Sample, kubeconfig: string, say: Say): Promise<Run> {
  const start = starting(kubeconfig)
  say('bare client')
  const floor = await race(bench, planned, floorOf(given))

  say('naive operator')
  const other = await startNaive(kubeconfig, given)
  const naive = await race(bench, planned, watched(other.costs), other.costs).finally(other.stop)

  say('Taskbound')
  let operator = await start()
  const ask = () => costs(operator)
  const side = watched(ask)
  try {
    // with no task there: its own keys, and its question whether admission stands
    await side.settled?.()
    const idle = await ask()
    const taskbound = await race(bench, planned, side, ask)

    say('Taskbound: restart')
    const place = await live(bench, planned.converged, side)
    await operator.stop()
    const began = performance.now()
    operator = await start(operator.issuerPort)
    const ms = performance.now() - began
    await side.settled?.()
    const found = await ask()

    say('Taskbound: policy changes')
    const changed = performance.now()
    await setPolicies(bench, cedarOf(bench.name, permit(`${bench.name}-more`)))
    const judged = await eventually(
      async () => {
        const now = await ask()
        if (now.passes < found.passes + planned.converged) throw new Error(`${now.passes - found.passes} tasks were judged again`)
        return { ms: performance.now() - changed, cpu: now.cpuSeconds - found.cpuSeconds }
      },
      { everyMs: 25, timeoutMs: 60_000 },
    )
    await side.settled?.()
    const unchanged = (await ask()).writes - found.writes
    const forbidden = await forbid(place, () => setPolicies(bench, cedarOf(bench.name, ban(bench.name))), side)
    await place.empty()
    await side.settled?.()
    await setPolicies(bench, cedarOf(bench.name))

    const each = <T>(of: (raced: Raced) => T): Record<Who, T> => ({
      'bare client': of(floor),
      'naive operator': of(naive),
      Taskbound: of(taskbound),
    })
    return {
      lives: new Map(planned.workloads.map(({ name }) => [name, each(({ lives: all }) => all.get(name) as Figures)])),
      endsInBurst: each((raced) => raced.endsInBurst),
      cost: each((raced) => raced.cost),
      restart: { ms, writes: found.writes - idle.writes, reads: found.reads - idle.reads, rssMb: found.rssMb },
      policy: { ...judged, writes: unchanged, forbidden },
    }
  } finally {
    await operator.stop()
  }
}

type Say = (what: string) => void

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false }, runs: { type: 'string' } },
  })
  const runs = Number(values.runs ?? (values.quick ? 1 : 3))
  if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs is a whole number, 1 or more')
  const planned = plan(values.quick, runs)
  const cluster = await acquireCluster()
  const kube = connect({ kubeconfig: cluster.kubeconfig, kubectl: cluster.kubectl })
  const bench = { driver: createDriver(kube.endpoint), name: `bench-${randomBytes(3).toString('hex')}` }
  try {
    await kube.kubectl(['apply', '-f', resolve(root, 'test/support/rbac.yaml')])
    await allow(bench)
    const given = await learn(bench, starting(cluster.kubeconfig))
    const results: Run[] = []
    for (let run = 1; run <= runs; run += 1) {
      results.push(await once(bench, planned, given, cluster.kubeconfig, (what) => console.error(`run ${run} of ${runs}: ${what}`)))
    }
    const command = `node test/bench/bench.ts${values.quick ? ' --quick' : ''} --runs ${runs} --write`
    const { gitVersion } = (await kube.must('GET', '/version')) as { gitVersion: string }
    const etcd = cluster.given ? 'its own etcd' : `etcd ${await etcdVersion()} without fsync`
    const text = render(results, { ...planned, command, controlPlane: `Kubernetes ${gitVersion}, ${etcd}`, nodeOptions })
    console.log(text)
    if (values.write) await writeFile(resolve(root, 'docs/reference/benchmark.md'), text)
  } finally {
    bench.driver.close()
    if (cluster.given) {
      const label = `bench.taskbound.dev/${bench.name}=yes`
      await kube.kubectl(['delete', '--ignore-not-found', 'clusteragentpolicy,clustercredentialprovider', bench.name])
      await kube.kubectl(['delete', '--wait=false', 'namespace', '-l', label])
    }
    await kube.close()
    await cluster.release()
  }
}

async function etcdVersion(): Promise<string> {
  const { stdout } = await run((await ensureBinaries(readTestEnvironment(process.env))).etcd, ['--version'])
  return /etcd Version: (\S+)/.exec(stdout)?.[1] ?? 'of an unknown version'
}

await main()
