// What a drain waits for: all that somebody can still take back, and nothing else.

import { expect, test } from '@jest/globals'
import type { Lease } from '../../src/core/lease.ts'
import { remains } from '../../src/runtime/drain.ts'
import { makeTask, outsideRecord, time, withdrawn } from '../support/make.ts'

const row = (change: Partial<Lease>): Lease =>
  ({
    handle: outsideRecord().handle,
    task: { key: 'finance/close-books' },
    provider: { name: 'corp' },
    state: 'Revoking',
    ...change,
  }) as unknown as Lease
const ended = makeTask({ record: withdrawn({ completedAt: time(50), completion: 'EndCancelled', credentials: [outsideRecord()] }) })

test.each<readonly [string, Partial<Lease>, number]>([
  ['a row that is being revoked', { reason: 'RevocationUnconfirmed', message: 'no answer' }, 1],
  ['a row that nobody has begun to revoke', { state: 'Issued' }, 1],
  ['not a row that nobody can end, nor its task', { reason: 'ExpiresAt', message: 'it works until then' }, 0],
])('%s', (_what, change, left) => {
  const status = remains([ended], [row(change)], time(60))
  expect([status.tasks, status.leases, status.remaining.length]).toEqual([left, left, 2 * left])
})
