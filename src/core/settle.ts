// From what was planned and what became of it to the record, the report, what to tell, and when to look again. Pure.

import type { Reason } from '../api/reasons.ts'
import { type Duration, type Instant, plus, wholeSecond } from '../lib/instant.ts'
import { report } from './conditions.ts'
import { spread, withdrawTries } from './decide.ts'
import { renewal, wakeAt } from './lifetime.ts'
import { secretName } from './names.ts'
import type { CredentialRecord, Failure, Observed, Report, TaskRecord } from './observed.ts'
import type { Outcome, Performed, Plan } from './plan.ts'
import { isAlive, phase, wasDelivered, works } from './record.ts'

/** Something that happened, for the audit stream, the events and the counters. */
export type Note =
  | { readonly tag: 'decided'; readonly decision: NonNullable<Report['decision']>; readonly message: string }
  | { readonly tag: 'issued' | 'renewed' | 'revoked'; readonly credential: CredentialRecord }
  | { readonly tag: 'failed'; readonly effect: Performed['effect']['tag']; readonly failure: Failure }
  | { readonly tag: 'ended'; readonly reason: Reason; readonly message: string; readonly overrun: Duration }
  /** the word of Ready changed */
  | { readonly tag: 'turned'; readonly to: Reason; readonly message: string }

export interface Settled {
  readonly record: TaskRecord
  readonly report: Report
  readonly notes: readonly Note[]
  readonly wakeAt: Instant | undefined
  /**
   * `now`: somebody else wrote, gather again. `backoff`: something failed. `refused`: an issue has, so that nothing but time, or a change of
   * what it was judged by, makes another try worth it. `none`: nothing is owed.
   */
  readonly again: 'now' | 'backoff' | 'refused' | 'none'
}

export function settle(observed: Observed, plan: Plan, performed: readonly Performed[], now: Instant): Settled {
  const record = performed.reduce((folded, done) => fold(observed, folded, done, now), plan.record)
  const failures = performed.flatMap(({ effect, outcome }) =>
    outcome.tag === 'retry' || outcome.tag === 'stalled' ? [{ effect: effect.tag, failure: outcome.failure }] : [],
  )
  const waits = performed.flatMap(({ outcome }) => (outcome.tag === 'pending' ? [outcome.failure] : []))
  const closed = performed.flatMap(killed)
  const leases = observed.leases.filter(({ handle, open }) => !open || !closed.includes(handle))
  const next = report({ ...observed, leases }, plan, record, failures[0]?.failure ?? waits[0], now)
  return {
    record,
    report: next,
    notes: [
      ...decided(observed.task.report, next, plan),
      ...happened(record, performed),
      ...failures.map((f) => ({ tag: 'failed' as const, ...f })),
      ...ended(observed, plan, record, now),
      ...turned(observed.task.report, next),
    ],
    wakeAt: wakeAt(observed, record, plan.standing, plan.judgement, plan.decidedAt),
    again: again(observed, record, plan, performed, now),
  }
}

/** The handle whose row was closed in this very pass. */
function killed({ effect, outcome }: Performed): readonly string[] {
  if (outcome.tag !== 'done') return []
  if (effect.tag === 'RevokeLease') return [effect.lease.handle]
  return effect.tag === 'Revoke' && effect.credential.handle !== undefined ? [effect.credential.handle] : []
}

function fold(observed: Observed, record: TaskRecord, { effect, outcome }: Performed, now: Instant): TaskRecord {
  // Somebody wrote that attempt or a later one: it is spent. Under one reservation nothing is lost by it.
  if (outcome.tag === 'behind' && effect.tag === 'Renew') return spent(record, effect.attempt)
  // Deleted by hand, or by somebody who has gone on: made again only under an intent of its own.
  if (outcome.tag === 'absent') return { ...record, secret: undefined }
  // The Secret is ahead of all that was tried: the next try goes on from there.
  if (outcome.tag === 'behind' && effect.tag === 'Withdraw') return { ...record, attempt: effect.attempt + withdrawTries }
  if (outcome.tag !== 'done') return record
  const { fact } = outcome
  switch (fact.of) {
    case 'RecordIntent':
      return fact.record
    case 'Issue':
    case 'Renew': {
      if (effect.tag !== 'Issue' && effect.tag !== 'Renew') return record
      const credentials = record.credentials.map((c): CredentialRecord => {
        const expiresAt = fact.expiries[c.name] ?? c.expiresAt
        const renewAt = renewal(effect.issuedAt, expiresAt, record.deadlineAt, spread(observed.task.uid))
        return { ...c, attempt: effect.attempt, issuedAt: effect.issuedAt, expiresAt, renewAt }
      })
      const secret = { name: secretName(observed.task.name), uid: fact.secretUid, attempt: effect.attempt }
      return { ...record, attempt: effect.attempt, secret, credentials }
    }
    case 'Withdraw':
      return { ...record, secret: undefined, withdrawnAttempt: record.attempt, credentials: forsaken(record, now) }
    case 'Revoke': {
      if (effect.tag !== 'Revoke') return record
      const { name } = effect.credential
      return { ...record, credentials: record.credentials.map((c) => (c.name === name ? { ...c, revokedAt: wholeSecond(now) } : c)) }
    }
    default:
      return record
  }
}

