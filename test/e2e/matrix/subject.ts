// What is known of one type of provider: its server, a task's entry for it, and how to ask the server whether a credential works; for the crash
// matrix also every await of its own while it issues, renews and revokes, and ways to ask what is alive. A new type is a file in subjects/ and
// a line in subjects.ts.

import type { Gate, TrapOptions } from '../../support/faults/gate.ts'
import type { RunningOperator } from '../../support/operator.ts'
import type { Scenario } from '../support/scenario.ts'

export type Step = 'issue' | 'renew' | 'end'

/** One task, as a point must know it. While it is issued it has no row yet. */
export interface OneTask {
  readonly name: string
  /** handles of its rows so far */
  handles(): readonly string[]
}

/** A place at which the operator waits for somebody. */
export interface Point {
  readonly step: Step
  readonly at: string
  trap(task: OneTask): Omit<TrapOptions, 'when'>
}

/** Keys of a task's Secret with their text. */
export type Fields = Readonly<Record<string, string>>

/** @param data of a Secret, as the API server has it */
export const decode = (data: Readonly<Record<string, string>>): Fields =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]))

export interface Context {
  readonly scenario: Scenario
  /** what proxies before a source are to ask; without it there are none */
  readonly gate: Gate | undefined
  /** URL of the issuer, whoever leads */
  readonly issuer: string
  readonly operator: RunningOperator
  /** what a task asks for, and what a source gives that decides that itself */
  readonly ttlSeconds: number
  /** epoch milliseconds by the clock of whoever leads, for a stand-in that is strict about times */
  now(): number
  /** whatever was ever written into a Secret */
  delivered(): readonly Fields[]
  /** every token of a ServiceAccount that was ever made, with the name of what it is bound to */
  requested(): ReadonlyMap<string, string>
}

/** What it takes to measure how soon a credential is refused. */
export interface Source {
  /** as in `spec.type` */
  readonly type: string
  /** name of its ClusterCredentialProvider */
  readonly provider: string
  /** what it was measured against, with its version */
  readonly server: string
  /** the entry of `spec.credentials` */
  readonly credential: Readonly<Record<string, unknown>>
  /** so that measuring ends in time where every end takes long: so many of each, if that is fewer than is asked for */
  readonly atMost?: number
  /** between one question and the next while its refusal is waited for; default 2 */
  readonly pauseMs?: number
  /** Whether the server, or who relies on it, takes it. */
  works(fields: Fields): Promise<boolean>
  close(): Promise<void>
}

export interface SourceType {
  start(context: Context): Promise<Omit<Source, 'type'>>
}

export interface Subject extends Source {
  readonly points: readonly Point[]
  /** `Successor`: what a renewal replaces lives on beside it, to its own expiry or the task's end */
  readonly renewal: 'InPlace' | 'Successor'
  /** for how long at most something may live that the server itself lost, when whoever asked for it was gone; default 0 */
  readonly lostLifeMs?: number
  /** Nobody can end what a lost answer brought: it lives to its expiry, and for each one a row of its task must say so. */
  readonly lostExpires?: true
  /** where nobody can end it: why `Revoked` stays False at the end of its task, though its Secret goes, and it works on */
  readonly remains?: 'ValueRemains'
  /** Ids of all that is alive at the server and ours. */
  alive(): Promise<readonly string[]>
  /**
   * The id of what a Secret holds.
   * @param handle of the row that is open, where there is one
   */
  idOf(fields: Fields, handle: string): string
  /** What is left at the server at the very end, though it is dead, and should not be. */
  leftovers?(): Promise<readonly string[]>
}

export interface SubjectType extends SourceType {
  readonly points: readonly Point[]
  start(context: Context): Promise<Omit<Subject, 'type' | 'points'>>
}
