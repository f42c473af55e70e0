// The decision about one task at one moment: same input, same plan. It dispatches; each case has a function of its own.

import { digest } from '../lib/canonical.ts'
import { type Instant, plus, wholeSecond } from '../lib/instant.ts'
import { unreachable } from '../lib/unreachable.ts'
import { judge, questions, renewalDue } from './judge.ts'
import { claims } from './lease.ts'
import { begin, expiry, renewal } from './lifetime.ts'
import { secretName } from './names.ts'
import type { CredentialRecord, LeaseFacts, Observed, TaskRecord } from './observed.ts'
import type { Effect, IssueOrder, Judgement, Plan } from './plan.ts'
import { isAlive, isLive, phase } from './record.ts'
import { stand } from './standing.ts'

/**
 * With how many later attempts one Withdraw without a UID tries to learn it, before it answers `behind`. Only one: each further attempt
 * is recorded by compare-and-set before, or a leader that others have followed could overtake the Secret of its successor.
 */
export const withdrawTries = 1

/** @param now wall-clock time; the core reads no clock */
export function decide(observed: Observed, now: Instant): Plan {
  return { ...plan(observed, now), decidedAt: now }
}

function plan(observed: Observed, now: Instant): Omit<Plan, 'decidedAt'> {
  const record = buried(begin(observed, now), observed.leases, now)
  const known: Observed = { ...observed, task: { ...observed.task, record } }
  const judged = judge(known, questions(known, now).standing)
  const standing = stand(known, judged, now)
  // an answer that is not taken as one yet is not reported as one either
  const early = standing.kind === 'ended' || (standing.kind === 'blocked' && standing.reason === 'NotJudged')
  const judgement: Judgement = early ? { kind: 'unjudged', reason: 'NotJudged', message: standing.message } : judged
  switch (standing.kind) {
    case 'ended': {
      const completed = { ...record, completedAt: record.completedAt ?? wholeSecond(now), completion: record.completion ?? standing.reason }
      return { standing, judgement, record: completed, effects: [...withdraw(known, now), ...remove(known, completed, now)] }
    }
    case 'stopped':
      return { standing, judgement, record, effects: stop(known, now) }
    case 'blocked':
      return { standing, judgement, record, effects: [] }
    case 'clear':
      return isLive(record, now)
        ? { standing, judgement, record, effects: maintain(known, now) }
        : { standing, judgement, record, effects: activate(known, now) }
    default:
      return unreachable(standing)
  }
}

/**
 * What its row says is dead is dead, also where the record has it delivered: whoever killed it may have seen an older record, or known of
 * a later intent than whoever delivered it. The task then goes on with a new attempt.
 */
function buried(record: TaskRecord, leases: Observed['leases'], now: Instant): TaskRecord {
  const dead = leases.flatMap((lease) => (lease.dead === true ? [lease.handle] : []))
  const dies = (c: CredentialRecord): boolean => c.revokedAt === undefined && c.handle !== undefined && dead.includes(c.handle)
  if (!record.credentials.some(dies)) return record
  return { ...record, credentials: record.credentials.map((c) => (dies(c) ? { ...c, revokedAt: wholeSecond(now) } : c)) }
}

/** Nothing works here: a new attempt with everything new. What an open intent may have left behind is overwritten or refused. */
function activate({ task, credentials, leases }: Observed, now: Instant): readonly Effect[] {
  const { record } = task
  // what only has to expire is waited for by nobody: all that can be done about it was done
  const owed = leases.filter((lease) => lease.open && lease.expiring !== true)
  const newest = Math.max(record.attempt, ...leases.map((lease) => (lease.open ? (lease.attempt ?? 0) : 0)))
  if (owed.length > 0) return clearAway(record, owed, newest)
  const attempt = newest + 1
  const issuedAt = wholeSecond(now)
  const made = task.spec.credentials.flatMap((spec): CredentialRecord[] => {
    const provider = credentials.find((c) => c.name === spec.name)?.provider
    if (provider?.state !== 'present') return []
    const expiresAt = expiry(spec, provider, record.deadlineAt, now)
    return [
      {
        name: spec.name,
        provider: { ...spec.provider, uid: provider.uid, type: provider.type },
        attempt,
        statusList: undefined,
        handle: undefined,
        issuedAt,
        expiresAt,
        renewAt: renewal(issuedAt, expiresAt, record.deadlineAt, spread(task.uid)),
        revocation: provider.revocation,
        revokedAt: undefined,
      },
    ]
  })
  const orders = made.map(order)
  const intent: TaskRecord = { ...record, attempt, credentials: made, requestDigest: requestDigest(task.spec) }
  return [
    { tag: 'RecordIntent', record: intent, orders },
    { tag: 'Issue', attempt, issuedAt, orders },
  ]
}