/**
 * What was never delivered did not die of age, so that nothing that follows it counts as its renewal. Nor did what still worked; outside
 * the cluster its death may be confirmed only after its expiry, so that there it loses its renewal instead.
 */
function forsaken(record: TaskRecord, now: Instant): readonly CredentialRecord[] {
  return record.credentials.map((c) => {
    const [working, delivered] = [works(c, now), wasDelivered(record, c)]
    if (c.handle !== undefined) return working || !delivered ? { ...c, renewAt: undefined } : c
    return working || delivered ? c : { ...c, revokedAt: c.revokedAt ?? wholeSecond(now) }
  })
}

const spent = (record: TaskRecord, attempt: number): TaskRecord => ({
  ...record,
  attempt,
  secret: record.secret === undefined ? undefined : { ...record.secret, attempt },
})

const retriedAtOnce: readonly Outcome['tag'][] = ['lost', 'denied', 'behind', 'absent']

const uncertain = ({ agent, serviceAccount, workload }: Observed): boolean =>
  [agent, serviceAccount, workload].some(({ state }) => state === 'unknown')

function again(observed: Observed, record: TaskRecord, plan: Plan, performed: readonly Performed[], now: Instant): Settled['again'] {
  // `behind` has spent the attempts that are taken, so that the next one goes further
  if (performed.some(({ outcome }) => retriedAtOnce.includes(outcome.tag))) return 'now'
  const failed = performed.filter(({ outcome }) => outcome.tag !== 'done' && outcome.tag !== 'pending')
  if (failed.length > 0) return failed.every(({ effect }) => effect.tag === 'Issue') ? 'refused' : 'backoff'
  // Begun anew once all of it is dead, which the rows tell. Its failures count on: a source that refuses is asked ever more rarely, and
  // each try leaves a row.
  if (plan.standing.kind === 'clear' && performed.some(({ effect }) => effect.tag === 'RevokeLease')) return 'backoff'
  const dying = plan.standing.kind === 'ended' || plan.standing.kind === 'stopped'
  // what is in the ledger's hands is told about by its row
  const handedOver = performed.flatMap(({ effect, outcome }) =>
    effect.tag === 'Revoke' && outcome.tag === 'pending' ? [effect.credential.name] : [],
  )
  const owes = record.credentials.some((c) => isAlive(c, now) && !handedOver.includes(c.name))
  if (dying && (phase(record) !== 'none' || owes)) return 'backoff'
  // What was not known for certain may have changed already, and no event need say so again.
  const stale = plan.standing.kind === 'blocked' && plan.standing.reason === 'StaleView'
  if (stale || (plan.standing.kind === 'stopped' && uncertain(observed))) return 'backoff'
  // Its time after the end is over already: no timer says so.
  const { task } = observed
  const ttl = task.spec.ttlAfterFinished
  // while the ledger has something in hand, its row says when to look again
  const busy = performed.some(({ effect, outcome }) => effect.tag === 'DeleteTask' || outcome.tag === 'pending')
  const deletable = !task.gone && !task.deleting && !busy
  const due = ttl !== undefined && record.completedAt !== undefined && plan.decidedAt >= plus(record.completedAt, ttl)
  return deletable && due ? 'now' : 'none'
}

function decided(before: Report, after: Report, plan: Plan): readonly Note[] {
  if (after.decision === undefined || plan.judgement.kind === 'unjudged') return []
  if (before.decision === after.decision) return []
  return [{ tag: 'decided', decision: after.decision, message: plan.judgement.kind === 'denied' ? plan.judgement.message : '' }]
}

function happened(record: TaskRecord, performed: readonly Performed[]): readonly Note[] {
  return performed.flatMap(({ effect, outcome }): Note[] => {
    if (outcome.tag !== 'done') return []
    switch (effect.tag) {
      case 'Issue':
      case 'Renew':
        return record.credentials.map((credential) => ({ tag: effect.tag === 'Issue' ? 'issued' : 'renewed', credential }))
      case 'Revoke':
        // the ledger tells of its own
        return effect.credential.handle === undefined ? [{ tag: 'revoked', credential: effect.credential }] : []
      default:
        return []
    }
  })
}

function ended({ task }: Observed, plan: Plan, record: TaskRecord, now: Instant): readonly Note[] {
  if (plan.standing.kind !== 'ended' || task.record.completedAt !== undefined || record.completedAt === undefined) return []
  const overrun = Math.max(0, now - record.completedAt) as Duration
  return [{ tag: 'ended', reason: plan.standing.reason, message: plan.standing.message, overrun }]
}

function turned(before: Report, after: Report): readonly Note[] {
  const word = (r: Report) => r.conditions.find((c) => c.type === 'Ready')
  const now = word(after)
  return now === undefined || now.reason === word(before)?.reason ? [] : [{ tag: 'turned', to: now.reason, message: now.message }]
}
