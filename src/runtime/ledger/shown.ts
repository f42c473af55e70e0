// The open rows of the ledger as whoever measures them is shown them.

import { isExpiring, isOpen, type Lease } from '../../core/lease.ts'
import type { LeaseRow } from '../../telemetry/snapshot.ts'
import { sourceOf } from './rows.ts'

const overdueAfter = 60_000

/**
 * @param since by the monotonic clock, milliseconds: when it was decided that a handle dies
 * @param now by the same clock
 */
export function* openRows(leases: Iterable<Lease>, since: (handle: string) => number | undefined, now: number): Generator<LeaseRow> {
  for (const lease of leases) if (isOpen(lease)) yield rowOf(lease, since(lease.handle), now)
}

function rowOf(lease: Lease, since: number | undefined, now: number): LeaseRow {
  const { task, credential, expiresAt, state } = lease
  const dies = since !== undefined || state === 'Revoking'
  return {
    namespace: task.namespace,
    task: task.name,
    credential,
    provider: sourceOf(lease).key,
    expiresAt,
    state: !dies ? 'Open' : isExpiring(lease) ? 'Expiring' : since !== undefined && now - since <= overdueAfter ? 'Revoking' : 'Overdue',
  }
}