/**
 * Never adopted, never guessed about: what an earlier attempt may have made outside dies before the next one begins. Whoever made it may
 * be about to record that it is delivered, so its attempt is spent by compare-and-set before, as for a stop.
 */
function clearAway(record: TaskRecord, open: readonly LeaseFacts[], newest: number): readonly Effect[] {
  const { attempt } = record
  const mayLive = open.some((lease) => (lease.attempt ?? attempt) >= attempt || claims(record, lease.handle))
  const spent: TaskRecord = { ...record, attempt: newest + 1 }
  return [
    ...(mayLive ? [{ tag: 'RecordIntent' as const, record: spent, orders: [] }] : []),
    ...open.map((lease): Effect => ({ tag: 'RevokeLease', lease })),
  ]
}

/** Renews every credential of the set together, since one Secret write replaces all of it. Only while policy still allows. */
function maintain(observed: Observed, now: Instant): readonly Effect[] {
  if (!renewalDue(observed, now) || judge(observed, 'renew').kind !== 'allowed') return []
  const { record, spec } = observed.task
  const orders = record.credentials.flatMap((c): IssueOrder[] => {
    const wanted = spec.credentials.find((s) => s.name === c.name)
    const provider = observed.credentials.find((f) => f.name === c.name)?.provider
    if (wanted === undefined || provider?.state !== 'present') return []
    return [{ name: c.name, provider: c.provider, expiresAt: expiry(wanted, provider, record.deadlineAt, now) }]
  })
  return [{ tag: 'Renew', attempt: record.attempt + 1, issuedAt: wholeSecond(now), orders }]
}

/**
 * A stop may be taken back at any moment, so its attempt is spent by compare-and-set before anything dies: whatever becomes of this
 * pass, the record never again says that what it killed is live.
 */
function stop({ task, ...rest }: Observed, now: Instant): readonly Effect[] {
  const record: TaskRecord = { ...task.record, attempt: task.record.attempt + 1 }
  const dying = withdraw({ ...rest, task }, now)
  if (dying[0]?.tag !== 'Withdraw') return dying
  const [{ secret, uid }, ...revocations] = dying as readonly [Extract<Effect, { tag: 'Withdraw' }>, ...Effect[]]
  return [{ tag: 'RecordIntent', record, orders: [] }, { tag: 'Withdraw', secret, uid, attempt: record.attempt }, ...revocations]
}

/** The Secret first, then every source. Repeated until all is confirmed; an expired credential needs no revocation. */
function withdraw({ task, leases }: Observed, now: Instant): readonly Effect[] {
  const { record } = task
  const { attempt } = record
  const stage = phase(record)
  // While an intent is open, its write may have made another Secret than the one that the record knows.
  const uid = stage === 'delivered' ? record.secret?.uid : undefined
  const gone: Effect[] = stage === 'none' ? [] : [{ tag: 'Withdraw', secret: secretName(task.name), uid, attempt }]
  const alive = record.credentials.filter((c) => isAlive(c, now))
  const strays = leases.filter(({ handle, open }) => open && !alive.some((c) => c.handle === handle))
  return [
    ...gone,
    ...alive.map((credential): Effect => ({ tag: 'Revoke', credential })),
    ...strays.map((lease): Effect => ({ tag: 'RevokeLease', lease })),
  ]
}

/** Only once nothing is left to do for it, and its time after the end is over. */
function remove({ task, leases }: Observed, record: TaskRecord, now: Instant): readonly Effect[] {
  const ttl = task.spec.ttlAfterFinished
  if (ttl === undefined || task.gone || task.deleting || task.record.completedAt === undefined || record.completedAt === undefined)
    return []
  const settled = phase(record) === 'none' && !leases.some(({ open }) => open) && !record.credentials.some((c) => isAlive(c, now))
  return settled && now >= plus(record.completedAt, ttl) ? [{ tag: 'DeleteTask', uid: task.uid }] : []
}

const order = ({ name, provider, expiresAt }: CredentialRecord): IssueOrder => ({ name, provider, expiresAt })

/** What was asked for, without the three fields that may change. */
function requestDigest({ end: _end, suspend: _suspend, ttlAfterFinished: _ttl, ...rest }: Observed['task']['spec']): string {
  return digest(rest)
}

/** A number in [0, 1) that is the same for the same task, so that one plan follows from one input. */
export const spread = (uid: string): number => Number.parseInt(digest(uid).slice(7, 15), 16) / 2 ** 32
