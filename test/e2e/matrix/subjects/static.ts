// `static`: a value that exists already. It works whatever becomes of a task, so what is alive of it are the copies in Secrets of tasks.

import { randomBytes } from 'node:crypto'
import { provide } from '../../support/provided.ts'
import { digest } from '../../support/scenario.ts'
import { outside } from '../points.ts'
import { decode, type SubjectType } from '../subject.ts'

const secrets = '/api/v1/namespaces/taskbound-system/secrets'

export const existing: SubjectType = {
  points: outside([]),
  async start({ scenario }) {
    const { kube, path } = scenario
    const name = `${scenario.name}-value`
    const value = randomBytes(24).toString('base64url')
    await kube.must('POST', secrets, {
      metadata: { name, annotations: { 'taskbound.dev/origin': 'static' } },
      stringData: { 'api-key': value },
    })
    const remove = await provide(scenario, name, { type: 'static', static: { secretRef: { name }, keys: ['api-key'] } })
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
        await remove()
        await kube.request('DELETE', `${secrets}/${name}`)
      },
    }
  },
}
