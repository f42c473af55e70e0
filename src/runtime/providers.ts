// Checks provider objects and reports on them: whether they can issue, and what revocation means there.

import type { Reason } from '../api/reasons.ts'
import { describeError, isConflict, isNotFound } from '../kube/errors.ts'
import type { KubeObject } from '../kube/objects.ts'
import type { Writes } from '../kube/patch.ts'
import type { StoreView } from '../kube/store.ts'
import { type Duration, formatTime, seconds, toSeconds } from '../lib/instant.ts'
import { fail, type Result } from '../lib/result.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Failure, FindProvider, Provider } from '../ports/provider.ts'
import { audiencesTaken } from '../providers/registry.ts'
import { list, record, strings, text } from './objects/fields.ts'
import type { ProviderObject } from './objects/kinds.ts'
import { mergePatch } from './objects/merge.ts'

const resources = {
  ClusterCredentialProvider: { group: 'taskbound.dev', version: 'v1alpha1', plural: 'clustercredentialproviders' },
  CredentialProvider: { group: 'taskbound.dev', version: 'v1alpha1', plural: 'credentialproviders' },
} as const

export interface ProvidersDeps {
  readonly store: StoreView<ProviderObject>
  /** CredentialProviders of one namespace that are used */
  readonly most: number
  readonly findProvider: FindProvider
  readonly writes: Writes
  readonly absorb: (kind: ProviderObject['kind'], object: KubeObject) => void
  readonly leads: () => boolean
  readonly clock: Clock
  readonly log: Log
  /** its source has answered; what follows from that is awaited */
  readonly well: (object: ProviderObject) => unknown
  /** the readiness of this provider changed: tasks that name it are to be looked at */
  readonly changed: (key: string) => void
}

export interface ProviderChecks {
  check(key: string): Promise<'done' | 'retry'>
  checkAll(): Promise<void>
  /** why it cannot issue, as last checked for this generation; a sentence */
  notReady(provider: ProviderObject): string | undefined
  /** when to check it again although nothing changed: what is outside the cluster says nothing by itself */
  again(key: string): Duration | undefined
  /** how many sources of this namespace are being asked */
  busy(namespace: string): number
  /** keys of others that may be ready, or not ready any more, since this one changed: by an audience, or by a place in its namespace */
  affected(key: string): readonly string[]
}

interface Readiness {
  readonly uid: string
  readonly generation: number
  readonly problem: { readonly reason: Reason; readonly message: string } | undefined
}

const whenWell = seconds(30)
const whenIll = seconds(5)
/** What a source of a namespace may take to answer all that it is asked, in milliseconds. */
const patience = 15_000
/** There may be many of them, and nobody here has to do with their sources. */
const ofNamespace = { whenWell: seconds(60), whenIll: seconds(15) }

