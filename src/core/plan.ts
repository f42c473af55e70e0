// What is to be done, with ids, never how: effects as data, what became of them, and where the task stands.

import type { Reason } from '../api/reasons.ts'
import type { Instant } from '../lib/instant.ts'
import type { Uid } from './names.ts'
import type { CredentialRecord, Failure, LeaseFacts, ProviderRef, TaskRecord } from './observed.ts'

/** One credential to make. */
export interface IssueOrder {
  readonly name: string
  readonly provider: ProviderRef & { readonly uid: Uid; readonly type: string }
  readonly expiresAt: Instant
}

export type Effect =
  /**
   * Write `record` to status by compare-and-set, after asking the provider of each order for what must be recorded. Nothing is made
   * before it is written, and where a stop has no orders, nothing dies before.
   */
  | { readonly tag: 'RecordIntent'; readonly record: TaskRecord; readonly orders: readonly IssueOrder[] }
  /** Make every credential of the recorded attempt and write them into the task's Secret, judging once more in between. */
  | { readonly tag: 'Issue'; readonly attempt: number; readonly issuedAt: Instant; readonly orders: readonly IssueOrder[] }
  /** Make the successors under the recorded reservations and overwrite the Secret. */
  | { readonly tag: 'Renew'; readonly attempt: number; readonly issuedAt: Instant; readonly orders: readonly IssueOrder[] }
  /** Delete the task's Secret; without a UID, learn it first by a fenced write with a later attempt than `attempt`. */
  | { readonly tag: 'Withdraw'; readonly secret: string; readonly uid: Uid | undefined; readonly attempt: number }
  /** Kill one credential at its source. */
  | { readonly tag: 'Revoke'; readonly credential: CredentialRecord }
  /** The same for what a row of the ledger names, whether or not the record knows of it. */
  | { readonly tag: 'RevokeLease'; readonly lease: LeaseFacts }
  /** Delete the task itself: its time after the end is over. */
  | { readonly tag: 'DeleteTask'; readonly uid: Uid }

/**
 * What became of an effect. `lost`: a compare-and-set found that somebody else had written; gather again.
 * `behind`: the stored Secret has this attempt or a later one. `absent`: a renewal found no Secret to replace. `retry`: it failed and may work later.
 * `stalled`: it cannot work until something outside changes. `pending`: the ledger has taken it over, and tells when it is done.
 */
export type Outcome =
  | { readonly tag: 'done'; readonly fact: Fact }
  | { readonly tag: 'lost' }
  | { readonly tag: 'behind' }
  | { readonly tag: 'absent' }
  | { readonly tag: 'denied' }
  | { readonly tag: 'retry'; readonly failure: Failure }
  | { readonly tag: 'stalled'; readonly failure: Failure }
  | { readonly tag: 'pending'; readonly failure: Failure }

export type Fact =
  | { readonly of: 'RecordIntent'; readonly record: TaskRecord }
  | { readonly of: 'Issue' | 'Renew'; readonly secretUid: Uid; readonly expiries: Readonly<Record<string, Instant>> }
  | { readonly of: 'Withdraw' | 'Revoke' | 'RevokeLease' | 'DeleteTask' }

export interface Performed {
  readonly effect: Effect
  readonly outcome: Outcome
}

/** The one word of the `Ready` condition. */
export type Word = 'Active' | 'Pending' | 'Denied' | 'Suspended' | 'Completed' | 'Failed' | 'Cancelled' | 'Expired' | 'Revoked'

/**
 * Where a task stands. `ended` is final. `stopped`: everything dies, but it may be decided afresh. `blocked`: nothing can be
 * issued now, what is live stays. `clear`: nothing speaks against it.
 */
export type Standing =
  | { readonly kind: 'ended'; readonly word: Word; readonly reason: Reason; readonly message: string }
  | { readonly kind: 'stopped'; readonly word: 'Denied' | 'Suspended'; readonly reason: Reason; readonly message: string }
  | { readonly kind: 'blocked'; readonly reason: Reason; readonly message: string; readonly until: Instant | undefined }
  | { readonly kind: 'clear'; readonly until: Instant | undefined }

/** What Cedar and the providers' own rules say to the whole request: all credentials or none. */
export type Judgement =
  | { readonly kind: 'allowed'; readonly policies: readonly string[]; readonly digest: string; readonly readsNow: boolean }
  | {
      readonly kind: 'denied'
      readonly reason: Reason
      readonly message: string
      readonly policies: readonly string[]
      readonly digest: string | undefined
      readonly readsNow: boolean
      /** whether it must hold for a quiet time before it kills what is live */
      readonly settles: boolean
      /** whether it kills what is live at all, or only stops issuing */
      readonly kills: boolean
    }
  | { readonly kind: 'unjudged'; readonly reason: Reason; readonly message: string }

export interface Plan {
  readonly standing: Standing
  readonly judgement: Judgement
  readonly effects: readonly Effect[]
  /** the record as it stands before any effect of this plan: bindings, start and end are decided here */
  readonly record: TaskRecord
  /** the time that it was decided at; what falls due after it is for the next pass, however long this one takes */
  readonly decidedAt: Instant
}
