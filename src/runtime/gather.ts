// Reads what is known about one task into one value for the core. Reads stores; asks the API server only where a store's silence
// would end something. Decides nothing.

import { findEnding } from '../core/ending.ts'
import { questions } from '../core/judge.ts'
import { providerKey, type Uid } from '../core/names.ts'
import type {
  CredentialFacts,
  CredentialProviderFacts,
  CredentialSpec,
  Decision,
  Failure,
  LeaseFacts,
  Limits,
  Observed,
  Presence,
  Task,
  WorkloadFacts,
} from '../core/observed.ts'
import type { Instant } from '../lib/instant.ts'
import type { Authorizer } from '../ports/authorizer.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Meter } from '../ports/meter.ts'
import type { FindProvider, Provider } from '../ports/provider.ts'
import { createAnswers } from './answers.ts'
import type { Agent, Known, Namespace, ProviderObject } from './objects/kinds.ts'
import { selects } from './objects/kinds.ts'
import { toRequest } from './request.ts'
import type { Asker } from './requester.ts'
import type { Doubt, Views, Workloads } from './views.ts'

export interface GatherDeps {
  readonly views: Views
  readonly workloads: Workloads
  readonly doubt: Doubt
  readonly authorizer: Authorizer
  /** whether a policy that applies in this namespace was seen and is not in force yet */
  readonly policyPending: (namespace: string) => boolean
  readonly findProvider: FindProvider
  /** why a provider object cannot issue now, as last checked; `undefined` means that it can */
  readonly notReady: (provider: ProviderObject) => string | undefined
  readonly asker: (task: Task) => Asker
  /** the rows of the ledger that a task has to do with */
  readonly leases: (taskUid: Uid) => readonly LeaseFacts[]
  readonly hold: () => Failure | undefined
  readonly draining: () => boolean
  readonly clock: Clock
  readonly meter: Pick<Meter, 'evaluation' | 'wouldBe'>
  readonly log: Pick<Log, 'info'>
  readonly limits: Limits
}

export type Gather = (task: Task, now: Instant) => Promise<Observed>

