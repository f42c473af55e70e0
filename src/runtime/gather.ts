// Reads what is known about one task into one value for the core. Reads stores; asks the API server only where a store's silence
// would end something. Decides nothing.

import { findEnding } from '../core/ending.ts'
import { questions } from '../core/judge.ts'
import type {
  CredentialFacts,
  CredentialProviderFacts,
  CredentialSpec,
  Decision,
  Failure,
  Limits,
  Observed,
  Presence,
  Task,
} from '../core/observed.ts'
import type { Instant } from '../lib/instant.ts'
import type { Authorizer } from '../ports/authorizer.ts'
import type { Clock } from '../ports/clock.ts'
import type { Meter } from '../ports/meter.ts'
import type { Provider } from '../ports/provider.ts'
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
  readonly findProvider: (type: string) => Provider<unknown> | undefined
  /** why a provider object cannot issue now, as last checked; `undefined` means that it can */
  readonly notReady: (provider: ProviderObject) => string | undefined
  readonly asker: (task: Task) => Asker
  readonly hold: () => Failure | undefined
  readonly clock: Clock
  readonly meter: Pick<Meter, 'evaluation'>
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
    const facts: Observed = {
      task,
      namespace: namespace === undefined ? 'unknown' : namespace.deleting ? 'terminating' : 'active',
      agent: await agentFacts(task, agent),
      serviceAccount: await accountFacts(task, agent, account),
      workload: await workloadFacts(task),
      olderPod: task.record.attempt === 0 ? olderPod(task) : undefined,
      credentials: [],
      policyChangedAt: deps.authorizer.changedAt(task.namespace),
      policyPending: deps.policyPending(task.namespace),
      hold: deps.hold(),
      requesterUnknown: asked.why,
      limits: deps.limits,
    }
    // what is over is over, whatever policy would say
    if (task.record.completion !== undefined || findEnding(facts, now) !== undefined) return facts
    return { ...facts, credentials: credentialFacts(task, agent, namespace, asked, now) }
  }

  async function agentFacts(task: Task, agent: Agent | undefined): Promise<Observed['agent']> {
    if (agent !== undefined && !agent.deleting)
      return { state: 'present', uid: agent.uid, suspended: agent.suspended, serviceAccount: agent.serviceAccount }
    if (agent !== undefined || task.record.bound.agent === undefined) return { state: 'absent' }
    const live = await doubt.agent(task.namespace, task.spec.agent)
    return live.state === 'present' ? { state: 'unknown' } : live
  }

  async function accountFacts(task: Task, agent: Agent | undefined, account: Known | undefined): Promise<Presence> {
    if (agent === undefined) return { state: 'absent' }
    if (account !== undefined) return account.deleting ? { state: 'absent' } : { state: 'present', uid: account.uid }
    if (task.record.bound.serviceAccount === undefined) return { state: 'absent' }
    const live = await doubt.serviceAccount(task.namespace, agent.serviceAccount)
    return live.state === 'present' ? { state: 'unknown' } : live
  }

  async function workloadFacts(task: Task): Promise<Observed['workload']> {
    const ref = task.spec.workload
    if (ref === undefined) return { state: 'none' }
    const facts = deps.workloads.look(task.namespace, ref)
    if (facts.state !== 'absent' || task.record.bound.workload === undefined) return facts
    const live = await doubt.workload(task.namespace, ref)
    return live.state === 'present' ? { state: 'unknown' } : live
  }

  /** A pod of an earlier task of this name would be given this task's credentials by its kubelet. */
  function olderPod(task: Task): string | undefined {
    for (const key of podsOf(task.key)) {
      const pod = views.pods.get(key)
      if (pod !== undefined && pod.finished === undefined && pod.createdAt < task.createdAt) return pod.name
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
      const object = views.providers.get(credential.provider.name)
      const implementation = object === undefined ? undefined : deps.findProvider(object.type)
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
    if (object === undefined || object.deleting || credential.provider.kind !== 'ClusterCredentialProvider') return { state: 'absent' }
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
    }
  }

  function refusal(
    credential: CredentialSpec,
    object: ProviderObject,
    implementation: Provider<unknown>,
    namespace: Namespace | undefined,
  ): Failure | undefined {
    if (namespace !== undefined && !selects(object.namespaces, namespace.labels)) {
      return {
        reason: 'ProviderNotForNamespace',
        message: `ClusterCredentialProvider \`${object.name}\` does not serve namespace \`${namespace.name}\`: its \`spec.namespaces\` does not select it`,
      }
    }
    return implementation.check(object.params, credential)
  }
}
