// The status write: a merge patch of what differs, always with the resourceVersion, so that a stale writer is refused. A conflict that
// only metadata caused is not one: whoever may label a task must not be able to put off its revocation by labelling it all the time.

import type { Report, Task, TaskRecord } from '../../core/observed.ts'
import type { Outcome } from '../../core/plan.ts'
import type { KubeClient } from '../../kube/client.ts'
import { type ApiError, describeError, isConflict, isNotFound } from '../../kube/errors.ts'
import type { Priority } from '../../kube/lanes.ts'
import { type KubeObject, pathOf } from '../../kube/objects.ts'
import type { Writes } from '../../kube/patch.ts'
import { equal } from '../../lib/canonical.ts'
import { ok, type Result } from '../../lib/result.ts'
import type { Fields } from '../objects/fields.ts'
import { mergePatch } from '../objects/merge.ts'
import { readTask, writeRecord, writeStatus } from '../objects/task.ts'
import type { Pass } from './pass.ts'

export const tasksResource = { group: 'taskbound.dev', version: 'v1alpha1', plural: 'agenttasks' } as const

export type StatusOutcome = { readonly tag: 'done' } | Extract<Outcome, { tag: 'lost' | 'retry' }>
export type WriteStatus = (pass: Pass, record: TaskRecord, report: Report) => Promise<StatusOutcome>

export interface StatusDeps {
  readonly client: Pick<KubeClient, 'request'>
  readonly writes: Writes
  /** takes the reply into the store of tasks */
  readonly absorb: (object: KubeObject) => void
  /** by the monotonic clock; asked before each repetition */
  readonly leads: () => boolean
}

/** Each fails only where somebody wrote five times while the API server applied one patch. */
const tries = 5

export function createWriteStatus({ client, writes, absorb, leads }: StatusDeps): WriteStatus {
  function outcome(pass: Pass, record: TaskRecord, report: Report, written: Result<KubeObject, ApiError>): StatusOutcome {
    if (written.ok) {
      pass.stored = { record, report, resourceVersion: written.value.metadata.resourceVersion }
      absorb(written.value)
      return { tag: 'done' }
    }
    const { failure } = written
    // a `test` of a JSON patch that does not hold
    if (isConflict(failure) || isNotFound(failure) || isFailedTest(failure)) return { tag: 'lost' }
    return { tag: 'retry', failure: { reason: 'WriteFailed', message: `the status could not be written: ${describeError(failure)}` } }
  }

  return async (pass, record, report) => {
    const { task } = pass.observed
    if (task.gone) {
      pass.stored = { ...pass.stored, record, report }
      return { tag: 'done' }
    }
    const wanted = writeStatus(record, report)
    const patch = mergePatch(writeStatus(pass.stored.record, pass.stored.report), wanted)
    if (patch === undefined) return { tag: 'done' }
    const ending = pass.plan.standing.kind === 'ended' || pass.plan.standing.kind === 'stopped'
    const priority = ending ? 'end' : 'normal'
    const place = { resource: tasksResource, namespace: task.namespace, name: task.name }
    let last = outcome(pass, record, report, await writes.patchStatus(place, pass.stored.resourceVersion, patch, { priority }))
    for (let attempt = 1; last.tag === 'lost' && attempt <= tries && leads(); attempt += 1) {
      const found = await sameButForMetadata(task, pass.stored.record)
      if (found === undefined) return last
      last = outcome(pass, record, report, await replaceStatus(task, found, wanted, priority))
    }
    return last
  }

  /** The status as it stands now, if the task asks for the same and its record is the one that this pass stands on. */
  async function sameButForMetadata(task: Task, record: TaskRecord): Promise<unknown> {
    const live = await client.request<KubeObject>({ method: 'GET', path: pathOf(tasksResource, task), priority: 'end' })
    if (!live.ok) return undefined
    const now = readTask(live.value.body)
    const same =
      now !== undefined &&
      now.uid === task.uid &&
      now.generation === task.generation &&
      now.deleting === task.deleting &&
      equal(writeRecord(now.record), writeRecord(record))
    // a first status has nothing to compare with: the next pass writes it
    return same ? live.value.body['status'] : undefined
  }

  /** A compare-and-set of status alone: without a resourceVersion the API server itself repeats the patch where metadata was changed. */
  async function replaceStatus(task: Task, from: unknown, to: Fields, priority: Priority): Promise<Result<KubeObject, ApiError>> {
    const answer = await client.request<KubeObject>({
      method: 'PATCH',
      path: pathOf(tasksResource, { ...task, subresource: 'status' }),
      contentType: 'application/json-patch+json',
      priority,
      body: [
        { op: 'test', path: '/metadata/uid', value: task.uid },
        { op: 'test', path: '/metadata/generation', value: task.generation },
        { op: 'test', path: '/status', value: from },
        { op: 'replace', path: '/status', value: to },
      ],
    })
    return answer.ok ? ok(answer.value.body) : answer
  }
}

const isFailedTest = (error: ApiError): boolean =>
  error.kind === 'http' && error.status === 422 && error.message.startsWith('the server rejected our request')
