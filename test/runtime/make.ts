// Records as the runtime's tests need them.

import { asUid } from '../../src/core/names.ts'
import { emptyRecord, type TaskRecord } from '../../src/core/observed.ts'
import { at, seconds } from '../../src/lib/instant.ts'
import { makeCredentialRecord, makeTask } from '../support/make.ts'

const { createdAt } = makeTask()

/** Attempt 1, delivered and alive. */
export const liveRecord: TaskRecord = {
  ...emptyRecord,
  startedAt: createdAt,
  deadlineAt: at(createdAt + seconds(3600)),
  attempt: 1,
  secret: { name: 'taskbound-task', uid: asUid('secret'), attempt: 1 },
  credentials: [makeCredentialRecord()],
}
