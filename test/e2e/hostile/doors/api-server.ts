// The API server: as who asks it, and as who asks it about others.

import { audience } from '../../support/scenario.ts'
import type { World } from '../world.ts'
import { type Door, isHeader } from './door.ts'

export function apiServerDoors({ scenario: { kube, namespace, name, path } }: World): readonly Door[] {
  const tokenFor = async (...audiences: readonly string[]): Promise<string> =>
    (await kube.must('POST', `${path('serviceaccounts', 'clerk')}/token`, { spec: { audiences } })).status.token
  const review = (...audiences: readonly string[]): Door => ({
    name: `TokenReview for ${audiences.join() || 'itself'}`,
    own: () => tokenFor(...audiences),
    async takes(token) {
      const { status } = await kube.must('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, ...(audiences.length === 0 ? {} : { audiences }) },
      })
      return status.authenticated === true
    },
  })
  return [
    review(),
    review(`${audience}/${name}`, 'https://kubernetes.default.svc'),
    {
      name: 'the API server',
      own: () => tokenFor(),
      takes: async (token) =>
        isHeader(token) && (await kube.request('GET', `/api/v1/namespaces/${namespace}/secrets`, undefined, { token })).status !== 401,
    },
  ]
}
