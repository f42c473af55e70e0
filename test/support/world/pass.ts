// One pass of the core in which every effect does what it should, or what the test says. Holds no state and reads no clock.

import { decide } from '../../../src/core/decide.ts'
import { asUid } from '../../../src/core/names.ts'
import type { Observed } from '../../../src/core/observed.ts'
import type { Effect, Outcome, Performed, Plan } from '../../../src/core/plan.ts'
import { type Settled, settle } from '../../../src/core/settle.ts'
import type { Instant } from '../../../src/lib/instant.ts'

/** What a handler answers when all goes well. */
export function success(effect: Effect): Outcome {
  switch (effect.tag) {
    case 'RecordIntent': {
      const credentials = effect.record.credentials.map((c, index) => ({ ...c, statusList: { uri: 'list', index } }))
      return { tag: 'done', fact: { of: 'RecordIntent', record: { ...effect.record, credentials } } }
    }
    case 'Issue':
    case 'Renew': {
      const expiries = Object.fromEntries(effect.orders.map((o) => [o.name, o.expiresAt]))
      return { tag: 'done', fact: { of: effect.tag, secretUid: asUid('secret-1'), expiries } }
    }
    default:
      return { tag: 'done', fact: { of: effect.tag } }
  }
}

export interface Passed {
  readonly plan: Plan
  readonly performed: readonly Performed[]
  readonly settled: Settled
  /** the same world as the next pass would see it */
  readonly next: Observed
}

export function runPass(observed: Observed, now: Instant, answer: (effect: Effect) => Outcome = success): Passed {
  const plan = decide(observed, now)
  const performed: Performed[] = []
  for (const effect of plan.effects) {
    const outcome = answer(effect)
    performed.push({ effect, outcome })
    const makes = effect.tag === 'RecordIntent' || effect.tag === 'Issue' || effect.tag === 'Renew'
    if (makes && outcome.tag !== 'done') break
  }
  const settled = settle(observed, plan, performed, now)
  const next = { ...observed, task: { ...observed.task, record: settled.record, report: settled.report } }
  return { plan, performed, settled, next }
}
