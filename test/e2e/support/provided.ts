// A ClusterCredentialProvider that the scenario's tasks may use, with the permit for it.

import type { Scenario } from './scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'

/** @returns what removes both */
export async function provide({ kube, name: its, namespace }: Scenario, name: string, spec: object): Promise<() => Promise<void>> {
  const make = (plural: string, kind: string, of: object) =>
    kube.must('POST', `${api}/${plural}`, { apiVersion: 'taskbound.dev/v1alpha1', kind, metadata: { name }, spec: of })
  const namespaces = { matchLabels: { 'test.taskbound.dev/scenario': its } }
  await make('clustercredentialproviders', 'ClusterCredentialProvider', { namespaces, ...spec })
  const cedar = `@id("p") permit (principal in Taskbound::Namespace::"${namespace}", action, resource == Taskbound::ClusterProvider::"${name}");`
  await make('clusteragentpolicies', 'ClusterAgentPolicy', { cedar })
  return async () => {
    for (const plural of ['clusteragentpolicies', 'clustercredentialproviders']) await kube.request('DELETE', `${api}/${plural}/${name}`)
  }
}
