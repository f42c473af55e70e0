// Whether the admission policies that bind the operator and its users are in force. While those that bind the operator are not,
// nothing is issued; while the check of requesters is not, nobody's name is believed.

import type { Failure } from '../core/observed.ts'
import type { KubeClient } from '../kube/client.ts'
import { type ApiError, describeError } from '../kube/errors.ts'
import { pathOf } from '../kube/objects.ts'
import type { StoreView } from '../kube/store.ts'
import { at, formatTime, type Instant, parseTime, plus, seconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import { record, text } from './objects/fields.ts'
import type { Document } from './storage.ts'

/** A policy or binding as watched: enough to see that it was changed or replaced. */
export interface AdmissionObject {
  readonly name: string
  readonly uid: string
  readonly generation: number
  readonly createdAt: Instant
}

export interface FencesDeps {
  readonly client: Pick<KubeClient, 'request'>
  readonly policies: StoreView<AdmissionObject>
  readonly bindings: StoreView<AdmissionObject>
  /** a namespace outside the operator's own, to try a forbidden write in (a dry run) */
  readonly probeNamespace: string
  readonly document: Document
  readonly clock: Clock
  readonly log: Log
  readonly changed: () => void
}

export interface Fences {
  /**
   * Tries what must be refused, and looks at what is installed. Called at the start, on changes, and now and then; soon again where the API
   * server did not answer, since nothing is issued meanwhile.
   */
  check(): Promise<'answered' | 'unanswered'>
  /** why nothing may be issued; `undefined` when all is in force */
  hold(): Failure | undefined
  /** since when `spec.requestedBy` is vouched for without a gap */
  vouchedSince(): Instant | undefined
}

const required = ['taskbound-operator-fence', 'taskbound-secret-guard', 'taskbound-pod-label', 'taskbound-task-status'] as const
const requesterCheck = 'taskbound-requester-check'
/** A new policy takes some seconds until every API server enforces it. */
const spreading = seconds(5)

const isFence = (failure: ApiError): boolean => failure.kind === 'http' && failure.message.includes('taskbound-operator-fence')

export function createFences(deps: FencesDeps): Fences {
  const { client, policies, bindings, clock, log } = deps
  let problem: string | undefined = 'they were not tried yet'
  let vouched: { readonly state: string; readonly since: Instant } | undefined

  const installed = (name: string): boolean => policies.get(name) !== undefined && bindings.get(name) !== undefined

  /** `found`: what is wrong, if anything is. `answered`: whether that is known, or only not known to be well. */
  async function findProblem(): Promise<{ readonly found: string | undefined; readonly answered: boolean }> {
    const known = (found: string | undefined) => ({ found, answered: true })
    const missing = required.filter((name) => !installed(name))
    if (missing.length > 0) return known(`${missing.map((name) => `\`${name}\``).join(', ')} or its binding is not installed`)
    // As itself, the operator tries to make a Secret that belongs to no task. Only the fence stands in the way.
    const name = 'taskbound-fence-probe'
    const tried = await client.request({
      method: 'POST',
      path: pathOf({ group: '', version: 'v1', plural: 'secrets' }, { namespace: deps.probeNamespace }),
      query: { dryRun: 'All' },
      body: { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', metadata: { name, namespace: deps.probeNamespace } },
    })
    if (tried.ok) return known('a write that `taskbound-operator-fence` forbids went through (as a dry run)')
    if (isFence(tried.failure)) return known(undefined)
    return { found: `it could not be tried whether they are in force: ${describeError(tried.failure)}`, answered: false }
  }

  /** Changes with any edit or replacement of the check or its binding; `undefined` while it is not installed. */
  function checkState(): string | undefined {
    const [policy, binding] = [policies.get(requesterCheck), bindings.get(requesterCheck)]
    return policy === undefined || binding === undefined
      ? undefined
      : [policy.uid, policy.generation, binding.uid, binding.generation].join('/')
  }

  /** Objects of the first generation are as they were made: then they have been in force since, whether somebody watched or not. */
  function untouchedSince(): Instant | undefined {
    const both = [policies.get(requesterCheck), bindings.get(requesterCheck)]
    if (both.some((object) => object?.generation !== 1)) return undefined
    return at(Math.max(...both.map((object) => object?.createdAt ?? 0)))
  }

  async function vouch(): Promise<void> {
    const state = checkState()
    if (state === undefined || vouched?.state === state) {
      if (state === undefined) vouched = undefined
      return
    }
    const kept = await deps.document.read()
    if (!kept.ok) return log.warn('since when requesters are vouched for cannot be read', { reason: kept.failure })
    const value = record(kept.value.value)
    const since = parseTime(text(value['since']))
    if (text(value['state']) === state && since !== undefined) {
      vouched = { state, since }
      return
    }
    const fresh = plus(untouchedSince() ?? clock.now(), spreading)
    const written = await deps.document.write({ state, since: formatTime(at(fresh + 999)) }, kept.value.version)
    if (written.ok) vouched = { state, since: fresh }
  }

  return {
    async check() {
      const [before, since] = [problem, vouched?.since]
      const { found, answered } = await findProblem()
      problem = found
      await vouch()
      if (problem !== before) {
        if (problem === undefined) log.info('the admission policies are in force')
        else log.warn('nothing is issued: the admission policies are not in force', { reason: problem })
      }
      if (problem !== before || vouched?.since !== since) deps.changed()
      return answered ? 'answered' : 'unanswered'
    },
    hold: () =>
      problem === undefined
        ? undefined
        : {
            reason: 'FencesMissing',
            message: `the admission policies that bind the operator are not in force: ${problem}; apply them again`,
          },
    vouchedSince: () => (vouched !== undefined && checkState() === vouched.state ? vouched.since : undefined),
  }
}
