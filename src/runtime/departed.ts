// Tasks whose objects are gone but for which something may still be owed: their last known state, until nothing is. Memory only:
// what must survive a restart needs no entry here, since a place in a status list dies with its task.

import type { TaskKey } from '../core/names.ts'
import type { Task } from '../core/observed.ts'
import { liveStatusRefs, phase } from '../core/record.ts'
import type { Settled } from '../core/settle.ts'

export interface Departed {
  get(key: TaskKey): Task | undefined
  keys(): Iterable<TaskKey>
  /** Notes a deletion. One that nobody saw happen is in doubt until it is confirmed. */
  add(task: Task, inDoubt: boolean): void
  inDoubt(key: TaskKey): boolean
  confirm(key: TaskKey): void
  /** Keeps what a pass found, or drops the task when nothing is owed. */
  settle(key: TaskKey, settled: Settled): void
  drop(key: TaskKey): void
}

export function createDeparted(): Departed {
  const tasks = new Map<TaskKey, Task>()
  const doubtful = new Set<TaskKey>()
  return {
    get: (key) => tasks.get(key),
    keys: () => tasks.keys(),
    add(task, inDoubt) {
      const { record } = task
      const owed = phase(record) !== 'none' || liveStatusRefs(record).length > 0
      if (!owed) return
      tasks.set(task.key, { ...task, gone: true })
      if (inDoubt) doubtful.add(task.key)
      else doubtful.delete(task.key)
    },
    inDoubt: (key) => doubtful.has(key),
    confirm: (key) => void doubtful.delete(key),
    settle(key, settled) {
      const task = tasks.get(key)
      if (task === undefined) return
      if (settled.again === 'none') tasks.delete(key)
      else tasks.set(key, { ...task, record: settled.record, report: settled.report })
    },
    drop(key) {
      tasks.delete(key)
      doubtful.delete(key)
    },
  }
}
