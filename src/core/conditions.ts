// What readers of a task see: six conditions, the decision, the soonest expiry. Derived each time; a message says what failed,
// for which credential, what happens next and what the reader can do, and holds nothing that changes by itself.

import type { Reason } from '../api/reasons.ts'
import { earliest, formatTime, type Instant, wholeSecond } from '../lib/instant.ts'
import { unreachable } from '../lib/unreachable.ts'
import type { Condition, ConditionType, Failure, Observed, Report, TaskRecord } from './observed.ts'
import type { Judgement, Plan } from './plan.ts'
import { isAlive, isLive, lastExpiry, lasts, phase } from './record.ts'

interface Draft {
  readonly status: Condition['status']
  readonly reason: Reason
  readonly message: string
}

export function report(observed: Observed, plan: Plan, record: TaskRecord, failure: Failure | undefined, now: Instant): Report {
  const before = observed.task.report
  const drafts: Readonly<Record<ConditionType, Draft>> = {
    Ready: ready(plan, record, failure, now),
    Authorized: judged(plan.judgement),
    Issued: issued(plan, record, failure, now),
    Revoked: revoked(observed, plan, record, failure, now),
    Complete: final(plan, true),
    Failed: final(plan, false),
  }
  const live = isLive(record, now)
  return {
    observedGeneration: observed.task.generation,
    conditions: types.map((type) => merge(observed.task, plan, type, drafts[type], now)),
    decision: decision(before, plan.judgement, plan, now),
    expiresAt: live ? earliest(...record.credentials.map((c) => c.expiresAt)) : undefined,
  }
}

const types: readonly ConditionType[] = ['Ready', 'Authorized', 'Issued', 'Revoked', 'Complete', 'Failed']

/** Keeps the transition time while the status stays; a task that is over keeps the words of its end and its last decision. */
function merge(task: Observed['task'], { standing }: Plan, type: ConditionType, draft: Draft, now: Instant): Condition {
  const old = task.report.conditions.find((c) => c.type === type)
  const kept = type === 'Authorized' ? standing.kind === 'ended' : task.record.completedAt !== undefined && ofTheEnd.includes(type)
  if (old !== undefined && kept) return old
  const lastTransitionTime = old !== undefined && old.status === draft.status ? old.lastTransitionTime : wholeSecond(now)
  return { type, ...draft, message: draft.message.slice(0, 4096), observedGeneration: task.generation, lastTransitionTime }
}

const ofTheEnd: readonly ConditionType[] = ['Ready', 'Complete', 'Failed']

function ready({ standing }: Plan, record: TaskRecord, failure: Failure | undefined, now: Instant): Draft {
  switch (standing.kind) {
    case 'ended':
    case 'stopped':
      return { status: 'False', reason: standing.word, message: standing.message }
    case 'blocked':
    case 'clear': {
      const why = failure?.message ?? (standing.kind === 'blocked' ? standing.message : '')
      if (isLive(record, now))
        return { status: 'True', reason: 'Active', message: why === '' ? '' : `live, but not renewed at the moment: ${why}` }
      return { status: 'False', reason: 'Pending', message: why === '' ? 'credentials are being issued' : why }
    }
    default:
      return unreachable(standing)
  }
}

function judged(judgement: Judgement): Draft {
  switch (judgement.kind) {
    case 'allowed':
      return { status: 'True', reason: 'Allowed', message: `permitted by ${judgement.policies.map((p) => `\`${p}\``).join(', ')}` }
    case 'denied':
      return { status: 'False', reason: judgement.reason, message: judgement.message }
    case 'unjudged':
      return { status: 'Unknown', reason: 'NotJudged', message: judgement.message }
    default:
      return unreachable(judgement)
  }
}

function issued({ standing }: Plan, record: TaskRecord, failure: Failure | undefined, now: Instant): Draft {
  if (isLive(record, now) && (standing.kind === 'clear' || standing.kind === 'blocked'))
    return {
      status: 'True',
      reason: 'Issued',
      message: `Secret \`${record.secret?.name ?? ''}\` holds ${record.credentials.map((c) => `\`${c.name}\``).join(', ')}`,
    }
  if (failure !== undefined) return { status: 'False', reason: failure.reason, message: `${failure.message}; it is tried again` }
  if (record.attempt > 0 && phase(record) === 'none')
    return { status: 'False', reason: 'Withdrawn', message: 'the Secret of the task is deleted' }
  if (standing.kind === 'ended') return { status: 'False', reason: record.attempt === 0 ? 'NothingIssued' : 'Waiting', message: '' }
  return {
    status: 'False',
    reason: standing.kind === 'blocked' ? standing.reason : 'Waiting',
    message: standing.kind === 'clear' ? '' : standing.message,
  }
}

function revoked({ leases }: Observed, { standing }: Plan, record: TaskRecord, failure: Failure | undefined, now: Instant): Draft {
  const over = standing.kind === 'ended' || standing.kind === 'stopped'
  if (record.attempt === 0) return { status: over ? 'True' : 'Unknown', reason: 'NothingIssued', message: '' }
  if (!over) return { status: 'False', reason: 'StillLive', message: '' }
  const expiring = leases.filter((lease) => lease.open && lease.expiring === true)
  const waited = ({ handle }: TaskRecord['credentials'][number]): boolean => expiring.some((lease) => lease.handle === handle)
  const owed =
    leases.some((lease) => lease.open && lease.expiring !== true) || record.credentials.some((c) => isAlive(c, now) && !waited(c))
  if (phase(record) !== 'none' || owed)
    return {
      status: 'False',
      reason: 'RevocationUnconfirmed',
      message: `${failure?.message ?? 'not confirmed yet'}; it is tried until it is`,
    }
  const givenUp = leases.find(({ open, dead }) => !open && dead !== true)
  if (givenUp !== undefined)
    return { status: 'False', reason: 'Irrevocable', message: `credential \`${givenUp.credential}\`: ${givenUp.message ?? ''}` }
  const lasting = record.credentials.find(lasts)
  if (lasting !== undefined)
    return {
      status: 'False',
      reason: 'ValueRemains',
      message: `credential \`${lasting.name}\`: its value existed before the task and works until it is changed at its source`,
    }
  if (expiring.length > 0)
    return {
      status: 'False',
      reason: 'ExpiresAt',
      message: expiring.map(({ credential, message }) => `credential \`${credential}\`: ${message ?? ''}`).join('; '),
    }
  const dies = lastExpiry(record, now)
  if (dies !== undefined)
    return { status: 'False', reason: 'ExpiresAt', message: `what cannot be revoked at its source dies at ${formatTime(dies)}` }
  return { status: 'True', reason: 'AllRevoked', message: '' }
}

function final({ standing }: Plan, wantsSuccess: boolean): Draft {
  if (standing.kind !== 'ended') return { status: 'False', reason: 'NotFinished', message: '' }
  const success = standing.word === 'Completed'
  return { status: success === wantsSuccess ? 'True' : 'False', reason: standing.reason, message: standing.message }
}

function decision(before: Report, judgement: Judgement, plan: Plan, now: Instant): Report['decision'] {
  if (judgement.kind === 'unjudged' || plan.standing.kind === 'ended') return before.decision
  const allowed = judgement.kind === 'allowed'
  const reason: Reason = judgement.kind === 'allowed' ? 'Allowed' : judgement.reason
  const { policies, digest = '' } = judgement
  const old = before.decision
  if (old !== undefined && old.reason === reason && old.policies.join() === policies.join()) return old
  return { allowed, reason, policies, digest, time: wholeSecond(now) }
}
