// What the gauges are computed from when somebody scrapes.

import type { Duration, Instant } from '../lib/instant.ts'
import type { Census } from './census.ts'

export interface CredentialRow {
  /** its name in the task */
  readonly name: string
  /** name of the provider object */
  readonly provider: string
  /** when it expires; `undefined` where its source sets no end */
  readonly expiresAt: Instant | undefined
  /** it may live on after it expired, until it is known to be dead */
  readonly lasting: boolean
  /** a word of a closed set, for example `Live`, `Revoking`, `Unconfirmed` */
  readonly state: string
  /** from when on its revocation takes too long */
  readonly overdueAt: Instant | undefined
}

export interface TaskRow {
  readonly namespace: string
  readonly name: string
  /** the reason of the task's `Ready` condition */
  readonly state: string
  /** of a task that waits for its credentials: for what, as its `Issued` condition says it, and since when it is not ready */
  readonly waiting: { readonly reason: string; readonly since: Instant } | undefined
  /** since when it is being deleted */
  readonly deletedAt: Instant | undefined
  /** those that are not known to be dead; whether they have expired is for the reader to see */
  readonly credentials: readonly CredentialRow[]
}

export interface QueueRow {
  /** keys that wait, by priority */
  readonly depth: Readonly<Record<string, number>>
  /** how long the oldest of them has waited; `undefined` when none waits */
  readonly oldest: Duration | undefined
}

export interface WatchRow {
  /** plural name with its group, for example `agenttasks.taskbound.dev` */
  readonly resource: string
  /** the clock's `monotonic()` at the last event, bookmark or finished list; `undefined` before the first */
  readonly lastProgress: Duration | undefined
}

/** An open row of the ledger. */
export interface LeaseRow {
  readonly namespace: string
  readonly task: string
  readonly credential: string
  /** name of the provider object */
  readonly provider: string
  readonly expiresAt: Instant | undefined
  /** `Expiring`: it cannot be revoked and dies by itself; `Overdue`: it is being revoked for longer than a minute */
  readonly state: 'Open' | 'Revoking' | 'Expiring' | 'Overdue'
}

/** A policy object. `Outdated`: its text is not valid, and an earlier one is in force. `Broken`: it never had a valid one. */
export interface PolicyRow {
  readonly scope: 'Cluster' | 'Namespace'
  readonly state: 'New' | 'Valid' | 'Outdated' | 'Broken'
}

/** A provider object, as its `Ready` condition has it. */
export interface ProviderRow {
  readonly name: string
  readonly ready: boolean
}

/** Why nothing is issued at all. */
export const holds = ['FencesMissing', 'StaleView', 'Draining'] as const
export type Hold = (typeof holds)[number]

/** The stores as they are now. Asked once a scrape; rows are read and not kept. */
export interface Snapshot {
  /** the tasks, counted */
  census(): Pick<Census, 'sum' | 'waiting' | 'deleting'>
  /** the tasks, one by one */
  tasks(): Iterable<TaskRow>
  leases(): Iterable<LeaseRow>
  queue(): QueueRow
  watches(): Iterable<WatchRow>
  leader(): boolean
  /** what keeps the leader from issuing anything; empty on any other replica */
  held(): readonly Hold[]
  /** the most open rows of one namespace at one provider */
  readonly ledgerLimit: number
  policies(): Iterable<PolicyRow>
  providers(): Iterable<ProviderRow>
  /** when a policy came into force, changed or went, or when this replica started */
  policyChangedAt(): Instant | undefined
}

/** Remaining lives by which credentials are counted; each count includes those of the shorter ones. */
export const within = ['1m', '5m', '15m', '1h', '6h'] as const

/** Stands for everything beyond a cap. */
export const other = '_other'
