// The tutorial, word for word, on a cluster that has never seen Taskbound: every command runs, every output is what the page shows. What
// needs a node is marked so on the page and is left to the level that has one; here the test plays the kubelet.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { untilStamping } from '../cluster/shared.ts'
import { type Cluster, startCluster } from '../cluster/start.ts'
import { type RunningOperator, startOperator } from '../support/operator.ts'
import { ensureHelm } from '../tools/helm/build.ts'
import { type HookRunner, runHooks } from './chart/support.ts'
import { blocksOf, createDocumented, type Documented } from './support/documented.ts'

const page = 'docs/tutorials/first-agent.md'
const namespace = 'taskbound-examples'

let cluster: Cluster
let docs: Documented
let operator: RunningOperator | undefined
const stopped = new AbortController()
let playing: Promise<void> | undefined
let hooks: HookRunner | undefined

beforeAll(async () => {
  cluster = await startCluster()
  const { kubeconfig, kubectl } = cluster
  docs = await createDocumented({ tools: { helm: await ensureHelm(4, process.env) }, access: { kubeconfig, kubectl } })
  hooks = runHooks(docs.kube)
  // helm may have to be built first
}, 900_000)

afterAll(async () => {
  stopped.abort()
  await playing
  await hooks?.stop()
  await operator?.stop()
  await docs?.close()
  await cluster?.stop()
})

/** Runs the pods of the tutorial: that of the CronJob by its program, that of the agent once there is what it mounts. */
async function play(): Promise<void> {
  while (!stopped.signal.aborted) {
    const { body } = await docs.kube.request('GET', `/api/v1/namespaces/${namespace}/pods?fieldSelector=status.phase%3DPending`)
    for (const { metadata } of body.items ?? []) {
      const [job, task] = [metadata.labels['batch.kubernetes.io/job-name'], metadata.labels['taskbound.dev/task']]
      if (task === undefined) {
        const program = await docs.program('examples/cronjob/cronjob.yaml', 'start.mjs', 'nightly-starter', { RUN: job })
        await program.ended()
      } else if ((await docs.kube.request('GET', `/api/v1/namespaces/${namespace}/secrets/taskbound-${task}`)).status !== 200) continue
      await docs.kube.must('PATCH', `/api/v1/namespaces/${namespace}/pods/${metadata.name}/status`, { status: { phase: 'Succeeded' } })
    }
    await sleep(200)
  }
}

test('every block, from the first to the last', async () => {
  const blocks = await blocksOf(page)
  expect(blocks.map(({ kind }) => kind).filter((kind) => !['sh', 'sh node', 'console'].includes(kind))).toEqual([])
  expect(blocks.length).toBeGreaterThan(10)
  for (const [i, block] of blocks.entries()) {
    if (block.kind === 'sh') await docs.shell(block.text)
    if (block.kind === 'console') await docs.prints(block.text, `${page}, block ${i + 1}`)
    if (!block.text.startsWith('helm install')) continue
    // what its pods would do
    operator = await startOperator({ kubeconfig: cluster.kubeconfig })
    await operator.active()
    await untilStamping(cluster, 'crds')
    playing = play()
  }
}, 300_000)
