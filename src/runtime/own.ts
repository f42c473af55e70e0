// Which changes of a task are this replica's own status: its watch may tell of one before the reply to the write arrives, and neither is a
// reason to look at the task once more.

import type { Task } from '../core/observed.ts'
import { equal } from '../lib/canonical.ts'
import type { WriteStatus } from './effects/status.ts'
import type { Fields } from './objects/fields.ts'
import { writeStatus } from './objects/task.ts'

export interface OwnWrites {
  /** Notes what is written while it is. */
  noting(write: WriteStatus): WriteStatus
  /** whether a task, as it was just heard of, has the status that is being written */
  has(task: Task): boolean
}

export function createOwnWrites(): OwnWrites {
  /** one at a time for each task */
  const underWay = new Map<string, Fields>()

  return {
    noting: (write) => async (pass, record, report) => {
      const { key } = pass.observed.task
      underWay.set(key, writeStatus(record, report))
      try {
        return await write(pass, record, report)
      } finally {
        underWay.delete(key)
      }
    },
    has({ key, record, report }) {
      const status = underWay.get(key)
      return status !== undefined && equal(status, writeStatus(record, report))
    },
  }
}
