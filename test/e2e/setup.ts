// Before all end-to-end tests: a cluster for each worker, ours, or one and the user's. Must not leave any behind: see teardown.ts.
import { acquireCluster, type SharedCluster } from '../cluster/shared.ts'

declare global {
  // The only way from jest's set-up to its tear-down.
  var taskboundClusters: SharedCluster[] | undefined
}

// biome-ignore lint/style/noDefaultExport: jest asks for one
export default async function setup({ maxWorkers }: { readonly maxWorkers: number }): Promise<void> {
  const clusters: SharedCluster[] = []
  globalThis.taskboundClusters = clusters
  try {
    for (let n = 0; n < maxWorkers; n += 1) clusters.push(await acquireCluster())
    if (maxWorkers > 1 && clusters.some(({ given }) => given))
      throw new Error('KUBECONFIG names one cluster, and files of tests that run at once need one each: set TASKBOUND_TEST_WORKERS=1')
  } catch (error) {
    for (const cluster of clusters) await cluster.release()
    throw error
  }
  // where worker.ts looks
  process.env['TASKBOUND_TEST_CLUSTERS'] = JSON.stringify(
    clusters.map(({ kubeconfig, kubectl, given }) => ({ kubeconfig, kubectl, given })),
  )
}
