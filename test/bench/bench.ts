// `make bench`: Taskbound beside a bare client that makes the same writes under the same admission policies with no controller at all, on
// one control plane in one run, one after the other. `--quick` for a short look, `--runs N` (default 3; medians are shown), `--write` to
// keep the table in docs/reference/benchmark.md. etcd runs without fsync, so nothing here speaks of durability.

import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { acquireCluster } from '../cluster/shared.ts'
import { connect } from '../support/cluster.ts'
import { type RunningOperator, startOperator } from '../support/operator.ts'
import { createDriver, type Driver, drive, median, perSecond, spread, until } from './driver.ts'

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false }, runs: { type: 'string' } },
})
const runs = Number(options.runs ?? (options.quick ? 1 : 3))
const root = resolve(import.meta.dirname, '../..')
const operatorUser = 'system:serviceaccount:taskbound-system:taskbound'
const api = '/apis/taskbound.dev/v1alpha1'
const merge = 'application/merge-patch+json'

interface Workload {
  readonly name: string
  readonly count: number
  readonly load: { readonly rate: number } | { readonly inFlight: number }
}
const scale = options.quick ? 0.2 : 1
const workloads: readonly Workload[] = [
  { name: 'one at a time', count: Math.round(200 * scale), load: { inFlight: 1 } },
  { name: '20 a second', count: Math.round(600 * scale), load: { rate: 20 } },
  { name: 'a burst, 16 in flight', count: Math.round(1000 * scale), load: { inFlight: 16 } },
]

interface Figures {
  readonly secretP50: number
  readonly secretP99: number
  readonly secretsPerSecond: number
  readonly goneP50: number
  readonly goneP99: number
  readonly gonePerSecond: number
}

let serial = 0

