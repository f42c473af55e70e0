// Carries out a plan: one handler a tag. What makes credentials stops at the first effect that is not done; what ends them never
// waits for another.

import { providerKey } from '../core/names.ts'
import type { Effect, Outcome, Performed } from '../core/plan.ts'
import { describeError, isConflict, isNotFound } from '../kube/errors.ts'
import { unreachable } from '../lib/unreachable.ts'
import type { SpanAttributes, SpanName, Tracer } from '../ports/tracer.ts'
import { type IntentDeps, recordIntent } from './effects/intent.ts'
import { type IssueDeps, issue } from './effects/issue.ts'
import type { Pass } from './effects/pass.ts'
import { tasksResource } from './effects/status.ts'
import { withdraw } from './effects/withdraw.ts'
import type { Ledger } from './ledger/ledger.ts'

export interface ApplyDeps extends IssueDeps, IntentDeps {
  readonly ledger: Pick<Ledger, 'intend' | 'full' | 'note' | 'noted' | 'keeping' | 'revoke'>
  readonly tracer: Pick<Tracer, 'span'>
}

/** What issues has spans of its own, one a credential. */
const spans: Readonly<Partial<Record<Effect['tag'], SpanName>>> = {
  RecordIntent: 'task.intent',
  Withdraw: 'secret.delete',
  Revoke: 'credential.revoke',
  RevokeLease: 'credential.revoke',
  DeleteTask: 'task.delete',
}

function attributesOf(effect: Effect, namespace: string): SpanAttributes {
  if (effect.tag === 'Revoke') return { credential: effect.credential.name, provider: providerKey(effect.credential.provider, namespace) }
  return effect.tag === 'RevokeLease' ? { credential: effect.lease.credential, attempt: effect.lease.attempt } : {}
}

export type Apply = (pass: Pass) => Promise<readonly Performed[]>

export function createApply(deps: ApplyDeps): Apply {
  async function perform(pass: Pass, effect: Effect): Promise<Outcome> {
    switch (effect.tag) {
      case 'RecordIntent':
        return recordIntent(deps, pass, effect)
      case 'Issue':
      case 'Renew':
        return issue(deps, pass, effect)
      case 'Withdraw':
        return withdraw(deps, pass.observed.task, effect)
      case 'Revoke':
        return revoke(pass.observed.task.namespace, effect)
      case 'RevokeLease':
        return handOver(effect.lease.handle, 'RevokeLease')
      case 'DeleteTask':
        return deleteTask(pass, effect)
      default:
        return unreachable(effect)
    }
  }

  /** Without a row nothing was made, since a row comes before anything else. */
  async function handOver(handle: string, of: 'Revoke' | 'RevokeLease'): Promise<Outcome> {
    const failure = await deps.ledger.revoke(handle)
    return failure === undefined ? { tag: 'done', fact: { of } } : { tag: 'pending', failure }
  }

  async function revoke(namespace: string, { credential }: Extract<Effect, { tag: 'Revoke' }>): Promise<Outcome> {
    if (credential.handle !== undefined) return handOver(credential.handle, 'Revoke')
    const provider = deps.findProvider(credential.provider.type, credential.provider.kind)
    if (provider === undefined) {
      const message = `credential \`${credential.name}\`: no provider of type \`${credential.provider.type}\` is known to this version`
      return { tag: 'stalled', failure: { reason: 'RevocationUnconfirmed', message } }
    }
    const object = deps.views.providers.get(providerKey(credential.provider, namespace))
    const params = object?.uid === credential.provider.uid ? object.params : undefined
    const done = await provider.revoke(params, credential.statusList === undefined ? {} : { statusList: credential.statusList })
    return done.ok ? { tag: 'done', fact: { of: 'Revoke' } } : { tag: 'retry', failure: done.failure }
  }

  async function deleteTask({ observed: { task } }: Pass, { uid }: Extract<Effect, { tag: 'DeleteTask' }>): Promise<Outcome> {
    if (!deps.leads()) return { tag: 'lost' }
    const removed = await deps.writes.remove({ resource: tasksResource, namespace: task.namespace, name: task.name }, { uid })
    if (removed.ok || isNotFound(removed.failure) || isConflict(removed.failure)) return { tag: 'done', fact: { of: 'DeleteTask' } }
    return { tag: 'retry', failure: { reason: 'WriteFailed', message: `the task could not be deleted: ${describeError(removed.failure)}` } }
  }

  async function traced(effect: Effect, namespace: string, work: () => Promise<Outcome>): Promise<Outcome> {
    const name = spans[effect.tag]
    if (name === undefined) return work()
    return deps.tracer.span(name, attributesOf(effect, namespace), async (span) => {
      const outcome = await work()
      span.set({ result: outcome.tag })
      if ('failure' in outcome && outcome.tag !== 'pending') span.failed(outcome.failure.reason)
      return outcome
    })
  }

  return async (pass) => {
    const performed: Performed[] = []
    for (const effect of pass.plan.effects) {
      const outcome = await traced(effect, pass.observed.task.namespace, () => perform(pass, effect))
      performed.push({ effect, outcome })
      const makes = effect.tag === 'RecordIntent' || effect.tag === 'Issue' || effect.tag === 'Renew'
      // what is to die dies, also where that cannot be written down
      const unwritten = pass.plan.standing.kind === 'stopped' && outcome.tag === 'retry'
      if (makes && outcome.tag !== 'done' && !unwritten) break
    }
    return performed
  }
}
