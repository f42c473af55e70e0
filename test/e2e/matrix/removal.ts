// How a namespace with live tasks is deleted, the provider objects before it, and seen to go.

import { expect } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { Scenario } from '../support/scenario.ts'
import type { Source } from './subject.ts'

export async function remove({ kube, namespace }: Scenario, sources: readonly Pick<Source, 'provider'>[]): Promise<void> {
  for (const { provider } of sources) await kube.must('DELETE', `/apis/taskbound.dev/v1alpha1/clustercredentialproviders/${provider}`)
  await kube.must('DELETE', `/api/v1/namespaces/${namespace}`)
}

export async function gone({ kube, namespace }: Scenario): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}`
  await eventually(async () => expect((await kube.request('GET', path)).status).toBe(404), { timeoutMs: 90_000, everyMs: 200 })
}