async function prepare(driver: Driver): Promise<string> {
  serial += 1
  const namespace = `bench-${serial}`
  await driver.call('POST', '/api/v1/namespaces', { metadata: { name: namespace, labels: { bench: 'yes' } } })
  await driver.call('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'agent' } })
  const agent = {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'Agent',
    metadata: { name: 'agent' },
    spec: { serviceAccountName: 'agent', owner: 'bench' },
  }
  await driver.call('POST', `${api}/namespaces/${namespace}/agents`, agent)
  return namespace
}

const taskObject = (name: string): object => ({
  apiVersion: 'taskbound.dev/v1alpha1',
  kind: 'AgentTask',
  metadata: { name },
  spec: {
    agentRef: { name: 'agent' },
    action: 'bench.run',
    credentials: [
      {
        name: 'api',
        providerRef: { kind: 'ClusterCredentialProvider', name: 'bench' },
        audience: 'https://bench.example',
        scopes: ['run'],
      },
    ],
  },
})

/** Creates, waits for each Secret, ends each task, waits for each Secret to go. */
async function measure(driver: Driver, { count, load }: Workload, side: Side): Promise<Figures> {
  const namespace = await prepare(driver)
  const seen = await driver.watch(namespace)
  const tasks = `${api}/namespaces/${namespace}/agenttasks`
  const [acknowledged, ended] = [new Map<string, number>(), new Map<string, number>()]
  const began = performance.now()
  await drive(count, load, async (i) => {
    const { metadata } = await driver.call('POST', tasks, taskObject(`t${i}`))
    acknowledged.set(`taskbound-t${i}`, performance.now())
    await side.created?.(driver, namespace, metadata)
  })
  await until(() => seen.made.size >= count, 120_000)
  await side.settled?.(count)
  const ending = performance.now()
  await drive(count, load, async (i) => {
    await driver.call('PATCH', `${tasks}/t${i}`, { spec: { end: 'Completed' } }, { type: merge })
    ended.set(`taskbound-t${i}`, performance.now())
    await side.ended?.(driver, namespace, `t${i}`)
  })
  await until(() => seen.gone.size >= count, 120_000)
  await side.settled?.(count)
  seen.stop()
  const [secret, gone] = [spread(acknowledged, seen.made), spread(ended, seen.gone)]
  return {
    secretP50: secret.p50,
    secretP99: secret.p99,
    secretsPerSecond: perSecond(seen.made, began),
    goneP50: gone.p50,
    goneP99: gone.p99,
    gonePerSecond: perSecond(seen.gone, ending),
  }
}

/** What a contestant does itself after the driver's own call; Taskbound does nothing here, its operator watches. */
interface Side {
  created?(
    driver: Driver,
    namespace: string,
    task: { readonly name: string; readonly uid: string; readonly resourceVersion: string },
  ): Promise<void>
  ended?(driver: Driver, namespace: string, task: string): Promise<void>
  settled?(count: number): Promise<void>
}

/** The same five writes as the operator's, of the same size, as the same user, and so under the same admission policies. */
const floor: Side = {
  async created(driver, namespace, task) {
    const status = `${api}/namespaces/${namespace}/agenttasks/${task.name}/status`
    const as = { as: operatorUser }
    const record = {
      status: {
        attempt: 1,
        startTime: '2026-01-01T00:00:00Z',
        requestDigest: 'x'.repeat(71),
        bound: { agentUID: task.uid, serviceAccountUID: task.uid },
      },
    }
    await driver.call('PATCH', status, record, { type: merge, ...as })
    const secret = {
      metadata: {
        name: `taskbound-${task.name}`,
        labels: { 'taskbound.dev/task-uid': task.uid },
        annotations: { 'taskbound.dev/attempt': '1' },
        ownerReferences: [{ apiVersion: 'taskbound.dev/v1alpha1', kind: 'AgentTask', name: task.name, uid: task.uid, controller: true }],
      },
      type: 'Opaque',
      data: { api: Buffer.alloc(900, 'x').toString('base64') },
    }
    await driver.call('POST', `/api/v1/namespaces/${namespace}/secrets`, secret, as)
    await driver.call('PATCH', status, conditions('Active'), { type: merge, ...as })
  },
  async ended(driver, namespace, task) {
    const as = { as: operatorUser }
    await driver.call('DELETE', `/api/v1/namespaces/${namespace}/secrets/taskbound-${task}`, { propagationPolicy: 'Background' }, as)
    await driver.call('PATCH', `${api}/namespaces/${namespace}/agenttasks/${task}/status`, conditions('Completed'), { type: merge, ...as })
  },
}

const conditions = (reason: string): object => ({
  status: {
    conditions: ['Ready', 'Authorized', 'Issued', 'Revoked', 'Complete', 'Failed'].map((type) => ({
      type,
      status: 'True',
      reason,
      message: 'x'.repeat(60),
      lastTransitionTime: '2026-01-01T00:00:00Z',
      observedGeneration: 1,
    })),
  },
})

interface Costs {
  readonly cpuSeconds: number
  readonly rssMb: number
  readonly writes: number
  readonly reads: number
}

async function costs(operator: RunningOperator): Promise<Costs> {
  const stat = readFileSync(`/proc/${operator.process.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${operator.process.pid}/status`, 'utf8'))?.[1])
  const text = await (await fetch(`${operator.metrics}/metrics`)).text()
  let [writes, reads] = [0, 0]
  for (const [, verb = '', resource = '', n] of text.matchAll(
    /^taskbound_api_requests_total\{verb="(\w+)",resource="([^"]+)",code="\d+"\} (\d+)$/gm,
  )) {
    if (!['agenttasks/status', 'secrets', 'agenttasks'].includes(resource)) continue
    if (verb === 'GET') reads += Number(n)
    else writes += Number(n)
  }
  return { cpuSeconds: (Number(stat[11]) + Number(stat[12])) / 100, rssMb: rss / 1024, writes, reads }
}

/** Waits until the operator has nothing left to write about the tasks of a workload. */
function quiet(operator: RunningOperator): Side {
  return {
    async settled() {
      let last = -1
      for (;;) {
        const { writes } = await costs(operator)
        if (writes === last) return
        last = writes
        await new Promise((resolve) => setTimeout(resolve, 500))
      }
    },
  }
}