export function createProviderChecks(deps: ProvidersDeps): ProviderChecks {
  const { store, clock, log } = deps
  const known = new Map<string, Readiness>()
  /** namespaces of the objects whose sources are being asked, by UID */
  const asking = new Map<string, string>()
  const byNamespace = store.index(({ kind, namespace }) => (kind === 'CredentialProvider' ? [namespace] : []))

  async function judge(object: ProviderObject): Promise<Readiness['problem']> {
    const provider = deps.findProvider(object.type, object.kind)
    if (provider === undefined)
      return { reason: 'ProviderConfigInvalid', message: `this version knows no provider of type \`${object.type}\`` }
    const taken = takenFrom(object) ?? crowdedOut(object)
    if (taken !== undefined) return taken
    const ready = await ask(provider, object)
    return ready.ok ? undefined : ready.failure
  }

  /** A source of a namespace decides how much it is asked and how slowly it answers: nobody waits for long, and it is not asked twice at a time. */
  async function ask(provider: Provider<unknown>, { kind, uid, namespace, params }: ProviderObject): Promise<Result<undefined, Failure>> {
    if (kind !== 'CredentialProvider') return provider.ready(params)
    const slow = fail({ reason: 'ProviderUnreachable', message: `its source takes longer than ${patience / 1000} s to answer` } as const)
    if (asking.has(uid)) return slow
    asking.set(uid, namespace)
    const { promise, resolve } = Promise.withResolvers<typeof slow>()
    const timer = setTimeout(() => resolve(slow), patience)
    const answer = provider.ready(params).finally(() => asking.delete(uid))
    return Promise.race([answer, promise]).finally(() => clearTimeout(timer))
  }

  const ofCluster = (): readonly ProviderObject[] => [...store.values()].filter(({ kind }) => kind === 'ClusterCredentialProvider')

  /** By UID, of cluster providers that list an audience of another: all at once, since each is held against all. */
  function audiencesOfOthers(): ReadonlyMap<string, Readiness['problem']> {
    const claims = ofCluster().map((p) => ({
      name: p.name,
      uid: p.uid,
      createdTime: formatTime(p.createdAt),
      // also what its logins are for: no task may have a token that its source would take for one of them
      audiences: [...strings(p.params['audiences']), ...strings([p.params['audience'] ?? p.params['issuer']])],
      issuer: text(p.params['issuer']),
    }))
    const problems = new Map<string, Readiness['problem']>()
    for (const [uid, [first]] of audiencesTaken(claims))
      if (first !== undefined)
        problems.set(uid, {
          reason: 'AudienceTaken',
          message: `audience \`${first.audience}\` belongs to ClusterCredentialProvider \`${first.owner}\`, which is older; list it in one of them only`,
        })
    return problems
  }
  const takenFrom = ({ kind, uid }: ProviderObject): Readiness['problem'] =>
    kind === 'CredentialProvider' ? undefined : audiencesOfOthers().get(uid)

  /** A namespace has the operator connect to so many servers and no more: those of its oldest objects. */
  function crowdedOut(object: ProviderObject): Readiness['problem'] {
    if (object.kind !== 'CredentialProvider') return undefined
    let older = 0
    for (const key of byNamespace(object.namespace)) {
      const other = store.get(key)
      if (other !== undefined && isOlder(other, object)) older += 1
    }
    if (older < deps.most) return undefined
    const message = `of the CredentialProviders of this namespace the ${deps.most} oldest are used; delete one that is not needed, or have \`--namespace-providers\` raised`
    return { reason: 'TooManyProviders', message }
  }

  async function check(key: string): Promise<'done' | 'retry'> {
    const object = store.get(key)
    if (object === undefined) {
      known.delete(key)
      return 'done'
    }
    const problem = await judge(object)
    if (problem === undefined) await deps.well(object)
    const before = known.get(key)
    known.set(key, { uid: object.uid, generation: object.generation, problem })
    if (before?.problem?.message !== problem?.message || before?.generation !== object.generation) deps.changed(key)
    // a check may take a while: labels and the like may have changed meanwhile; where more has, it is in line to be checked anew
    const present = store.get(key)
    const same = present?.uid === object.uid && present.generation === object.generation
    return same && deps.leads() ? report(present, problem) : 'done'
  }

  async function report(object: ProviderObject, problem: Readiness['problem']): Promise<'done' | 'retry'> {
    const promises = deps.findProvider(object.type, object.kind)?.promises(object.params)
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
    const written = await deps.writes.patchStatus(
      { resource: resources[object.kind], name: object.name, ...(object.namespace === '' ? {} : { namespace: object.namespace }) },
      object.resourceVersion,
      patch,
    )
    if (written.ok) {
      deps.absorb(object.kind, written.value)
      return 'done'
    }
    if (!isConflict(written.failure) && !isNotFound(written.failure))
      log.warn('the status of a provider could not be written', { provider: object.key, reason: describeError(written.failure) })
    return 'retry'
  }

  return {
    check,
    // what is outside may be slow or down, and must not hold up a takeover: nothing is issued by it until it was checked
    async checkAll() {
      const cluster = ofCluster()
      const outside = ({ type, kind }: ProviderObject): boolean => deps.findProvider(type, kind)?.outside !== undefined
      for (const { key } of cluster.filter(outside)) void check(key)
      await Promise.all(cluster.filter((object) => !outside(object)).map(({ key }) => check(key)))
    },
    again(key) {
      const object = store.get(key)
      if (object === undefined || deps.findProvider(object.type, object.kind)?.outside === undefined) return undefined
      const problem = known.get(key)?.problem
      // it is looked at when a place is free
      if (problem?.reason === 'TooManyProviders') return undefined
      const after = object.kind === 'CredentialProvider' ? ofNamespace : { whenWell, whenIll }
      return problem === undefined ? after.whenWell : after.whenIll
    },
    notReady(provider) {
      const found = known.get(provider.key)
      if (found === undefined || found.uid !== provider.uid || found.generation !== provider.generation) return 'it was not checked yet'
      return found.problem?.message
    },
    busy: (namespace) => [...asking.values()].filter((one) => one === namespace).length,
    affected(key) {
      const slash = key.indexOf('/')
      if (slash >= 0) {
        const waiting = [...byNamespace(key.slice(0, slash))].filter((other) => known.get(other)?.problem?.reason === 'TooManyProviders')
        // a place is free only where one is gone
        return store.get(key) === undefined ? waiting : []
      }
      const now = audiencesOfOthers()
      return ofCluster()
        .filter((other) => {
          const before = known.get(other.key)?.problem
          return other.key !== key && now.get(other.uid)?.message !== (before?.reason === 'AudienceTaken' ? before.message : undefined)
        })
        .map((other) => other.key)
    },
  }
}

function isOlder(one: ProviderObject, other: ProviderObject): boolean {
  return one.createdAt !== other.createdAt ? one.createdAt < other.createdAt : one.uid < other.uid
}
