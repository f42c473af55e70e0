// Before all end-to-end tests: one cluster for them, ours or the user's. Must not leave it behind: see teardown.ts.
import { acquireCluster, type SharedCluster } from '../cluster/shared.ts'

declare global {
  // The only way from jest's set-up to its tear-down.
  var taskboundCluster: SharedCluster | undefined
}

// biome-ignore lint/style/noDefaultExport: jest asks for one
export default async function setup(): Promise<void> {
  const cluster = await acquireCluster()
  globalThis.taskboundCluster = cluster
  process.env['KUBECONFIG'] = cluster.kubeconfig
  process.env['TASKBOUND_TEST_KUBECTL'] = cluster.kubectl
}
