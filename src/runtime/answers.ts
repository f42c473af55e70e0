// Asks policy, and remembers the last answers for a moment: between issuing and delivering the same question is asked again, and as a rule
// nothing has changed. An answer stands only while no policy changed and the question is the same to the letter, and never where a
// policy reads the clock.

import { providerKey } from '../core/names.ts'
import { canonical } from '../lib/canonical.ts'
import { milliseconds } from '../lib/instant.ts'
import type { Answer, AuditDifference, AuthorizationRequest, Authorizer } from '../ports/authorizer.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Meter } from '../ports/meter.ts'

export interface AnswersDeps {
  readonly authorizer: Authorizer
  readonly clock: Pick<Clock, 'monotonic'>
  readonly meter: Pick<Meter, 'evaluation' | 'wouldBe'>
  readonly log: Pick<Log, 'info'>
}

export interface Answers {
  ask(request: AuthorizationRequest): Answer
}

/** More than what is in work at a time. */
const remembered = 512

export function createAnswers({ authorizer, clock, meter, log }: AnswersDeps): Answers {
  const known = new Map<string, Answer>()
  let revision = authorizer.revision()
  /** A policy in Audit mode changes nothing; what it would have changed is counted and logged. */
  function tell({ agent, provider, action }: AuthorizationRequest, { outcome, policies }: AuditDifference): void {
    meter.wouldBe(outcome)
    log.info('policies in Audit mode would have changed an answer', {
      agent: `${agent.namespace}/${agent.name}`,
      provider: providerKey(provider, provider.namespace ?? ''),
      action,
      outcome,
      policies: policies.map(({ id }) => id),
    })
  }

  return {
    ask(request) {
      if (revision !== authorizer.revision()) {
        known.clear()
        revision = authorizer.revision()
      }
      const question = canonical({ ...request, now: undefined })
      const before = known.get(question)
      if (before !== undefined) return before
      const started = clock.monotonic()
      const answer = authorizer.authorize(request)
      meter.evaluation(milliseconds(clock.monotonic() - started))
      if (answer.audit !== undefined) tell(request, answer.audit)
      if (!answer.readsNow) known.set(question, answer)
      const [oldest] = known.keys()
      if (known.size > remembered && oldest !== undefined) known.delete(oldest)
      return answer
    },
  }
}
