// Tokens of ServiceAccounts as the API server gives them: each bound to an empty Secret of its own, its anchor, with which it dies. What is
// answered here is in our own words; nothing that the API server says goes further.

import type { Duration } from '../lib/instant.ts'
import type { Material } from '../lib/material.ts'
import type { Result } from '../lib/result.ts'

/** Where an anchor is. A name is used once, so that whoever knows no UID means the same Secret. */
export interface AnchorPlace {
  readonly namespace: string
  readonly name: string
  readonly uid?: string
}

export interface Anchor extends AnchorPlace {
  readonly uid: string
}

/** The task whose anchor it is: it owns it, and its attempt numbers it. */
export interface AnchorOwner {
  readonly task: string
  readonly taskUid: string
  readonly attempt: number
}

export interface TokenOrder {
  readonly anchor: Anchor
  readonly serviceAccount: string
  /** exactly one: an absent one would be filled with the API server's own */
  readonly audience: string
  readonly life: Duration
}

/** What is known of the API server before any namespace is asked about. */
export interface Standing {
  /** why no token may be asked for anywhere; a sentence */
  readonly problem?: string
  /** the issuer of its tokens, which is an audience of its own unless it is told otherwise; absent where it does not say */
  readonly issuer?: string
}

/** Every failure is a sentence. `limit` is for one call. */
export interface AnchoredTokens {
  /** Makes the empty Secret. A name that is taken is a failure. */
  anchor(place: AnchorPlace, owner: AnchorOwner, limit: Duration): Promise<Result<Anchor, string>>
  /** Makes a token (`TokenRequest`) that is bound to the anchor by name and UID. */
  token(order: TokenOrder, limit: Duration): Promise<Result<Material, string>>
  /** Whether the API server itself lets somebody in with it (`TokenReview` without an audience). */
  admits(token: Material, limit: Duration): Promise<Result<boolean, string>>
  /**
   * Deletes an anchor, and no other Secret of its name.
   * @returns `gone`: it is not there any more, and never will be again. `held`: it is being deleted, and somebody's finalizer keeps it.
   */
  remove(place: AnchorPlace, limit: Duration): Promise<Result<'gone' | 'held', string>>
  /** Whether it is there still. Asked by a deletion that changes nothing, since Secrets are not read. */
  stands(anchor: Anchor, limit: Duration): Promise<Result<boolean, string>>
  /** A failure means that the API server did not say. */
  standing(limit: Duration): Promise<Result<Standing, string>>
}
