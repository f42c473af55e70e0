// The part of the ledger that a provider relies on: rows of an installation, which take notes until they are to die, and keep what they are
// given. With a clock that a test moves.

import { randomBytes } from 'node:crypto'
import { at, milliseconds, plus, seconds } from '../../src/lib/instant.ts'
import type { Material } from '../../src/lib/material.ts'
import { fail, ok, type Result } from '../../src/lib/result.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Failure, Lease, Provider, Reservation } from '../../src/ports/provider.ts'

export interface Rows {
  /** what all handles of the installation begin with */
  readonly prefix: string
  /** milliseconds by which the operator's clock is ahead */
  passed: number
  readonly clock: Clock
  /** what was noted in each row, and what was kept under it, in order */
  readonly notes: Map<string, string[]>
  readonly values: Map<string, Material[]>
  /** handles of rows that take nothing any more */
  readonly dying: Set<string>
  /** whether this note, or this value, is not taken; by its number in its row, from 0 */
  refuses: (what: 'note' | 'value', nth: number) => boolean
  /** whether this value is taken, and whoever gave it is told that it was not */
  loses: (nth: number) => boolean
  /** a new row */
  lease(change?: Partial<Lease>): Lease
  /** the row as its provider is shown it later */
  noted(lease: Lease): Lease
  /** A provider as the ledger uses it: with its row, which is to die once it is revoked. */
  under<Params>(provider: Provider<Params>): Provider<Params>
}

const letters = 'abcdefghijklmnopqrstuvwxyz234567'
const random = (length: number): string => [...randomBytes(length)].map((byte) => letters[byte & 31]).join('')

export function createRows(): Rows {
  const rows: Rows = {
    prefix: `tb${random(10)}`,
    passed: 0,
    clock: { now: () => at(Date.now() + rows.passed), monotonic: () => milliseconds(performance.now() + rows.passed) },
    notes: new Map(),
    values: new Map(),
    dying: new Set(),
    refuses: () => false,
    loses: () => false,
    lease: (change) => ({ handle: `${rows.prefix}${random(26)}`, effectBy: plus(at(Date.now()), seconds(30)), ...change }),
    noted(lease) {
      const reference = rows.notes.get(lease.handle)?.at(-1)
      return reference === undefined ? lease : { ...lease, reference }
    },
    under: (provider) => ({
      ...provider,
      issue: (params, order, reservation) => provider.issue(params, order, withRow(reservation)),
      renew: (params, order, reservation) => provider.renew(params, order, withRow(reservation)),
      revoke(params, reservation) {
        rows.dying.add(reservation.lease?.handle ?? '')
        return provider.revoke(params, withRow(reservation))
      },
    }),
  }

  function withRow(reservation: Reservation): Reservation {
    const { lease } = reservation
    if (lease === undefined) return reservation
    const { handle } = lease
    return {
      ...reservation,
      lease: rows.noted(lease),
      async record(note) {
        const before = rows.notes.get(handle) ?? []
        if (rows.dying.has(handle) || rows.refuses('note', before.length)) return no('its row in the ledger is to die')
        rows.notes.set(handle, [...before, note])
        return ok(undefined)
      },
      async keep(kept) {
        const before = rows.values.get(handle) ?? []
        if (rows.refuses('value', before.length)) return no('it could not be kept')
        rows.values.set(handle, [...before, kept])
        if (rows.loses(before.length)) return no('it could not be kept')
        return rows.dying.has(handle) ? no('its row in the ledger is to die') : ok(undefined)
      },
      kept: async () => ok(rows.values.get(handle) ?? []),
    }
  }
  return rows
}

const no = (message: string): Result<never, Failure> => fail({ reason: 'IssueFailed', message })

/** What must be there. */
export function value<T>(result: Result<T, Failure>): T {
  if (!result.ok) throw new Error(`${result.failure.reason}: ${result.failure.message}`)
  return result.value
}
