// `make bench`: Taskbound beside a bare client that makes the same writes under the same admission policies with no controller at all, on
// one control plane in one run, one after the other. `--quick` for a short look, `--runs N` (default 3; medians are shown), `--write` to
// keep the table in docs/reference/benchmark.md. etcd runs without fsync, so nothing here speaks of durability.

import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { acquireCluster } from '../cluster/shared.ts'
import { connect } from '../support/cluster.ts'
import { type RunningOperator, startOperator } from '../support/operator.ts'
import { api, costs, floorOf, type Side, watched } from './contestants.ts'
import { createDriver } from './driver.ts'
import { type Run, render } from './report.ts'
import { type Bench, endsInBurst, type Figures, live, lives, sample, type Workload } from './workloads.ts'

const root = resolve(import.meta.dirname, '../..')

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
    converged: 1000 * scale,
  }
}

/** One provider and 100 policies, one of which permits. */
async function allow({ driver, name }: Bench): Promise<void> {
  const object = (kind: string, spec: object): object => ({ apiVersion: 'taskbound.dev/v1alpha1', kind, metadata: { name }, spec })
  const provider = {
    type: 'jwt',
    namespaces: { matchLabels: { [`bench.taskbound.dev/${name}`]: 'yes' } },
    jwt: { profile: 'AccessToken', audiences: ['https://bench.example'], scopes: ['run'] },
  }
  const cedar = [name, ...Array.from({ length: 99 }, (_, i) => `${name}-other-${i}`)]
    .map((id) => `@id("${id}") permit (principal, action, resource == Taskbound::ClusterProvider::"${id}");`)
    .join('\n')
  await driver.call('POST', `${api}/clustercredentialproviders`, object('ClusterCredentialProvider', provider))
  await driver.call('POST', `${api}/clusteragentpolicies`, object('ClusterAgentPolicy', { cedar }))
}

/** What the bare client has to write, from a life under the operator. */
async function learn(bench: Bench, kubeconfig: string): ReturnType<typeof sample> {
  const operator = await startOperator({ kubeconfig })
  try {
    await operator.active()
    return await sample(bench, watched(operator))
  } finally {
    await operator.stop()
  }
}

async function once(bench: Bench, { workloads, burst, ends, converged }: Plan, floor: Side, kubeconfig: string, say: Say): Promise<Run> {
  const bare = new Map<string, Figures>()
  for (const workload of workloads) {
    say(`${workload.name}, bare client`)
    bare.set(workload.name, await lives(bench, workload, floor))
  }
  say('single ends in a burst, bare client')
  const bareEnds = await endsInBurst(bench, { burst, ends }, floor)

  let operator = await startOperator({ kubeconfig })
  try {
    await operator.active()
    // with no task there: its own keys, and its question whether admission stands
    const idle = await settledCosts(operator)
    await lives(bench, { name: 'warm-up', count: 50, load: { inFlight: 4 } }, watched(operator))
    const before = await costs(operator)
    const both: [string, { readonly floor: Figures; readonly taskbound: Figures }][] = []
    for (const workload of workloads) {
      say(`${workload.name}, Taskbound`)
      const taskbound = await lives(bench, workload, watched(operator))
      both.push([workload.name, { floor: bare.get(workload.name) ?? taskbound, taskbound }])
    }
    const after = await costs(operator)
    const tasks = workloads.reduce((sum, { count }) => sum + count, 0)
    say('single ends in a burst, Taskbound')
    const ownEnds = await endsInBurst(bench, { burst, ends }, watched(operator))

    say('restart')
    const empty = await live(bench, converged, watched(operator))
    await operator.stop()
    const began = performance.now()
    operator = await startOperator({ kubeconfig, issuerPort: operator.issuerPort })
    await operator.active()
    const ms = performance.now() - began
    const found = await settledCosts(operator)
    await empty()
    return {
      lives: new Map(both),
      endsInBurst: { floor: bareEnds, taskbound: ownEnds },
      life: {
        cpuPer1000: ((after.cpuSeconds - before.cpuSeconds) * 1000) / tasks,
        rssMb: after.rssMb,
        writes: (after.writes - before.writes) / tasks,
        reads: (after.reads - before.reads) / tasks,
      },
      restart: { ms, writes: found.writes - idle.writes, reads: found.reads - idle.reads, rssMb: found.rssMb },
    }
  } finally {
    await operator.stop()
  }
}

type Say = (what: string) => void

async function settledCosts(operator: RunningOperator): ReturnType<typeof costs> {
  await watched(operator).settled?.()
  return costs(operator)
}

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
    const floor = floorOf(await learn(bench, cluster.kubeconfig))
    const results: Run[] = []
    for (let run = 1; run <= runs; run += 1) {
      results.push(await once(bench, planned, floor, cluster.kubeconfig, (what) => console.error(`run ${run} of ${runs}: ${what}`)))
    }
    const command = `node test/bench/bench.ts${values.quick ? ' --quick' : ''} --runs ${runs} --write`
    const text = render(results, { ...planned, command })
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

await main()
