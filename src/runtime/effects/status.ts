// The status write: a merge patch of what differs, always with the resourceVersion, so that a stale writer is refused.

import type { Report, TaskRecord } from '../../core/observed.ts'
import type { Outcome } from '../../core/plan.ts'
import { describeError, isConflict, isNotFound } from '../../kube/errors.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Writes } from '../../kube/patch.ts'
import { mergePatch } from '../objects/merge.ts'
import { writeStatus } from '../objects/task.ts'
import type { Pass } from './pass.ts'

export const tasksResource = { group: 'taskbound.dev', version: 'v1alpha1', plural: 'agenttasks' } as const

export type StatusOutcome = { readonly tag: 'done' } | Extract<Outcome, { tag: 'lost' | 'retry' }>
export type WriteStatus = (pass: Pass, record: TaskRecord, report: Report) => Promise<StatusOutcome>

export interface StatusDeps {
  readonly writes: Writes
  /** takes the reply into the store of tasks */
  readonly absorb: (object: KubeObject) => void
}

export function createWriteStatus({ writes, absorb }: StatusDeps): WriteStatus {
  return async (pass, record, report) => {
    const { task } = pass.observed
    if (task.gone) {
      pass.stored = { ...pass.stored, record, report }
      return { tag: 'done' }
    }
    const patch = mergePatch(writeStatus(pass.stored.record, pass.stored.report), writeStatus(record, report))
    if (patch === undefined) return { tag: 'done' }
    const ending = pass.plan.standing.kind === 'ended' || pass.plan.standing.kind === 'stopped'
    const place = { resource: tasksResource, namespace: task.namespace, name: task.name }
    const written = await writes.patchStatus(place, pass.stored.resourceVersion, patch, { priority: ending ? 'end' : 'normal' })
    if (written.ok) {
      pass.stored = { record, report, resourceVersion: written.value.metadata.resourceVersion }
      absorb(written.value)
      return { tag: 'done' }
    }
    if (isConflict(written.failure) || isNotFound(written.failure)) return { tag: 'lost' }
    return {
      tag: 'retry',
      failure: { reason: 'WriteFailed', message: `the status could not be written: ${describeError(written.failure)}` },
    }
  }
}
