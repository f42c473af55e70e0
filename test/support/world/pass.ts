// One pass of the core in which every effect does what it should, or what the test says. Holds no state and reads no clock.

import { decide } from '../../../src/core/decide.ts'
import { asUid } from '../../../src/core/names.ts'
import type { LeaseFacts, Observed } from '../../../src/core/observed.ts'
import type { Effect, Outcome, Performed, Plan } from '../../../src/core/plan.ts'
import { type Settled, settle } from '../../../src/core/settle.ts'
import type { Instant } from '../../../src/lib/instant.ts'
import { handleIn } from './observed.ts'

/** What a handler answers when all goes well. */
export function success(effect: Effect): Outcome {
  switch (effect.tag) {
    case 'RecordIntent': {
      const { attempt } = effect.record
      const credentials = effect.record.credentials.map((c, index) => {
        if (effect.orders.length === 0) return c
        return c.revocation.class === 'Immediate'
          ? { ...c, handle: handleIn(c.name, attempt) }
          : { ...c, statusList: { uri: 'list', index } }
      })
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
  const task = { ...observed.task, record: settled.record, report: settled.report }
  const next = { ...observed, task, leases: performed.reduce(rowsAfter, observed.leases) }
  return { plan, performed, settled, next }
}

/** The rows as the ledger would leave them. */
function rowsAfter(leases: readonly LeaseFacts[], { effect, outcome }: Performed): readonly LeaseFacts[] {
  if (outcome.tag !== 'done') return leases
  const handle = effect.tag === 'RevokeLease' ? effect.lease.handle : effect.tag === 'Revoke' ? effect.credential.handle : undefined
  if (outcome.fact.of === 'RecordIntent') {
    const { attempt, credentials } = outcome.fact.record
    const made = credentials.filter((c) => c.attempt === attempt && c.handle !== undefined)
    return [
      ...leases,
      ...made.map((c): LeaseFacts => ({ handle: c.handle ?? '', credential: c.name, attempt, open: true, message: undefined })),
    ]
  }
  return leases.map((lease) => (lease.handle === handle && lease.open ? { ...lease, open: false, dead: true } : lease))
}
