// Withdraw: deletes the task's Secret by its UID. Where no UID is known, a fenced write of an empty Secret with a later attempt
// learns it, if the Secret is this task's at all. Never deletes by name alone.

import type { Task } from '../../core/observed.ts'
import type { Effect, Outcome } from '../../core/plan.ts'
import { describeError, isConflict, isNotFound } from '../../kube/errors.ts'
import { placeOf, replace, type SecretWriter, secretObject } from './secret.ts'

/** A Secret may be ahead of the record by the attempts whose record was lost; more than a few would be a bug. */
const tries = 8

export async function withdraw(deps: SecretWriter, task: Task, effect: Extract<Effect, { tag: 'Withdraw' }>): Promise<Outcome> {
  if (effect.uid !== undefined) return remove(deps, task, effect.uid)
  for (let attempt = effect.attempt + 1; attempt <= effect.attempt + tries; attempt += 1) {
    const emptied = await replace(deps, placeOf(task), secretObject(task, attempt, {}), 'end')
    if (emptied.ok) return remove(deps, task, emptied.value.metadata.uid)
    switch (emptied.failure.kind) {
      case 'absent':
      case 'foreign':
        return gone
      case 'behind':
        continue
      case 'lost':
        return { tag: 'lost' }
      default:
        return { tag: 'retry', failure: emptied.failure.failure }
    }
  }
  return {
    tag: 'retry',
    failure: { reason: 'WriteFailed', message: 'the Secret of the task is ahead of its record and could not be taken over' },
  }
}

const gone: Outcome = { tag: 'done', fact: { of: 'Withdraw' } }

async function remove({ writes, leads }: SecretWriter, task: Task, uid: string): Promise<Outcome> {
  if (!leads()) return { tag: 'lost' }
  const removed = await writes.remove(placeOf(task), { uid }, { priority: 'end' })
  // another UID under that name: ours is gone
  if (removed.ok || isNotFound(removed.failure) || isConflict(removed.failure)) return gone
  return { tag: 'retry', failure: { reason: 'WriteFailed', message: `the Secret could not be deleted: ${describeError(removed.failure)}` } }
}
