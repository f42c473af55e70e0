// Checks provider objects and reports on them: whether they can issue, and what revocation means there.

import type { Reason } from '../api/reasons.ts'
import { describeError, isConflict, isNotFound } from '../kube/errors.ts'
import type { KubeObject } from '../kube/objects.ts'
import type { Writes } from '../kube/patch.ts'
import type { StoreView } from '../kube/store.ts'
import { type Duration, formatTime, seconds, toSeconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Provider } from '../ports/provider.ts'
import { audiencesTaken } from '../providers/registry.ts'
import { list, record, strings, text } from './objects/fields.ts'
import type { ProviderObject } from './objects/kinds.ts'
import { mergePatch } from './objects/merge.ts'

export const providersResource = { group: 'taskbound.dev', version: 'v1alpha1', plural: 'clustercredentialproviders' } as const

export interface ProvidersDeps {
  readonly store: StoreView<ProviderObject>
  readonly findProvider: (type: string) => Provider<unknown> | undefined
  readonly writes: Writes
  readonly absorb: (object: KubeObject) => void
  readonly leads: () => boolean
  readonly clock: Clock
  readonly log: Log
  /** its source has answered */
  readonly well: (object: ProviderObject) => void
  /** the readiness of this provider changed: tasks that name it are to be looked at */
  readonly changed: (name: string) => void
}

export interface ProviderChecks {
  check(name: string): Promise<'done' | 'retry'>
  checkAll(): Promise<void>
  /** why it cannot issue, as last checked for this generation; a sentence */
  notReady(provider: ProviderObject): string | undefined
  /** when to check it again although nothing changed: what is outside the cluster says nothing by itself */
  again(name: string): Duration | undefined
  /** whether who owns its audiences may have changed, since another provider did */
  mayDiffer(name: string): boolean
}

interface Readiness {
  readonly uid: string
  readonly generation: number
  readonly problem: { readonly reason: Reason; readonly message: string } | undefined
}

const whenWell = seconds(30)
const whenIll = seconds(5)

export function createProviderChecks(deps: ProvidersDeps): ProviderChecks {
  const { store, clock, log } = deps
  const known = new Map<string, Readiness>()

  async function judge(object: ProviderObject): Promise<Readiness['problem']> {
    const provider = deps.findProvider(object.type)
    if (provider === undefined)
      return { reason: 'ProviderConfigInvalid', message: `this version knows no provider of type \`${object.type}\`` }
    const taken = takenFrom(object)
    if (taken !== undefined) return taken
    const ready = await provider.ready(object.params)
    return ready.ok ? undefined : ready.failure
  }

  function takenFrom(object: ProviderObject): Readiness['problem'] {
    const claims = [...store.values()].map((p) => ({
      name: p.name,
      uid: p.uid,
      createdTime: formatTime(p.createdAt),
      // also what its logins are for: no task may have a token that its source would take for one of them
      audiences: [...strings(p.params['audiences']), ...strings([p.params['audience'] ?? p.params['issuer']])],
      issuer: text(p.params['issuer']),
    }))
    const [first] = audiencesTaken(claims).get(object.uid) ?? []
    if (first === undefined) return undefined
    return {
      reason: 'AudienceTaken',
      message: `audience \`${first.audience}\` belongs to ClusterCredentialProvider \`${first.owner}\`, which is older; list it in one of them only`,
    }
  }

  async function check(name: string): Promise<'done' | 'retry'> {
    const object = store.get(name)
    if (object === undefined) {
      known.delete(name)
      return 'done'
    }
    const problem = await judge(object)
    if (problem === undefined) deps.well(object)
    const before = known.get(name)
    known.set(name, { uid: object.uid, generation: object.generation, problem })
    if (before?.problem?.message !== problem?.message || before?.generation !== object.generation) deps.changed(name)
    return deps.leads() ? report(object, problem) : 'done'
  }

  async function report(object: ProviderObject, problem: Readiness['problem']): Promise<'done' | 'retry'> {
    const promises = deps.findProvider(object.type)?.promises(object.params)
    const status = problem === undefined ? 'True' : 'False'
    const old = list(object.status['conditions'])
      .map(record)
      .find((c) => c['type'] === 'Ready')
    const patch = mergePatch(object.status, {
      observedGeneration: object.generation,
      conditions: [
        {
          type: 'Ready',
          status,
          reason: problem?.reason ?? 'ProviderReady',
          message: problem?.message ?? '',
          observedGeneration: object.generation,
          lastTransitionTime: old?.['status'] === status ? old['lastTransitionTime'] : formatTime(clock.now()),
        },
      ],
      revocation: promises === undefined ? undefined : { class: promises.revocation, boundSeconds: toSeconds(promises.bound) },
    })
    if (patch === undefined) return 'done'
    const written = await deps.writes.patchStatus({ resource: providersResource, name: object.name }, object.resourceVersion, patch)
    if (written.ok) {
      deps.absorb(written.value)
      return 'done'
    }
    if (!isConflict(written.failure) && !isNotFound(written.failure))
      log.warn('the status of a provider could not be written', { provider: object.name, reason: describeError(written.failure) })
    return 'retry'
  }

  return {
    check,
    // what is outside may be slow or down, and must not hold up a takeover: nothing is issued by it until it was checked
    async checkAll() {
      const outside = (name: string): boolean => deps.findProvider(store.get(name)?.type ?? '')?.outside !== undefined
      for (const name of store.keys()) if (outside(name)) void check(name)
      await Promise.all([...store.keys()].filter((name) => !outside(name)).map(check))
    },
    again(name) {
      const type = store.get(name)?.type
      if (type === undefined || deps.findProvider(type)?.outside === undefined) return undefined
      return known.get(name)?.problem === undefined ? whenWell : whenIll
    },
    notReady(provider) {
      const found = known.get(provider.name)
      if (found === undefined || found.uid !== provider.uid || found.generation !== provider.generation) return 'it was not checked yet'
      return found.problem?.message
    },
    mayDiffer(name) {
      const object = store.get(name)
      const taken = object === undefined ? undefined : takenFrom(object)
      const before = known.get(name)?.problem
      return taken?.message !== (before?.reason === 'AudienceTaken' ? before.message : undefined)
    },
  }
}
