// Where a task stands now: ended for good, stopped for a while, blocked, or clear. Pure; says nothing about what to do.

import type { Reason } from '../api/reasons.ts'
import { at, formatTime, type Instant, milliseconds, plus, seconds } from '../lib/instant.ts'
import { findEnding, wordOf } from './ending.ts'
import { renewalDue } from './judge.ts'
import type { Observed } from './observed.ts'
import type { Judgement, Standing } from './plan.ts'
import { isLive } from './record.ts'

export function stand(observed: Observed, judgement: Judgement, now: Instant): Standing {
  const { task } = observed
  if (task.record.completion !== undefined) return ended(task.record.completion, '')
  const ending = findEnding(observed, now)
  if (ending !== undefined) return ended(ending.reason, ending.message)
  return (
    suspended(observed) ??
    missing(observed) ??
    denied(observed, judgement, now) ??
    contested(observed, now) ??
    held(observed, now) ?? { kind: 'clear', until: undefined }
  )
}

function suspended({ task, agent, draining }: Observed): Standing | undefined {
  if (draining)
    return stopped('Suspended', 'Draining', 'the operator was told to take everything back before it is removed; it issues nothing')
  if (task.spec.suspend)
    return stopped('Suspended', 'SuspendedByUser', '`spec.suspend` is true; set it to false to have the task decided afresh')
  if (agent.state === 'present' && agent.suspended)
    return stopped('Suspended', 'AgentSuspended', `Agent \`${task.spec.agent}\` is suspended; its owner can resume it`)
  return undefined
}

/** What the first decision needs and is not there. Once bound, its going is an ending instead. */
function missing({ task, agent, serviceAccount, namespace, workload }: Observed): Standing | undefined {
  if (namespace === 'unknown' || agent.state === 'unknown' || serviceAccount.state === 'unknown' || workload.state === 'unknown')
    return blocked('StaleView', 'what the decision needs is not known for certain yet')
  if (agent.state === 'absent') return blocked('AgentNotFound', `Agent \`${task.spec.agent}\` does not exist in this namespace; create it`)
  if (serviceAccount.state === 'absent')
    return blocked(
      'ServiceAccountNotFound',
      `ServiceAccount \`${agent.serviceAccount}\` of Agent \`${task.spec.agent}\` does not exist; create it`,
    )
  if (workload.state === 'unwatchable') return blocked('WorkloadUnwatchable', workload.message)
  return undefined
}

/** Kinds are watched apart, so a permit applied just before a task may be seen just after it. */
const arrival = seconds(2)

/** A forbid acts at once. The mere loss of a permit must hold for a quiet time before it kills what is live. */
function denied(observed: Observed, judgement: Judgement, now: Instant): Standing | undefined {
  if (judgement.kind === 'unjudged') return blocked(judgement.reason, judgement.message)
  if (judgement.kind === 'allowed') return undefined
  const live = isLive(observed.task.record, now)
  if (live && !judgement.kills) return blocked(judgement.reason, judgement.message)
  if (!live && judgement.settles) {
    if (observed.policyPending)
      return blocked('NotJudged', 'a policy that applies here is being brought into force; the task is judged once it is')
    const arrived = plus(observed.task.createdAt, arrival)
    if (now < arrived && observed.task.record.attempt === 0)
      return blocked('NotJudged', 'no policy permits it so far; one that was applied together with it may still be on its way', arrived)
  }
  if (live && judgement.settles) {
    const settled = plus(observed.policyChangedAt, observed.limits.policySettle)
    // a change in the future means that the clock went back: then nothing is known of the quiet time, and it kills
    if (observed.policyChangedAt <= now && now < settled) return blocked(judgement.reason, judgement.message, settled)
  }
  return stopped('Denied', judgement.reason, judgement.message)
}

const [firstWait, longestWait] = [seconds(30), seconds(3600)]

/**
 * Whoever ended it at its source may do so again. The first time it is issued afresh at once, then after a wait that doubles; what is left of
 * the set before is ended first.
 */
function contested({ task, leases }: Observed, now: Instant): Standing | undefined {
  const losses = leases.filter(({ foundDead }) => foundDead?.after === 'Reissue')
  const times = new Set(losses.map(({ attempt }) => attempt)).size
  if (times < 2 || isLive(task.record, now) || leases.some(({ open }) => open)) return undefined
  const last = at(Math.max(...losses.map(({ foundDead }) => foundDead?.at ?? 0)))
  const until = plus(last, milliseconds(Math.min(longestWait, firstWait * 2 ** (times - 2))))
  // a loss in the future means that the clock went back
  if (last > now || now >= until) return undefined
  const message = `somebody else ended its credentials at their source ${times} times; they are issued again at ${formatTime(until)}`
  return blocked('RevokedExternally', message, until)
}

function held({ hold, task, credentials, olderPod }: Observed, now: Instant): Standing | undefined {
  if (hold !== undefined) return blocked(hold.reason, hold.message)
  // what is live and need not be renewed yet has nothing to wait for
  const waits = !isLive(task.record, now) || renewalDue({ task }, now)
  for (const { name, provider } of waits ? credentials : []) {
    if (provider.state === 'present' && provider.notReady !== undefined)
      return blocked('ProviderNotReady', `credential \`${name}\`: the provider is not ready: ${provider.notReady}`)
  }
  if (olderPod !== undefined && task.record.attempt === 0)
    return blocked(
      'SecretStillMounted',
      `pod \`${olderPod}\` is older than the task, carries its label and would receive its credentials; delete the pod or let it finish`,
    )
  return undefined
}

function ended(reason: Reason, message: string): Standing {
  return { kind: 'ended', word: wordOf(reason), reason, message }
}

function stopped(word: 'Denied' | 'Suspended', reason: Reason, message: string): Standing {
  return { kind: 'stopped', word, reason, message }
}

function blocked(reason: Reason, message: string, until?: Instant): Standing {
  return { kind: 'blocked', reason, message, until }
}
