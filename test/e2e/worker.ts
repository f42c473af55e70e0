// Before each file of tests: the cluster of the worker that runs it, without what earlier files have left of our kinds. Files that run at once
// share nothing.
import type { SharedCluster } from '../cluster/shared.ts'
import { connect } from '../support/cluster.ts'
import { removeRows } from './support/rows.ts'

type Cluster = Pick<SharedCluster, 'kubeconfig' | 'kubectl' | 'given'>
const clusters = JSON.parse(process.env['TASKBOUND_TEST_CLUSTERS'] ?? '[]') as readonly Cluster[]
const mine = clusters[Number(process.env['JEST_WORKER_ID']) - 1]
if (mine === undefined) throw new Error(`worker ${process.env['JEST_WORKER_ID']} has no cluster: ${clusters.length} were started`)
process.env['KUBECONFIG'] = mine.kubeconfig
process.env['TASKBOUND_TEST_KUBECTL'] = mine.kubectl

// in a user's own cluster it may be somebody's
if (!mine.given) {
  const api = '/apis/taskbound.dev/v1alpha1'
  const kube = connect(mine)
  type Found = { readonly metadata: { readonly name: string; readonly namespace?: string } }
  await removeRows(kube, () => true)
  for (const plural of ['agenttasks', 'credentialproviders', 'clustercredentialproviders', 'clusteragentpolicies'])
    for (const { metadata } of (await kube.must('GET', `${api}/${plural}`)).items as readonly Found[]) {
      const home = metadata.namespace === undefined ? api : `${api}/namespaces/${metadata.namespace}`
      await kube.request('DELETE', `${home}/${plural}/${metadata.name}`)
    }
  await kube.close()
}
