// When things happen: the task's own times, each credential's expiry and renewal, and when to look again.

import { at, earliest, type Instant, milliseconds, minus, plus, seconds, wholeSecond } from '../lib/instant.ts'
import { startBy } from './ending.ts'
import { renewalDue } from './judge.ts'
import type { CredentialProviderFacts, CredentialSpec, Observed, TaskRecord } from './observed.ts'
import type { Judgement, Standing } from './plan.ts'
import { isAlive, isLive, lastExpiry } from './record.ts'

/** A kubelet may need this long until a running pod sees a changed Secret, so a renewal starts no later than that before expiry. */
const propagation = seconds(150)

/** The first pass fixes start and deadline, and binds what it finds; later passes bind what was not there yet. Never resets anything. */
export function begin({ task, agent, serviceAccount, workload, limits }: Observed, now: Instant): TaskRecord {
  const { record, spec } = task
  if (record.completion !== undefined) return record
  const startedAt = record.startedAt ?? wholeSecond(now)
  const active = milliseconds(Math.min(spec.activeDeadline, limits.maxActiveDeadline))
  return {
    ...record,
    startedAt,
    deadlineAt: record.deadlineAt ?? plus(startedAt, active),
    bound: {
      agent: record.bound.agent ?? (agent.state === 'present' ? agent.uid : undefined),
      serviceAccount: record.bound.serviceAccount ?? (serviceAccount.state === 'present' ? serviceAccount.uid : undefined),
      workload: record.bound.workload ?? (workload.state === 'present' ? workload.uid : undefined),
    },
  }
}

/**
 * When one credential issued now dies: never after the task's deadline, the asked life or the provider's ceiling; only where the
 * provider cannot give less than its declared minimum may that reach past the deadline.
 */
export function expiry(
  spec: CredentialSpec,
  provider: Extract<CredentialProviderFacts, { state: 'present' }>,
  deadline: Instant | undefined,
  now: Instant,
): Instant {
  const asked = plus(now, milliseconds(Math.min(spec.ttl, provider.maxTtl)))
  const bounded = deadline === undefined || asked < deadline ? asked : deadline
  const least = plus(now, provider.leastLife)
  return wholeSecond(at(Math.max(bounded, least)))
}

/**
 * Max(ttl/3, 150 s) before expiry, up to a tenth earlier so that many do not renew at once; `undefined` where there is nothing to
 * gain, because the credential lives to the deadline. Never before a quarter of the life is over.
 * @param spread a number in [0, 1) that is the same for the same task
 */
export function renewal(issuedAt: Instant, expiresAt: Instant, deadline: Instant | undefined, spread: number): Instant | undefined {
  if (deadline !== undefined && expiresAt >= deadline) return undefined
  const life = expiresAt - issuedAt
  const lead = Math.max(life / 3, propagation) * (1 + spread / 10)
  const earliestRenewal = plus(issuedAt, milliseconds(life / 4))
  const wanted = minus(expiresAt, milliseconds(lead))
  return wholeSecond(wanted < earliestRenewal ? plus(earliestRenewal, seconds(1)) : wanted)
}

/**
 * When time alone may change the answer; `undefined` where it cannot.
 * @param now when the pass decided: what fell due while its effects ran is still to be looked at, so the answer may be past by now
 */
export function wakeAt(
  observed: Observed,
  record: TaskRecord,
  standing: Standing,
  judgement: Judgement,
  now: Instant,
): Instant | undefined {
  const later = (time: Instant | undefined): Instant | undefined => (time !== undefined && time > now ? time : undefined)
  if (record.completedAt !== undefined) {
    const ttl = observed.task.spec.ttlAfterFinished
    return earliest(lastExpiry(record, now), ttl === undefined ? undefined : later(plus(record.completedAt, ttl)))
  }
  const live = isLive(record, now)
  const renewalWaits = live && renewalDue({ task: { ...observed.task, record } }, now)
  const readsNow =
    (judgement.kind !== 'unjudged' && judgement.readsNow) || (renewalWaits && observed.credentials.some((c) => c.renew?.readsNow === true))
  const judgedAgain = readsNow ? plus(now, observed.limits.rejudge) : undefined
  const start = record.startedAt === undefined ? undefined : startBy({ ...observed, task: { ...observed.task, record } }, record.startedAt)
  return earliest(
    later(record.deadlineAt),
    later(start),
    'until' in standing ? later(standing.until) : undefined,
    judgedAgain,
    ...record.credentials.filter((c) => isAlive(c, now)).flatMap((c) => [later(c.expiresAt), live ? later(c.renewAt) : undefined]),
    lastExpiry(record, now),
  )
}
