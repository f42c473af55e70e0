// What src/runtime/ledger does, against the fake API server and the source outside: rows written before anything is made, worked off one
// by one until what they name is dead, the dead removed, and the source swept. Stops at every call, as the passes over tasks do.

import { effectTime, isOpen, type Lease, type LeaseState, mustLive, type Owner, owed } from '../../../src/core/lease.ts'
import type { Task } from '../../../src/core/observed.ts'
import type { Effect, IssueOrder } from '../../../src/core/plan.ts'
import { at, type Instant, milliseconds, plus, seconds, wholeSecond } from '../../../src/lib/instant.ts'
import { fail, ok } from '../../../src/lib/result.ts'
import { makeLease } from '../make.ts'
import { type Call, send } from './calls.ts'
import type { Replica, WorldClock } from './replica.ts'
import type { Answer, Server, Stored } from './server.ts'

export interface LedgerDeps {
  readonly server: Server
  readonly clock: WorldClock
  readonly replica: Replica
}

type Steps<T> = Generator<Call, T, unknown>

/** What the queue of rows is to do next; `at` by the wall clock. */
export type After =
  | { readonly tag: 'done' | 'retry' }
  | { readonly tag: 'later'; readonly at: Instant }
  | { readonly tag: 'clean'; readonly delay: number }

const done: After = { tag: 'done' }
const retry: After = { tag: 'retry' }

/** The name at the source of one credential of one attempt, to be read by people. */
export const handleIn = (task: Pick<Task, 'uid'>, credential: string, attempt: number): string => `${task.uid}.${credential}.${attempt}`

/** A row that stands, and until when something may be sent under it. */
export interface Intended {
  readonly handle: string
  readonly effectBy: Instant
  /** by the monotonic clock */
  readonly deadline: number
}

/** Between the last moment of sending and `effectBy`. */
const margin = 5000
const renewalTime = 10_000
/** Between two looks of which the second counts. */
const apart = 7000

