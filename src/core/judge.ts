// Turns what providers and policies say about each credential into one answer for the whole task: all or nothing.

import type { Reason } from '../api/reasons.ts'
import type { Instant } from '../lib/instant.ts'
import type { CredentialFacts, Decision, Observed } from './observed.ts'
import type { Judgement } from './plan.ts'
import { diedOfAge, isLive } from './record.ts'

/** What to ask policy about every credential of a task. */
export interface Questions {
  /** whether the task may hold its credentials: decides between live and dead */
  readonly standing: 'issue' | 'renew'
  /** whether they may be renewed now: asked only where renewal is due */
  readonly renew: boolean
}

/** A set that died of age is followed by a renewal; everything else is an issue. */
export function questions(observed: Pick<Observed, 'task'>, now: Instant): Questions {
  const { record } = observed.task
  if (diedOfAge(record, now)) return { standing: 'renew', renew: false }
  return { standing: 'issue', renew: isLive(record, now) && renewalDue(observed, now) }
}

export function renewalDue({ task }: Pick<Observed, 'task'>, now: Instant): boolean {
  return task.record.credentials.some((c) => c.renewAt !== undefined && c.renewAt <= now)
}

type Denied = Extract<Judgement, { kind: 'denied' }>

const sorted = (ids: Iterable<string>): readonly string[] => [...new Set(ids)].sort()

/**
 * Judges all credentials by one action's answers. The denial that kills soonest speaks for the task, of several the first in the order
 * of the spec; what could not be judged shields no other credential from it.
 */
export function judge(observed: Observed, action: 'issue' | 'renew'): Judgement {
  const decisions: Decision[] = []
  const denials: Denied[] = []
  let missing: Judgement | undefined
  for (const spec of observed.task.spec.credentials) {
    const facts = observed.credentials.find((c) => c.name === spec.name)
    const provider = facts?.provider
    if (facts === undefined || provider === undefined || provider.state === 'absent') {
      missing ??= unjudged(
        'ProviderNotFound',
        `credential \`${spec.name}\`: ${spec.provider.kind} \`${spec.provider.name}\` does not exist; create it or name another`,
      )
      continue
    }
    if (provider.refusal !== undefined) {
      denials.push(
        denied(provider.refusal.reason, `credential \`${spec.name}\`: ${provider.refusal.message}`, undefined, {
          settles: false,
          kills: true,
        }),
      )
      continue
    }
    const decision = facts[action]
    if (decision === undefined) {
      missing ??= unjudged('NotJudged', 'policy was not asked yet')
      continue
    }
    decisions.push(decision)
    if (decision.outcome !== 'allow') denials.push(denial(observed, facts, decision))
  }
  const readsNow = decisions.some((d) => d.readsNow)
  const killing = denials.find((d) => d.kills && !d.settles) ?? denials.find((d) => d.kills)
  if (killing !== undefined) return { ...killing, readsNow }
  if (missing !== undefined) return missing
  const first = denials[0]
  if (first !== undefined) return { ...first, readsNow }
  return {
    kind: 'allowed',
    policies: sorted(decisions.flatMap((d) => d.policies.map((p) => p.id))),
    digest: decisions[0]?.digest ?? '',
    readsNow,
  }
}

function denial(observed: Observed, facts: CredentialFacts, decision: Decision): Denied {
  const where = `credential \`${facts.name}\``
  const named = decision.policies
    .map((p) => (p.message === undefined ? `\`${p.id}\`` : `\`${p.id}\` (${p.message})`))
    .sort()
    .join(', ')
  switch (decision.outcome) {
    case 'forbid':
      return denied('PolicyDenied', `${where}: forbidden by ${named}`, decision, { settles: false, kills: true })
    case 'error':
      return denied('PolicyError', `${where}: a policy could not be evaluated: ${decision.errors.join('; ')}`, decision, {
        settles: false,
        kills: true,
      })
    case 'invalidPolicy':
      return denied('PolicyInvalid', `${where}: ${decision.errors.join('; ')}`, decision, {
        settles: true,
        kills: !decision.permitted,
      })
    default: {
      const requester = observed.requesterUnknown === undefined ? '' : `; ${observed.requesterUnknown}`
      const named =
        facts.provider.state === 'present' && facts.provider.byName === true
          ? ' by name: this provider is an exception, so a permit must say `resource == …` of it'
          : ''
      return denied('NoPolicyMatched', `${where}: no policy permits it${named}${requester}`, decision, { settles: true, kills: true })
    }
  }
}

function denied(
  reason: Reason,
  message: string,
  decision: Decision | undefined,
  weight: { readonly settles: boolean; readonly kills: boolean },
): Denied {
  return {
    kind: 'denied',
    reason,
    message,
    policies: sorted(decision?.policies.map((p) => p.id) ?? []),
    digest: decision?.digest,
    readsNow: decision?.readsNow ?? false,
    ...weight,
  }
}

function unjudged(reason: Reason, message: string): Judgement {
  return { kind: 'unjudged', reason, message }
}