async function main(): Promise<void> {
  const cluster = await acquireCluster()
  const kube = connect({ kubeconfig: cluster.kubeconfig, kubectl: cluster.kubectl })
  const driver = createDriver(kube.endpoint)
  try {
    await kube.kubectl(['apply', '-f', resolve(root, 'test/support/rbac.yaml')])
    const provider = {
      type: 'jwt',
      namespaces: { matchLabels: { bench: 'yes' } },
      jwt: { profile: 'AccessToken', audiences: ['https://bench.example'], scopes: ['run'] },
    }
    const object = (kind: string, spec: object) => ({ apiVersion: 'taskbound.dev/v1alpha1', kind, metadata: { name: 'bench' }, spec })
    await driver.call('POST', `${api}/clustercredentialproviders`, object('ClusterCredentialProvider', provider))
    const cedar = Array.from({ length: 100 }, (_, i) =>
      i === 0
        ? '@id("bench") permit (principal, action, resource == Taskbound::ClusterProvider::"bench");'
        : `@id("other-${i}") permit (principal, action, resource == Taskbound::ClusterProvider::"other-${i}");`,
    ).join('\n')
    await driver.call('POST', `${api}/clusteragentpolicies`, object('ClusterAgentPolicy', { cedar }))

    const results = new Map<string, { readonly floor: Figures[]; readonly taskbound: Figures[] }>(
      workloads.map(({ name }) => [name, { floor: [], taskbound: [] }]),
    )
    const spentAll: { readonly cpuPer1000: number; readonly rssMb: number; readonly writes: number; readonly reads: number }[] = []
    for (let run = 1; run <= runs; run += 1) {
      for (const workload of workloads) {
        console.error(`run ${run} of ${runs}: ${workload.name}, floor`)
        results.get(workload.name)?.floor.push(await measure(driver, workload, floor))
      }
      const operator = await startOperator({ kubeconfig: cluster.kubeconfig })
      try {
        await operator.active()
        await measure(driver, { name: 'warm-up', count: 50, load: { inFlight: 4 } }, quiet(operator))
        const before = await costs(operator)
        for (const workload of workloads) {
          console.error(`run ${run} of ${runs}: ${workload.name}, taskbound`)
          results.get(workload.name)?.taskbound.push(await measure(driver, workload, quiet(operator)))
        }
        const after = await costs(operator)
        const tasks = workloads.reduce((sum, { count }) => sum + count, 0)
        spentAll.push({
          cpuPer1000: ((after.cpuSeconds - before.cpuSeconds) * 1000) / tasks,
          rssMb: after.rssMb,
          writes: (after.writes - before.writes) / tasks,
          reads: (after.reads - before.reads) / tasks,
        })
      } finally {
        await operator.stop()
      }
    }
    const text = render(results, spentAll)
    console.log(text)
    if (options.write) await writeFile(resolve(root, 'docs/reference/benchmark.md'), text)
  } finally {
    driver.close()
    await kube.close()
    await cluster.release()
  }
}

function render(
  results: ReadonlyMap<string, { readonly floor: readonly Figures[]; readonly taskbound: readonly Figures[] }>,
  spent: readonly { readonly cpuPer1000: number; readonly rssMb: number; readonly writes: number; readonly reads: number }[],
): string {
  const of = (figures: readonly Figures[], key: keyof Figures): number => median(figures.map((f) => f[key]))
  const round = (n: number): string => (n >= 100 ? n.toFixed(0) : n.toFixed(1))
  const rows = [...results].flatMap(([name, { floor: bare, taskbound }]) => {
    const row = (who: string, figures: readonly Figures[]): string =>
      `| ${name} | ${who} | ${round(of(figures, 'secretP50'))} / ${round(of(figures, 'secretP99'))} | ${round(of(figures, 'secretsPerSecond'))} | ${round(of(figures, 'goneP50'))} / ${round(of(figures, 'goneP99'))} | ${round(of(figures, 'gonePerSecond'))} |`
    const ratio = (key: keyof Figures): string => (of(taskbound, key) / of(bare, key)).toFixed(2)
    return [
      row('bare client', bare),
      row('Taskbound', taskbound),
      `| ${name} | ratio | ${ratio('secretP50')} / ${ratio('secretP99')} | ${ratio('secretsPerSecond')} | ${ratio('goneP50')} / ${ratio('goneP99')} | ${ratio('gonePerSecond')} |`,
    ]
  })
  const middle = (key: 'cpuPer1000' | 'rssMb' | 'writes' | 'reads'): number => median(spent.map((s) => s[key]))
  return `<!-- Written by \`make bench\` with --write; do not edit. -->
# Benchmark

\`node test/bench/bench.ts${options.quick ? ' --quick' : ''} --runs ${runs} --write\`, Node ${process.version}, ${availableParallelism()} cores shared by the API server, etcd (without fsync), the
driver and the operator. Medians of ${runs} run(s) in which the contestants took turns. The bare client makes the same five writes a life as the
same user under the same admission policies, and decides, signs and watches nothing. Times in milliseconds, p50 / p99: from the answer to
the create, or to the patch that ends the task, until the driver's own watch shows the Secret, or shows it gone. 100 policies are in force.

| load | who | create to Secret | a second | end to Secret gone | a second |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}

| of the operator | |
| --- | --- |
| API writes a life | ${middle('writes').toFixed(2)} |
| API reads a life | ${middle('reads').toFixed(2)} |
| CPU seconds for 1,000 lives | ${middle('cpuPer1000').toFixed(2)} |
| resident memory at the end | ${middle('rssMb').toFixed(0)} MB |
`
}

await main()
