// Tasks whose objects are gone but for which something may still be owed: their last known state, until nothing is. Memory only:
// what must survive a restart needs no entry here, since a place in a status list dies with its task.

import type { TaskKey } from '../core/names.ts'
import type { Task } from '../core/observed.ts'
import { phase } from '../core/record.ts'
import type { Settled } from '../core/settle.ts'

export interface Departed {
  get(key: TaskKey): Task | undefined
  /** Notes a deletion; a task that never had anything issued is not kept. */
  add(task: Task): void
  /** Keeps what a pass found, or drops the task when nothing is owed. */
  settle(key: TaskKey, settled: Settled): void
}

export function createDeparted(): Departed {
  const tasks = new Map<TaskKey, Task>()
  return {
    get: (key) => tasks.get(key),
    add(task) {
      const alive = task.record.credentials.some((c) => c.revokedAt === undefined)
      if (phase(task.record) !== 'none' || (task.record.completedAt === undefined && alive)) tasks.set(task.key, { ...task, gone: true })
    },
    settle(key, settled) {
      const task = tasks.get(key)
      if (task === undefined) return
      if (settled.again === 'none') tasks.delete(key)
      else tasks.set(key, { ...task, record: settled.record, report: settled.report })
    },
  }
}
