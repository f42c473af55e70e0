// All that is known about one task at one moment, as plain data. Gathered by the shell; the core decides from nothing else.
// No secret bytes, no clock, no promise has a place here.

import type { Reason } from '../api/reasons.ts'
import type { Duration, Instant } from '../lib/instant.ts'
import type { TaskKey, Uid } from './names.ts'

/** How a dead task's credential stops working: refused at the source, refused by whoever checks status, or by expiry alone. */
export type RevocationClass = 'Immediate' | 'Checked' | 'ExpireOnly'

/** A classified problem: a documented code and a sentence that says what the reader can do. Never material, never a raw outside error. */
export interface Failure {
  readonly reason: Reason
  readonly message: string
}

export interface ProviderRef {
  readonly kind: string
  readonly name: string
}

/** What a token of a GitHub App is for: repositories without their owner, and permissions to levels. */
export interface GithubAsk {
  readonly repositories: readonly string[]
  readonly permissions: Readonly<Record<string, string>>
}

/** One entry of `spec.credentials`. */
export interface CredentialSpec {
  readonly name: string
  readonly provider: ProviderRef
  readonly audience: string | undefined
  readonly scopes: readonly string[]
  /** for a provider of type `githubApp`, and for no other */
  readonly github?: GithubAsk | undefined
  readonly destination: string | undefined
  readonly ttl: Duration
  /** field name to Secret key */
  readonly keys: Readonly<Record<string, string>>
}

export interface WorkloadRef {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
}

export interface TaskSpec {
  readonly agent: string
  readonly action: string
  readonly purpose: string | undefined
  readonly dataSensitivity: string | undefined
  readonly destinations: readonly string[]
  readonly tools: readonly string[]
  readonly attributes: Readonly<Record<string, string>>
  readonly credentials: readonly CredentialSpec[]
  readonly workload: WorkloadRef | undefined
  readonly startingDeadline: Duration
  readonly activeDeadline: Duration
  readonly ttlAfterFinished: Duration | undefined
  readonly suspend: boolean
  readonly end: 'Completed' | 'Cancelled' | undefined
  readonly requestedBy: RequestedBy | undefined
}

export interface RequestedBy {
  readonly username: string
  readonly uid: string
  readonly groups: readonly string[]
  readonly podUid: string
}

/** One issued, or about to be issued, credential as the record keeps it. */
export interface CredentialRecord {
  readonly name: string
  readonly provider: ProviderRef & { readonly uid: Uid; readonly type: string }
  readonly attempt: number
  readonly statusList: { readonly uri: string; readonly index: number } | undefined
  /** its name at a source outside of the cluster, and of its row in the ledger */
  readonly handle: string | undefined
  readonly issuedAt: Instant
  readonly expiresAt: Instant
  /** when to renew; absent where it lives to the task's deadline anyway */
  readonly renewAt: Instant | undefined
  readonly revocation: { readonly class: RevocationClass; readonly bound: Duration }
  /** set once it was withdrawn and its class's promise holds */
  readonly revokedAt: Instant | undefined
}

/**
 * The part of status that is read back: written by compare-and-set before the effect it announces, by the operator alone.
 * `secret.attempt` is the attempt whose Secret write is confirmed; while it differs from `attempt`, an intent is open.
 */
export interface TaskRecord {
  readonly bound: { readonly agent: Uid | undefined; readonly serviceAccount: Uid | undefined; readonly workload: Uid | undefined }
  readonly startedAt: Instant | undefined
  readonly deadlineAt: Instant | undefined
  readonly completedAt: Instant | undefined
  /** why it is over; set together with `completedAt` and final */
  readonly completion: Reason | undefined
  readonly requestDigest: string | undefined
  readonly attempt: number
  readonly secret: { readonly name: string; readonly uid: Uid; readonly attempt: number } | undefined
  /** the last attempt whose Secret is known to be deleted, or never to have been written */
  readonly withdrawnAttempt: number
  readonly credentials: readonly CredentialRecord[]
}

export const emptyRecord: TaskRecord = {
  bound: { agent: undefined, serviceAccount: undefined, workload: undefined },
  startedAt: undefined,
  deadlineAt: undefined,
  completedAt: undefined,
  completion: undefined,
  requestDigest: undefined,
  attempt: 0,
  secret: undefined,
  withdrawnAttempt: 0,
  credentials: [],
}

export type ConditionType = 'Ready' | 'Authorized' | 'Issued' | 'Revoked' | 'Complete' | 'Failed'

export interface Condition {
  readonly type: ConditionType
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: Reason
  readonly message: string
  readonly observedGeneration: number
  readonly lastTransitionTime: Instant
}

/** The part of status that is derived for readers. Never read back but to see whether it changed. */
export interface Report {
  readonly observedGeneration: number
  readonly conditions: readonly Condition[]
  readonly decision:
    | {
        readonly allowed: boolean
        readonly reason: Reason
        readonly policies: readonly string[]
        readonly digest: string
        readonly time: Instant
      }
    | undefined
  /** soonest expiry of what is live */
  readonly expiresAt: Instant | undefined
}