export function createLedger({ server, clock, replica }: LedgerDeps) {
  const { source } = server

  /** The row, before anything is asked of the source. */
  function* intend(task: Task, attempt: number, order: IssueOrder): Steps<Answer<Intended>> {
    const handle = handleIn(task, order.name, attempt)
    const effectBy = wholeSecond(plus(clock.wall, effectTime))
    const deadline = clock.mono + (effectBy - clock.wall) - margin
    if (!replica.leads()) return fail('failed')
    const written = yield* send(`POST row ${handle}`, () => server.createRow(rowOf(task, order, attempt, handle, effectBy)))
    if (!written.ok) return written
    replica.absorb('leases', handle, written.value)
    return ok({ handle, effectBy, deadline })
  }

  /** The role under a row that stands; or, for a renewal, the same role with a later end. */
  function* make(
    task: Task,
    effect: Extract<Effect, { tag: 'Issue' | 'Renew' }>,
    order: IssueOrder,
    intended: Answer<Intended> | undefined,
    held?: string,
  ): Steps<Answer<string>> {
    const now = clock.wall
    if (effect.tag === 'Renew') {
      if (held === undefined) return fail('failed')
      const effectBy = plus(now, milliseconds(renewalTime))
      const renewed = yield* send(`prolong ${held}`, () => source.prolong(held, order.expiresAt, effectBy))
      return renewed.ok ? ok(held) : renewed
    }
    if (intended?.ok !== true) return intended ?? fail('failed')
    const { handle, effectBy, deadline } = intended.value
    // the last step before it is sent: whoever slept since sends nothing
    if (clock.mono > deadline) return fail('failed')
    const role = { handle, task: task.uid, credential: order.name, expiresAt: order.expiresAt }
    const made = yield* send(`create ${handle}`, () => source.create(role, effectBy))
    return made.ok ? ok(handle) : made
  }

  function rowOf({ key, namespace, name, uid }: Task, order: IssueOrder, attempt: number, handle: string, effectBy: Instant): Lease {
    const { name: credential, provider } = order
    return makeLease({ handle, task: { key, namespace, name, uid }, credential, attempt, provider, effectBy, createdAt: clock.wall })
  }

  function owner({ task }: Lease): Owner {
    const shown = replica.caches.tasks.get(task.name)?.value
    if (shown?.uid === task.uid) return { state: 'present', task: shown }
    return { state: replica.seenToGo.has(task.uid) ? 'gone' : 'unknown' }
  }

  function* collect(handle: string): Steps<After> {
    const stored = replica.caches.leases.get(handle)
    return stored === undefined || !replica.leads() ? done : yield* act(stored, owner(stored.value))
  }

  function* act(stored: Stored<'leases'>, owner: Owner): Steps<After> {
    const { value: lease } = stored
    const debt = owed(lease, owner, replica.doomed.has(lease.handle), clock.wall)
    switch (debt.do) {
      case 'wait':
        if (debt.known !== undefined && !(yield* write(stored, { state: 'Issued', ...debt.known }))) return retry
        return debt.until === undefined ? done : { tag: 'later', at: debt.until }
      case 'revoke': {
        if (debt.announced !== true) return yield* revoke(stored)
        // seen again as soon as it is written
        return (yield* write(stored, { state: 'Revoking' })) ? done : retry
      }
      case 'giveUp':
        if (!(yield* write(stored, { state: 'Irrevocable', closedAt: clock.wall, message: debt.reason }))) return retry
        replica.doomed.delete(lease.handle)
        return done
      case 'forget': {
        const removed = yield* send(`DELETE row ${lease.handle}`, () => server.removeRow(lease.handle, stored.version))
        return removed.ok || removed.failure === 'notFound' ? done : retry
      }
      case 'ask': {
        const live = yield* send(`GET task ${lease.task.name}`, () => ok(server.objects.tasks.get(lease.task.name)?.value))
        if (!live.ok) return retry
        const gone = live.value?.uid !== lease.task.uid || live.value.deleting
        return gone ? yield* act(stored, { state: 'gone' }) : retry
      }
    }
  }

  function* write({ value, version }: Stored<'leases'>, next: Partial<Lease> & { readonly state: LeaseState }): Steps<boolean> {
    if (!replica.leads()) return false
    const status = { closedAt: undefined, message: undefined, ...next }
    const written = yield* send(`PATCH row ${value.handle} ${next.state}`, () => server.patchRow(value.handle, version, status))
    if (written.ok) replica.absorb('leases', value.handle, written.value)
    return written.ok
  }

  function* revoke(stored: Stored<'leases'>): Steps<After> {
    const { handle, state, message, effectBy } = stored.value
    replica.doomed.add(handle)
    const killed = yield* send(`kill ${handle}`, () => source.kill(handle))
    if (!killed.ok) {
      if (state !== 'Revoking' || message !== killed.failure) yield* write(stored, { state: 'Revoking', message: killed.failure })
      return retry
    }
    if (!(yield* write(stored, { state: 'Revoked', closedAt: clock.wall }))) return retry
    replica.doomed.delete(handle)
    return { tag: 'clean', delay: Math.max(0, plus(effectBy, seconds(0)) - clock.wall) }
  }

  /** Whether it is to be tried again. */
  function* clean(handle: string): Steps<boolean> {
    const lease = replica.caches.leases.get(handle)?.value
    if (lease === undefined || isOpen(lease) || !replica.leads()) return false
    return !(yield* send(`clean ${handle}`, () => source.clean(handle, lease.effectBy))).ok
  }

  function* sweep(): Steps<void> {
    const listed = yield* send('list roles', () => source.list())
    if (!listed.ok) return
    for (const handle of listed.value) {
      if (!replica.leads()) return
      const lease = replica.caches.leases.get(handle)?.value
      if (lease === undefined) yield* stray(handle)
      else if (!isOpen(lease)) replica.cleanAt.set(handle, clock.mono + Math.max(0, lease.effectBy + 5000 - clock.wall))
    }
  }

  /** Two looks apart, at a row that nobody wrote in between and that pods hold by all that is known. */
  function* inspect(): Steps<void> {
    for (const handle of [...replica.caches.leases.keys()]) {
      const row = held(handle)
      if (row === undefined) continue
      const seen = yield* send(`look at ${handle}`, () => source.look(handle))
      const before = replica.suspicions.get(handle)
      if (!seen.ok || seen.value || held(handle)?.version !== row.version) replica.suspicions.delete(handle)
      else if (before?.version !== row.version) replica.suspicions.set(handle, { version: row.version, since: clock.mono })
      else if (clock.mono - before.since >= apart) {
        replica.suspicions.delete(handle)
        yield* write(row, { state: 'Revoking', foundDeadAt: clock.wall, message: 'somebody else ended it' })
      }
    }
  }

  function held(handle: string): Stored<'leases'> | undefined {
    const row = replica.caches.leases.get(handle)
    const task = row === undefined ? undefined : replica.caches.tasks.get(row.value.task.name)?.value
    if (row === undefined || task === undefined || !replica.leads()) return undefined
    return mustLive(row.value, task, replica.doomed.has(handle), clock.wall) ? row : undefined
  }

  function* stray(handle: string): Steps<void> {
    const found = yield* send(`GET row ${handle}`, () => ok(server.objects.leases.get(handle)))
    if (!found.ok || found.value !== undefined || !replica.leads()) return
    const killed = yield* send(`kill ${handle}`, () => source.kill(handle))
    // without a row nobody knows of a time
    if (killed.ok) yield* send(`clean ${handle}`, () => source.clean(handle, at(0)))
  }

  /** @returns why it is not dead yet; `undefined` when it is, or was never made */
  function handOver(handle: string): string | undefined {
    const lease = replica.caches.leases.get(handle)?.value
    if (lease === undefined || !isOpen(lease)) return undefined
    replica.doomed.add(handle)
    replica.rows.add(handle)
    return `credential \`${lease.credential}\`: ${lease.message ?? 'it is being revoked at its source'}`
  }

  return { intend, make, collect, clean, sweep, inspect, handOver }
}
