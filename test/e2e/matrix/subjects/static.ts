// `static`: a value that exists already. It works whatever becomes of a task, so what is alive of it are the copies in Secrets of tasks.

import { randomBytes } from 'node:crypto'
import { digest } from '../../support/scenario.ts'
import { outside } from '../points.ts'
import { decode, type SubjectType } from '../subject.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const secrets = '/api/v1/namespaces/taskbound-system/secrets'

export const existing: SubjectType = {
  points: outside([]),
  async start({ scenario: { kube, name: its, namespace, path } }) {
    const name = `${its}-value`
    const value = randomBytes(24).toString('base64url')
    await kube.must('POST', secrets, {
      metadata: { name, annotations: { 'taskbound.dev/origin': 'static' } },
      stringData: { 'api-key': value },
    })
    await kube.must('POST', `${api}/clustercredentialproviders`, {
      apiVersion: 'taskbound.dev/v1alpha1',
      kind: 'ClusterCredentialProvider',
      metadata: { name },
      spec: {
        type: 'static',
        namespaces: { matchLabels: { 'test.taskbound.dev/scenario': its } },
        static: { secretRef: { name }, keys: ['api-key'] },
      },
    })
    const cedar = `@id("value") permit (principal in Taskbound::Namespace::"${namespace}", action, resource == Taskbound::ClusterProvider::"${name}");`
    await kube.must('POST', `${api}/clusteragentpolicies`, {
      apiVersion: 'taskbound.dev/v1alpha1',
      kind: 'ClusterAgentPolicy',
      metadata: { name },
      spec: { cedar },
    })
    return {
      provider: name,
      server: 'the Secrets of the namespace',
      credential: { name: 'crm', providerRef: { kind: 'ClusterCredentialProvider', name }, audience: undefined, scopes: [] },
      renewal: 'InPlace',
      remains: 'ValueRemains',
      async alive() {
        const { items } = await kube.must('GET', path('secrets'))
        const copies = (items as { data?: Record<string, string> }[]).map(({ data }) => decode(data ?? {})['crm'])
        return copies.flatMap((copy) => (copy === undefined ? [] : [digest(copy)]))
      },
      idOf: (fields) => digest(fields['crm'] ?? ''),
      works: async (fields) => fields['crm'] === value,
      async close() {
        for (const plural of ['clusteragentpolicies', 'clustercredentialproviders'])
          await kube.request('DELETE', `${api}/${plural}/${name}`)
        await kube.request('DELETE', `${secrets}/${name}`)
      },
    }
  },
}