export const emptyReport: Report = { observedGeneration: 0, conditions: [], decision: undefined, expiresAt: undefined }

export interface Task {
  readonly key: TaskKey
  readonly namespace: string
  readonly name: string
  readonly uid: Uid
  readonly generation: number
  readonly createdAt: Instant
  /** has a `deletionTimestamp` */
  readonly deleting: boolean
  /** which one */
  readonly deletedAt?: Instant | undefined
  /** the object exists no more; its last known state is what stands here */
  readonly gone: boolean
  readonly spec: TaskSpec
  readonly record: TaskRecord
  readonly report: Report
}

export interface AgentFacts {
  readonly uid: Uid
  readonly suspended: boolean
  readonly serviceAccount: string
}

/** `unwatchable`: the kind does not exist here, or the operator may not watch it. */
export type WorkloadFacts =
  | { readonly state: 'none' }
  | { readonly state: 'absent' }
  | { readonly state: 'unknown' }
  | { readonly state: 'unwatchable'; readonly message: string }
  | { readonly state: 'present'; readonly uid: Uid; readonly deleting: boolean; readonly finished: 'Succeeded' | 'Failed' | undefined }

/** A thing by name: known with its UID, known to be absent, or not known for certain. */
export type Presence = { readonly state: 'present'; readonly uid: Uid } | { readonly state: 'absent' } | { readonly state: 'unknown' }

export type CredentialProviderFacts =
  | { readonly state: 'absent' }
  | {
      readonly state: 'present'
      readonly uid: Uid
      readonly type: string
      /** why it cannot issue now */
      readonly notReady: string | undefined
      /** why this request can never be served by it as both stand */
      readonly refusal: Failure | undefined
      readonly revocation: { readonly class: RevocationClass; readonly bound: Duration }
      /** the shortest life that it can give */
      readonly leastLife: Duration
      readonly maxTtl: Duration
      /** only a permit that names it counts */
      readonly byName?: true
    }

/** What follows where somebody else ended a credential at its source: the task is over, or it is issued afresh. */
export type AfterLoss = 'Fail' | 'Reissue'

/** A row of the ledger, as its task sees it. */
export interface LeaseFacts {
  readonly handle: string
  readonly credential: string
  /** false where an administrator gave it up, so that nobody tries any more and nobody knows, and where it is dead */
  readonly open: boolean
  /** it was killed at its source, and can never come to be */
  readonly dead?: boolean
  readonly attempt?: number
  /** found ended at its source by somebody else: when, and what the provider's object says is to follow */
  readonly foundDead?: { readonly at: Instant; readonly after: AfterLoss } | undefined
  /** open, and all that is left to do for it is to wait: it dies by itself at a time that its message says */
  readonly expiring?: boolean
  /** why it is not dead */
  readonly message: string | undefined
}

/** Cedar's answer to one question about one credential. */
export interface Decision {
  readonly outcome: 'allow' | 'forbid' | 'noPermit' | 'error' | 'invalidPolicy'
  readonly policies: readonly { readonly id: string; readonly message: string | undefined }[]
  readonly errors: readonly string[]
  readonly digest: string
  /** a policy that could decide reads the clock, so the answer holds only for a while */
  readonly readsNow: boolean
  /** whether the valid policies alone would allow it: what is live then outlives somebody's broken policy */
  readonly permitted: boolean
}

export interface CredentialFacts {
  readonly name: string
  readonly provider: CredentialProviderFacts
  /** asked only where `questions` wants it */
  readonly issue: Decision | undefined
  readonly renew: Decision | undefined
}

export interface Limits {
  readonly maxActiveDeadline: Duration
  /** how long the loss of a permit must hold */
  readonly policySettle: Duration
  /** how often what reads the clock is judged again */
  readonly rejudge: Duration
}

export interface Observed {
  readonly task: Task
  readonly namespace: 'active' | 'terminating' | 'unknown'
  readonly agent: (AgentFacts & { readonly state: 'present' }) | { readonly state: 'absent' } | { readonly state: 'unknown' }
  readonly serviceAccount: Presence
  readonly workload: WorkloadFacts
  /** name of a living pod that carries the task's label and is older than the task */
  readonly olderPod: string | undefined
  readonly credentials: readonly CredentialFacts[]
  /** what may still be alive outside the cluster because of this task, of whatever attempt, and what is known to be dead there */
  readonly leases: readonly LeaseFacts[]
  /** when the policies that apply here last changed */
  readonly policyChangedAt: Instant
  /** a policy that applies here was seen and is not in force yet, so the want of a permit may be over in a moment */
  readonly policyPending: boolean
  /** why nothing may be issued by this replica now (fences missing, stale view, not leading); endings go on */
  readonly hold: Failure | undefined
  /** an administrator has everything taken back, so that the operator can be removed */
  readonly draining: boolean
  /** why the requester is not known for certain, for the message of a denial */
  readonly requesterUnknown: string | undefined
  readonly limits: Limits
}
