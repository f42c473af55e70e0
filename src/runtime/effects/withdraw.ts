// Withdraw: deletes the task's Secret by its UID. Where no UID is known, or another Secret has the name, a fenced write of an empty
// Secret with a later attempt finds out whose it is, if it is this task's at all. Never deletes by name alone.

import { withdrawTries } from '../../core/decide.ts'
import type { Task } from '../../core/observed.ts'
import type { Effect, Outcome } from '../../core/plan.ts'
import { describeError, isConflict, isNotFound } from '../../kube/errors.ts'
import { placeOf, replace, type SecretWriter, secretObject } from './secret.ts'

const gone: Outcome = { tag: 'done', fact: { of: 'Withdraw' } }
const failed = (message: string): Outcome => ({ tag: 'retry', failure: { reason: 'WriteFailed', message } })

export async function withdraw(deps: SecretWriter, task: Task, effect: Extract<Effect, { tag: 'Withdraw' }>): Promise<Outcome> {
  if (effect.uid !== undefined) {
    const removed = await remove(deps, task, effect.uid)
    if (removed !== 'another') return removed
  }
  for (let attempt = effect.attempt + 1; attempt <= effect.attempt + withdrawTries; attempt += 1) {
    const emptied = await replace(deps, placeOf(task), secretObject(task, attempt, {}), 'end')
    if (emptied.ok) {
      const removed = await remove(deps, task, emptied.value.metadata.uid)
      return removed === 'another' ? failed('the Secret changed while it was deleted') : removed
    }
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
  // each further attempt is recorded first, or a leader that others have followed could overtake its successor's Secret
  return { tag: 'behind' }
}

/** `another`: a Secret of another UID has the name. */
async function remove({ writes, leads }: SecretWriter, task: Task, uid: string): Promise<Outcome | 'another'> {
  if (!leads()) return { tag: 'lost' }
  const removed = await writes.remove(placeOf(task), { uid }, { priority: 'end' })
  if (removed.ok || isNotFound(removed.failure)) return gone
  if (isConflict(removed.failure)) return 'another'
  return failed(`the Secret could not be deleted: ${describeError(removed.failure)}`)
}
