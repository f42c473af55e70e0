// The tutorial, word for word, on a cluster that has never seen Taskbound: every command runs, every output is what the page shows. What
// needs a node is marked so on the page and is left to the level that has one; here the test plays the kubelet.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { blocksOf, type Documented } from './support/documented.ts'
import { createFresh, type Fresh, freshTimeout, type Pod } from './support/fresh.ts'

const page = 'docs/tutorials/first-agent.md'
const namespace = 'taskbound-examples'

let fresh: Fresh
let docs: Documented

beforeAll(async () => {
  fresh = await createFresh()
  docs = fresh.docs
}, freshTimeout)
afterAll(() => fresh?.close())

/** A pod of the tutorial: that of the CronJob does its program, that of the agent ends once there is what it mounts. */
async function run({ labels }: Pod): Promise<boolean> {
  const { 'batch.kubernetes.io/job-name': job = '', 'taskbound.dev/task': task } = labels
  if (task !== undefined)
    return (await docs.kube.request('GET', `/api/v1/namespaces/${namespace}/secrets/taskbound-${task}`)).status === 200
  const program = await docs.program('examples/cronjob/cronjob.yaml', 'start.mjs', 'nightly-starter', { RUN: job })
  await program.ended()
  return true
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
    await fresh.operate()
    fresh.play(namespace, run)
  }
}, 300_000)
