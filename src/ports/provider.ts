// What a credential provider is to the rest of the operator. One implementation a `spec.type`, in src/providers/<type>.

import type { TaskKey, Uid } from '../core/names.ts'
import type { Failure, GithubAsk, RevocationClass } from '../core/observed.ts'
import type { Duration, Instant } from '../lib/instant.ts'
import type { Material } from '../lib/material.ts'
import type { Result } from '../lib/result.ts'
import type { Handed } from './handed.ts'
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
  /** an exception: only a permit whose head names the provider (`resource == …`) counts for it */
  readonly byName?: true
}

/** One entry of `spec.credentials`, as the provider's own rules judge it. */
export interface CredentialRequest {
  readonly name: string
  readonly audience: string | undefined
  readonly scopes: readonly string[]
  readonly github?: GithubAsk | undefined
  readonly ttl: Duration
}

/**
 * The ledger row under which one credential outside the cluster is made: it is written before anything is asked of the source, and
 * from it alone the credential can be found and killed.
 */
export interface Lease {
  /** the name that it has at its source: `tb`, the installation, then task, credential and attempt; 38 characters of [a-z0-9] */
  readonly handle: string
  /** nothing may come to be under this handle after this time; a source with a clock of its own is asked to refuse later */
  readonly effectBy: Instant
  /** what `record` noted last, where the source does not call it by its handle */
  readonly reference?: string
  /** of the task that it was written for */
  readonly namespace?: string
}

/**
 * Notes in the row what the source itself calls what was made, in place of what was noted before. Nothing of worth is asked of the source
 * until it stands. A failure means that the row is dying or somebody else's: what was made is given back, and nothing more is asked.
 */
export type Note = (reference: string) => Promise<Result<undefined, Failure>>

/**
 * Keeps, sealed in the ledger, a value without which what was made cannot be ended, until the row is dead. Awaited once the source has
 * answered, and before anything is delivered: where it fails, what was made is given back at once. It may have been kept all the same.
 * @param until from then on it has died by itself, and is kept no longer
 */
export type Keep = (value: Material, until?: Instant) => Promise<Result<undefined, Failure>>

/** What was kept under the row, oldest first; none where nothing was. A failure: something was, and does not open for this address. */
export type Kept = () => Promise<Result<readonly Material[], Failure>>

/** All that one issue or renewal may know. Facts of the task, never another task's. */
export interface Order {
  readonly task: TaskKey
  readonly taskUid: Uid
  readonly agent: string
  readonly serviceAccount: string
  /** of the ServiceAccount that the task is bound to */
  readonly serviceAccountUid?: Uid
  readonly action: string
  /** label `policy.taskbound.dev/environment` of the namespace */
  readonly environment: string | undefined
  readonly requestedBy: string | undefined
  readonly credential: string
  readonly audience: string | undefined
  readonly scopes: readonly string[]
  readonly github?: GithubAsk | undefined
  readonly attempt: number
  readonly issuedAt: Instant
  readonly expiresAt: Instant
  /** by the monotonic clock, milliseconds: nothing is sent outside after it; `Infinity` for a provider without an outside */
  readonly deadline: number
}

/** What must be recorded before anything is issued; its public part goes into the task's status. */
export interface Reservation {
  readonly statusList?: StatusRef
  /** given by the ledger, not by `reserve`, to a provider that has an `outside` */
  readonly lease?: Lease
  /** given with `lease` */
  readonly record?: Note
  /** given with `lease` to a provider that `keeps`: to `issue` and `renew` */
  readonly keep?: Keep
  /** the same, and to `revoke` too */
  readonly kept?: Kept
}

/** Fields of one credential. The single-value field is called `token` in `primary`. */
export interface Issued {
  /** field name to bytes; exactly one field means the Secret's key is the credential's own name */
  readonly fields: Readonly<Record<string, Material>>
  /** the real expiry, never later than ordered */
  readonly expiresAt: Instant
}

