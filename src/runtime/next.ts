// When a task is looked at next: what its last pass asked for, and what its rows in the ledger tell meanwhile.

import type { TaskKey } from '../core/names.ts'
import type { Deadlines } from '../kube/deadlines.ts'
import type { Queue } from '../kube/queue.ts'
import { at, type Instant, milliseconds, plus } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Reconcile } from './reconcile.ts'

export interface NextDeps {
  readonly queue: Pick<Queue, 'add' | 'addAfter' | 'retry' | 'forget'>
  readonly deadlines: Pick<Deadlines<Instant>, 'set' | 'clear'>
  readonly clock: Pick<Clock, 'now'>
}

export interface NextLooks {
  /** One pass over a task, and whatever it asks for then. */
  pass(reconcile: Reconcile, key: string): Promise<void>
  /** A row of this task says something else than before. */
  row(key: string): void
}

export function createNextLooks({ queue, deadlines, clock }: NextDeps): NextLooks {
  /**
   * Tasks whose source refused them. The row of an attempt that came to nothing is closed soon after, which is no reason to ask again:
   * otherwise a source that refuses would be asked as fast as rows can be closed.
   */
  const refused = new Set<string>()

  return {
    async pass(reconcile, key) {
      deadlines.clear(key)
      refused.delete(key)
      const { again, wakeAfter } = await reconcile(key as TaskKey)
      if (again === 'refused') refused.add(key)
      if (again === 'now') queue.addAfter(key, milliseconds(50), 'end')
      else if (again === 'none') queue.forget(key)
      else queue.retry(key)
      if (wakeAfter !== undefined) deadlines.set(key, plus(at(clock.now()), milliseconds(Math.max(0, wakeAfter))))
    },
    row(key) {
      if (!refused.has(key)) queue.add(key, 'end')
    },
  }
}