export function createGather(deps: GatherDeps): Gather {
  const { views, doubt } = deps
  const answers = createAnswers(deps)
  const podsOf = views.pods.index((pod) => [`${pod.namespace}/${pod.task}`])

  return async (task, now) => {
    const namespace = views.namespaces.get(task.namespace)
    const agent = views.agents.get(`${task.namespace}/${task.spec.agent}`)
    const account = agent === undefined ? undefined : views.serviceAccounts.get(`${task.namespace}/${agent.serviceAccount}`)
    const asked = deps.asker(task)
    const certain: Observed = {
      task,
      namespace: namespace === undefined ? 'unknown' : namespace.deleting ? 'terminating' : 'active',
      agent: { state: 'unknown' },
      serviceAccount: { state: 'unknown' },
      workload: task.spec.workload === undefined ? { state: 'none' } : deps.workloads.look(task.namespace, task.spec.workload),
      olderPod: undefined,
      credentials: [],
      leases: deps.leases(task.uid),
      policyChangedAt: deps.authorizer.changedAt(task.namespace),
      policyPending: deps.policyPending(task.namespace),
      hold: deps.hold(),
      draining: deps.draining(),
      requesterUnknown: asked.why,
      limits: deps.limits,
    }
    // what is over is over, whatever else there is to know: nothing is asked about it
    if (task.record.completion !== undefined || endsForCertain(certain, now)) return certain
    const facts: Observed = {
      ...certain,
      agent: await agentFacts(task, agent),
      serviceAccount: await accountFacts(task, agent, account),
      workload: await workloadFacts(task, certain.workload),
      olderPod: task.record.attempt === 0 ? olderPod(task) : undefined,
    }
    if (findEnding(facts, now) !== undefined) return facts
    return { ...facts, credentials: credentialFacts(task, agent, namespace, asked, now) }
  }

  /** Whether it ends by what needs no second look: a workload that is absent or has another UID is in doubt. */
  function endsForCertain(observed: Observed, now: Instant): boolean {
    const { workload } = observed
    const bound = observed.task.record.bound.workload
    const doubtful = workload.state === 'absent' || (workload.state === 'present' && bound !== undefined && bound !== workload.uid)
    return findEnding(doubtful ? { ...observed, workload: { state: 'unknown' } } : observed, now) !== undefined
  }

  /** What a store shows against the record is asked for once, live: a store may be behind the record as well as ahead of it. */
  async function settled(bound: Uid, shown: Uid | undefined, ask: () => Promise<Presence>): Promise<Presence> {
    if (shown === bound) return { state: 'present', uid: shown }
    const live = await ask()
    // there is what the record says: the store has still to learn it
    return live.state === 'present' && live.uid === bound ? { state: 'unknown' } : live
  }

  async function agentFacts(task: Task, agent: Agent | undefined): Promise<Observed['agent']> {
    const bound = task.record.bound.agent
    if (bound !== undefined && agent?.deleting !== true) {
      const presence = await settled(bound, agent?.uid, () => doubt.agent(task.namespace, task.spec.agent))
      if (presence.state !== 'present') return presence
      // replaced: the new one's other facts do not matter
      if (presence.uid !== bound) return { state: 'present', uid: presence.uid, suspended: false, serviceAccount: '' }
    }
    if (agent === undefined || agent.deleting) return { state: 'absent' }
    return { state: 'present', uid: agent.uid, suspended: agent.suspended, serviceAccount: agent.serviceAccount }
  }

  async function accountFacts(task: Task, agent: Agent | undefined, account: Known | undefined): Promise<Presence> {
    const bound = task.record.bound.serviceAccount
    if (agent === undefined || account?.deleting === true) return { state: 'absent' }
    if (bound !== undefined) return settled(bound, account?.uid, () => doubt.serviceAccount(task.namespace, agent.serviceAccount))
    return account === undefined ? { state: 'absent' } : { state: 'present', uid: account.uid }
  }

  async function workloadFacts(task: Task, shown: WorkloadFacts): Promise<WorkloadFacts> {
    const bound = task.record.bound.workload
    const ref = task.spec.workload
    if (ref === undefined || bound === undefined || (shown.state !== 'absent' && shown.state !== 'present')) return shown
    if (shown.state === 'present' && shown.uid === bound) return shown
    const presence = await settled(bound, undefined, () => doubt.workload(task.namespace, ref))
    return presence.state === 'present' ? { ...presence, deleting: false, finished: undefined } : presence
  }

  /**
   * A pod of an earlier task of this name would be given this task's credentials by its kubelet. Times of creation have whole seconds:
   * within one, what was given a Secret before this task ever had one is of an earlier task.
   */
  function olderPod(task: Task): string | undefined {
    for (const key of podsOf(task.key)) {
      const pod = views.pods.get(key)
      if (pod === undefined || pod.finished !== undefined) continue
      if (pod.createdAt < task.createdAt || (pod.createdAt === task.createdAt && pod.givenSecret)) return pod.name
    }
    return undefined
  }

  function credentialFacts(
    task: Task,
    agent: Agent | undefined,
    namespace: Namespace | undefined,
    asked: Asker,
    now: Instant,
  ): readonly CredentialFacts[] {
    const wanted = questions({ task }, now)
    return task.spec.credentials.map((credential) => {
      const object = views.providers.get(providerKey(credential.provider, task.namespace))
      const implementation = object === undefined ? undefined : deps.findProvider(object.type, object.kind)
      const provider = providerFacts(credential, object, implementation, namespace)
      const ask = (action: 'issue' | 'renew'): Decision | undefined => {
        if (agent === undefined || namespace === undefined || object === undefined || implementation === undefined) return undefined
        if (provider.state === 'absent' || provider.refusal !== undefined) return undefined
        const promises = implementation.promises(object.params)
        return answers.ask(
          toRequest({ action, task, credential, agent, namespace, provider: object, promises, requester: asked.requester, now }),
        )
      }
      return {
        name: credential.name,
        provider,
        issue: wanted.standing === 'issue' ? ask('issue') : undefined,
        renew: wanted.standing === 'renew' || wanted.renew ? ask('renew') : undefined,
      }
    })
  }

  function providerFacts(
    credential: CredentialSpec,
    object: ProviderObject | undefined,
    implementation: Provider<unknown> | undefined,
    namespace: Namespace | undefined,
  ): CredentialProviderFacts {
    // a task refers to the cluster's and to those of its own namespace, by either's kind
    if (object === undefined || object.deleting || credential.provider.kind !== object.kind) return { state: 'absent' }
    if (implementation === undefined) return { state: 'absent' }
    const promises = implementation.promises(object.params)
    return {
      state: 'present',
      uid: object.uid,
      type: object.type,
      notReady: deps.notReady(object),
      refusal: refusal(credential, object, implementation, namespace),
      revocation: { class: promises.revocation, bound: promises.bound },
      leastLife: promises.leastLife,
      maxTtl: promises.maxTtl,
      ...(promises.byName === true ? { byName: true } : {}),
    }
  }

  function refusal(
    credential: CredentialSpec,
    object: ProviderObject,
    implementation: Provider<unknown>,
    namespace: Namespace | undefined,
  ): Failure | undefined {
    if (object.kind === 'ClusterCredentialProvider' && namespace !== undefined && !selects(object.namespaces, namespace.labels)) {
      return {
        reason: 'ProviderNotForNamespace',
        message: `ClusterCredentialProvider \`${object.name}\` does not serve namespace \`${namespace.name}\`: its \`spec.namespaces\` does not select it`,
      }
    }
    if (credential.github !== undefined && object.type !== 'githubApp') {
      const message = `credential \`${credential.name}\` has a block \`github\`, which is for a provider of type \`githubApp\`: remove it`
      return { reason: 'ScopeNotListed', message }
    }
    return implementation.check(object.params, credential)
  }
}
