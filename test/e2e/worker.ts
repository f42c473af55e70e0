// Before each file of tests: the cluster of the worker that runs it. Files that run at once share nothing.
import type { SharedCluster } from '../cluster/shared.ts'

const clusters = JSON.parse(process.env['TASKBOUND_TEST_CLUSTERS'] ?? '[]') as readonly Pick<SharedCluster, 'kubeconfig' | 'kubectl'>[]
const mine = clusters[Number(process.env['JEST_WORKER_ID']) - 1]
if (mine === undefined) throw new Error(`worker ${process.env['JEST_WORKER_ID']} has no cluster: ${clusters.length} were started`)
process.env['KUBECONFIG'] = mine.kubeconfig
process.env['TASKBOUND_TEST_KUBECTL'] = mine.kubectl
