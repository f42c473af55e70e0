// What a credential provider is to the rest of the operator. One implementation a `spec.type`, in src/providers/<type>.

import type { TaskKey, Uid } from '../core/names.ts'
import type { Failure, RevocationClass } from '../core/observed.ts'
import type { Duration, Instant } from '../lib/instant.ts'
import type { Material } from '../lib/material.ts'
import type { Result } from '../lib/result.ts'
import type { StatusRef } from './signer.ts'

export type { Failure, RevocationClass }

/** What a provider object promises, worked out from its spec alone. */
export interface Promises {
  readonly revocation: RevocationClass
  /** the longest time a dead task's credential can still work for whoever follows the class's rule */
  readonly bound: Duration
  /** what may be asked for, at the least and at the most */
  readonly minTtl: Duration
  readonly maxTtl: Duration
  /** the shortest life that it can give: where less is left to a task, what it issues outlives the deadline by the rest */
  readonly leastLife: Duration
}

/** One entry of `spec.credentials`, as the provider's own rules judge it. */
export interface CredentialRequest {
  readonly name: string
  readonly audience: string | undefined
  readonly scopes: readonly string[]
  readonly ttl: Duration
}

/** All that one issue or renewal may know. Facts of the task, never another task's. */
export interface Order {
  readonly task: TaskKey
  readonly taskUid: Uid
  readonly agent: string
  readonly serviceAccount: string
  readonly action: string
  /** label `policy.taskbound.dev/environment` of the namespace */
  readonly environment: string | undefined
  readonly requestedBy: string | undefined
  readonly credential: string
  readonly audience: string | undefined
  readonly scopes: readonly string[]
  readonly attempt: number
  readonly issuedAt: Instant
  readonly expiresAt: Instant
}

/** What must be recorded before anything is issued; its public part goes into the task's status. */
export interface Reservation {
  readonly statusList?: StatusRef
}

/** Fields of one credential. The single-value field is called `token` in `primary`. */
export interface Issued {
  /** field name to bytes; exactly one field means the Secret's key is the credential's own name */
  readonly fields: Readonly<Record<string, Material>>
  /** the real expiry, never later than ordered */
  readonly expiresAt: Instant
}

/** `Params` is the provider's typed block of the custom resource. Every method may be called again with the same input. */
export interface Provider<Params> {
  readonly type: string
  /** From the spec alone. Pure. */
  promises(params: Params): Promises
  /** Whether the object may be used at all; a failure becomes its `Ready=False`. Pure for providers without an outside. */
  ready(params: Params): Promise<Result<undefined, Failure>>
  /** Judges one request against the provider's closed lists, before any policy is asked. Pure. */
  check(params: Params, request: CredentialRequest): Failure | undefined
  /** Takes what `issue` will need recorded. Synchronous, makes nothing exist outside this process. */
  reserve(params: Params): Result<Reservation, Failure>
  /** Makes one credential. Called after its intent is recorded, at most once an attempt. */
  issue(params: Params, order: Order, reservation: Reservation): Promise<Result<Issued, Failure>>
  /** Makes the successor of a live credential under the same reservation. */
  renew(params: Params, order: Order, reservation: Reservation): Promise<Result<Issued, Failure>>
  /** Kills what was issued under a reservation. Idempotent; `ok` means that the class's promise holds from now on. */
  revoke(params: Params | undefined, reservation: Reservation): Promise<Result<undefined, Failure>>
}
