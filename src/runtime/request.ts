// Builds the question that policy is asked about one credential, from facts of the stores; who wrote each value is kept apart.

import type { CredentialSpec, Task } from '../core/observed.ts'
import type { Instant } from '../lib/instant.ts'
import type { AuthorizationRequest, PolicyAction, Requester, Sensitivity } from '../ports/authorizer.ts'
import type { Promises } from '../ports/provider.ts'
import type { Agent, Namespace, ProviderObject } from './objects/kinds.ts'

export interface Asked {
  readonly action: PolicyAction
  readonly task: Task
  readonly credential: CredentialSpec
  readonly agent: Agent
  readonly namespace: Namespace
  readonly provider: ProviderObject
  readonly promises: Promises
  readonly requester: Requester
  readonly now: Instant
}

export function toRequest({ action, task, credential, agent, namespace, provider, promises, requester, now }: Asked): AuthorizationRequest {
  return {
    action,
    agent: {
      namespace: agent.namespace,
      name: agent.name,
      uid: agent.uid,
      serviceAccount: agent.serviceAccount,
      owner: agent.owner,
      attributes: agent.attributes,
    },
    namespace: { name: namespace.name, labels: namespace.policyLabels },
    provider: {
      kind: provider.kind,
      namespace: provider.kind === 'CredentialProvider' ? provider.namespace : undefined,
      name: provider.name,
      uid: provider.uid,
      type: provider.type,
      labels: provider.labels,
      sensitivity: sensitivity(provider.sensitivity),
      destinations: provider.destinations,
      revocation: { class: promises.revocation, bound: promises.bound },
      ...(promises.byName === true ? { byName: true } : {}),
    },
    claimed: {
      action: task.spec.action,
      purpose: task.spec.purpose,
      destination: credential.destination,
      destinations: task.spec.destinations,
      dataSensitivity: sensitivity(task.spec.dataSensitivity),
      tools: task.spec.tools,
      attributes: task.spec.attributes,
    },
    audience: credential.audience,
    scopes: credential.scopes,
    github: credential.github,
    ttl: credential.ttl,
    requestedBy: requester,
    approved: false,
    approvers: [],
    delegation: undefined,
    now,
  }
}

const levels: readonly Sensitivity[] = ['Public', 'Internal', 'Confidential', 'Restricted']

/** A word that is not one of the scale counts as the highest: a doubt must not open anything. */
function sensitivity(word: string | undefined): Sensitivity | undefined {
  return word === undefined ? undefined : (levels.find((level) => level === word) ?? 'Restricted')
}
