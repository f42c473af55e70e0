// Before all tests on the node: starts it and loads the images. Must not install the operator, which is what the tests do.
import { say } from '../cluster/environment.ts'
import { type Node, startNode } from '../cluster/node/start.ts'
import { loadImages } from './support/images.ts'

declare global {
  // The only way from jest's set-up to its tear-down.
  var taskboundNode: Node | undefined
}

// biome-ignore lint/style/noDefaultExport: jest asks for one
export default async function setup(): Promise<void> {
  const begun = Date.now()
  const seconds = () => ((Date.now() - begun) / 1000).toFixed(1)
  const node = await startNode()
  globalThis.taskboundNode = node
  process.env['KUBECONFIG'] = node.cluster.kubeconfig
  process.env['TASKBOUND_TEST_KUBECTL'] = node.cluster.kubectl
  const up = seconds()
  try {
    await loadImages()
  } catch (error) {
    await node.stop()
    throw error
  }
  say(`node up in ${up} s, images made and loaded after ${seconds()} s`)
}
