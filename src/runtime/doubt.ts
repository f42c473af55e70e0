// The live reads that settle a doubt: before an object's absence ends a task, the API server is asked once whether it is so.

import { asUid } from '../core/names.ts'
import type { Presence, WorkloadRef } from '../core/observed.ts'
import type { KubeClient } from '../kube/client.ts'
import { isNotFound } from '../kube/errors.ts'
import { type KubeObject, pathOf, type Resource } from '../kube/objects.ts'
import { metadataOnly } from '../kube/patch.ts'
import type { Doubt } from './views.ts'

export interface DoubtDeps {
  readonly client: Pick<KubeClient, 'request'>
  /** the resource of a workload kind that is watched */
  readonly resourceOf: (ref: WorkloadRef) => Resource | undefined
}

export function createDoubt({ client, resourceOf }: DoubtDeps): Doubt {
  async function look(resource: Resource, namespace: string, name: string): Promise<Presence> {
    const path = pathOf(resource, { namespace, name })
    const answer = await client.request<KubeObject>({ method: 'GET', path, accept: metadataOnly, priority: 'end' })
    if (answer.ok) {
      const { metadata } = answer.value.body
      return metadata.deletionTimestamp === undefined ? { state: 'present', uid: asUid(metadata.uid) } : { state: 'absent' }
    }
    return isNotFound(answer.failure) ? { state: 'absent' } : { state: 'unknown' }
  }
  return {
    task: (namespace, name) => look({ group: 'taskbound.dev', version: 'v1alpha1', plural: 'agenttasks' }, namespace, name),
    agent: (namespace, name) => look({ group: 'taskbound.dev', version: 'v1alpha1', plural: 'agents' }, namespace, name),
    serviceAccount: (namespace, name) => look({ group: '', version: 'v1', plural: 'serviceaccounts' }, namespace, name),
    async workload(namespace, ref) {
      const resource = resourceOf(ref)
      return resource === undefined ? { state: 'unknown' } : look(resource, namespace, ref.name)
    },
  }
}