/**
 * What a provider adds whose credentials exist outside the cluster. Each of them has a row in the ledger, and a handle that is used once.
 * Its `issue` sends nothing after the monotonic `deadline` below, and makes nothing where the handle was killed before.
 * Its `revoke` finds by handle, kills, and answers `ok` only when what the handle names can work no more and can never come to be: where
 * names are ours it occupies the handle, else it goes on failing until `effectBy` plus `settling` is over.
 */
export interface Outside<Params> {
  /** how long after `effectBy` something that was sent in time may still come to be */
  readonly settling: Duration
  /**
   * `InPlace`: a renewal prolongs what the handle names, with the same fields. `Successor`: it makes another under the same handle, whose
   * predecessor lives on for as long as pods may still hold it.
   */
  readonly renewal: 'InPlace' | 'Successor'
  /** present where the source needs the credential itself, or another value, to end it */
  readonly keeps?: {
    /** scheme, host and port that a kept value may be sent to: kept for another one, it does not open */
    origin(params: Params): string
  }
  /**
   * Removes what is left of a dead handle, at the source, and so gives its name free. Called after `effectBy` plus `settling`, and refused
   * before `effectBy` by a source that has a clock of its own: ours may have jumped. `ok` means that the source has nothing left of that
   * name. It may go on failing without anything being alive.
   */
  clean(params: Params, lease: Lease): Promise<Result<undefined, Failure>>
  /** Every handle at the source that begins with `prefix`, dead ones too. `undefined` where a source cannot be asked. */
  list(params: Params, prefix: string): Promise<Result<readonly string[] | undefined, Failure>>
  /** present where a predecessor can be ended by itself; one that cannot dies of age */
  readonly retirement?: Retirement<Params>
  /** present where a source can tell */
  readonly inspection?: Inspection<Params>
}

/** How what was replaced by a renewal is ended, before its time and before its task's. */
export interface Retirement<Params> {
  /** How long after the delivery of its successor pods may still hold it: a kubelet needs up to 90 s to refresh a volume. */
  readonly grace: Duration
  /**
   * Ends what was made under the handle before the renewal of this attempt, and nothing that was made by it or later. Called again until it
   * is `ok`, with what the row is to note in place of what it notes; `undefined` where there is nothing to end.
   */
  retire(params: Params, lease: Lease, attempt: number): Promise<Result<string | undefined, Failure>>
}

/** What a source says of one handle. `Unknown`: it did not answer, or what it answered proves nothing of that very handle. */
export type Sight = 'Alive' | 'Dead' | 'Unknown'

/** How a source tells that somebody else ended what was made there. */
export interface Inspection<Params> {
  /** how many leases are asked about at a time */
  readonly batch: number
  /**
   * One answer for each lease, in their order. `Dead` only where the source itself says so of that very handle: that it does not answer, is
   * a standby, or shows an error proves nothing. Asked from time to time, of what should be alive; never while anything waits for it.
   */
  look(params: Params, leases: readonly Lease[]): Promise<readonly Sight[]>
}

/** Why something is not known to be dead. */
export interface Unrevoked extends Failure {
  /** all was done that can be, and it is refused from this time on at the latest: no failure of its source, and not tried before then */
  readonly until?: Instant
}

/** `Params` is the provider's typed block of the custom resource. Every method may be called again with the same input. */
export interface Provider<Params> {
  readonly type: string
  /** present where what it issues exists outside the cluster */
  readonly outside?: Outside<Params>
  /** The one Secret that it needs where it is of a namespace. Pure. */
  handed?(params: Params): Handed
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
  revoke(params: Params | undefined, reservation: Reservation): Promise<Result<undefined, Unrevoked>>
}

/**
 * The implementation of a `spec.type` for provider objects of a kind: those of a namespace have implementations of their own, which reach no
 * further than what that namespace gives.
 */
export type FindProvider = (type: string, kind: string) => Provider<unknown> | undefined
