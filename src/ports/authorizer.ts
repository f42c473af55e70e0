// What the operator asks policy, and what it is told: plain data on both sides.
// Nothing here knows Cedar; `AuthorizationRequest` holds names and facts, never material.

import type { GithubAsk } from '../core/observed.ts'
import type { Duration, Instant } from '../lib/instant.ts'
import type { RevocationClass } from './provider.ts'

/** What an agent's task may ask for. */
export type PolicyAction = 'issue' | 'renew' | 'exchange' | 'delegate' | 'selfInitiate'

export type Sensitivity = 'Public' | 'Internal' | 'Confidential' | 'Restricted'

/** The author of an Agent wrote these. */
export interface AgentFacts {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly serviceAccount: string
  readonly owner: string | undefined
  readonly attributes: Readonly<Record<string, string>>
}

/** The agent's, and so the task's, namespace. */
export interface NamespaceFacts {
  readonly name: string
  /** labels under `policy.taskbound.dev/`, the prefix taken off */
  readonly labels: Readonly<Record<string, string>>
}

/** The author of a provider object wrote these. */
export interface ProviderFacts {
  readonly kind: 'ClusterCredentialProvider' | 'CredentialProvider'
  /** `undefined` for a `ClusterCredentialProvider` */
  readonly namespace: string | undefined
  readonly name: string
  readonly uid: string
  /** `spec.type` */
  readonly type: string
  readonly labels: Readonly<Record<string, string>>
  readonly sensitivity: Sensitivity | undefined
  readonly destinations: readonly string[]
  readonly revocation: { readonly class: RevocationClass; readonly bound: Duration }
  /** an exception: only a permit whose head names it (`resource == …`) counts */
  readonly byName?: true
}

/** What the task's author says; policy sees it as `context.claimed`. */
export interface Claimed {
  readonly action: string
  readonly purpose: string | undefined
  /** of this one credential */
  readonly destination: string | undefined
  readonly destinations: readonly string[]
  readonly dataSensitivity: Sensitivity | undefined
  readonly tools: readonly string[]
  readonly attributes: Readonly<Record<string, string>>
}

/** Who asked for the task. `Unknown` wherever admission did not vouch for it; then the name is empty. */
export interface Requester {
  readonly kind: 'User' | 'ServiceAccount' | 'Agent' | 'Unknown'
  readonly username: string
  readonly groups: readonly string[]
}

/** Where a task stands in a chain of tasks. Names are `<namespace>/<name>`. */
export interface DelegationFacts {
  /** 1 for a direct child */
  readonly depth: number
  /** the agents from the root to the parent */
  readonly chain: readonly string[]
  /** the agent at the root */
  readonly root: string
}

/** One question: may this agent have this credential of this provider now? */
export interface AuthorizationRequest {
  readonly action: PolicyAction
  readonly agent: AgentFacts
  readonly namespace: NamespaceFacts
  readonly provider: ProviderFacts
  readonly claimed: Claimed
  readonly audience: string | undefined
  readonly scopes: readonly string[]
  readonly github?: GithubAsk | undefined
  readonly ttl: Duration
  readonly requestedBy: Requester
  readonly approved: boolean
  /** usernames */
  readonly approvers: readonly string[]
  readonly delegation: DelegationFacts | undefined
  readonly now: Instant
}

/** One policy that had a say. */
export interface DecidingPolicy {
  /** `ClusterAgentPolicy/<name>/<policy>` or `AgentPolicy/<namespace>/<name>/<policy>`; the last part is `@id`, else the place in the text from 0 */
  readonly id: string
  /** `@message` of the policy; a cluster policy without one shows its id only */
  readonly message: string | undefined
  readonly scope: 'Cluster' | 'Namespace'
  /** name of the AgentPolicy or ClusterAgentPolicy */
  readonly source: string
}

/**
 * `allow`: what `policies` lists permitted it.
 * `forbid`: a `forbid` matched; `policies` lists those, and it revokes at once.
 * `noPermit`: nothing permits it; nothing is allowed by default.
 * `error`: a policy could not be evaluated; `errors` says which and why.
 * `invalidPolicy`: a policy object in scope never had a valid version; `errors` says which, with line and column.
 */
export type Outcome = 'allow' | 'forbid' | 'noPermit' | 'error' | 'invalidPolicy'

export interface Answer {
  readonly outcome: Outcome
  /** those that decided: the permits of an allow, the forbids of a forbid, those that failed of an error; sorted by id */
  readonly policies: readonly DecidingPolicy[]
  readonly errors: readonly string[]
  /** `sha256:…` of the enforced policy texts, cluster and namespace, that judged */
  readonly digest: string
  /** whether an enforced policy that could have decided this reads `context.now`: then the answer holds only for a while */
  readonly readsNow: boolean
  /** whether the valid policies alone would allow it; differs from `outcome === 'allow'` only where that is `invalidPolicy` */
  readonly permitted: boolean
  /** what policies in Audit mode would have changed; `undefined` where there are none in scope, or they change nothing */
  readonly audit: AuditDifference | undefined
}

/** The answer as it would be if the Audit policies in scope were enforced. Never acted upon. */
export interface AuditDifference {
  readonly outcome: Outcome
  readonly policies: readonly DecidingPolicy[]
  readonly errors: readonly string[]
}

export interface Authorizer {
  /** Synchronous. Same policies and same request: same answer. What is wrong with a policy or a request is an answer, never thrown. */
  authorize(request: AuthorizationRequest): Answer
  /** When the enforced sets that apply to this namespace last changed; a lost permit counts only after a quiet time since then. */
  changedAt(namespace: string): Instant
  /** Grows with every change of what is enforced anywhere: the same number and the same request mean the same answer. */
  revision(): number
}
