// What the gauges are computed from when somebody scrapes, and the sums over it. Nothing here is kept from one scrape to the next,
// so a deleted task leaves no series.

import type { Duration, Instant } from '../lib/instant.ts'

export interface CredentialRow {
  /** its name in the task */
  readonly name: string
  /** name of the provider object */
  readonly provider: string
  /** when it dies by itself; `undefined` where its source sets no end */
  readonly expiresAt: Instant | undefined
  /** a word of a closed set, for example `Live`, `Revoking`, `Unconfirmed` */
  readonly state: string
  /** it is being revoked for longer than a minute */
  readonly overdue: boolean
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
  readonly credentials: Iterable<CredentialRow>
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
  /** `Overdue`: it is being revoked for longer than a minute */
  readonly state: 'Open' | 'Revoking' | 'Overdue'
}

/** A policy object. `Outdated`: its text is not valid, and an earlier one is in force. `Broken`: it never had a valid one. */
export interface PolicyRow {
  readonly scope: 'Cluster' | 'Namespace'
  readonly state: 'New' | 'Valid' | 'Outdated' | 'Broken'
}

/** Why nothing is issued at all. */
export const holds = ['FencesMissing', 'StaleView', 'Draining'] as const
export type Hold = (typeof holds)[number]

/** The stores as they are now. Asked once a scrape; rows are read and not kept. */
export interface Snapshot {
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
  /** when a policy came into force, changed or went, or when this replica started */
  policyChangedAt(): Instant | undefined
}

/** Remaining lives by which credentials are counted; each count includes those of the shorter ones. */
export const within = ['1m', '5m', '15m', '1h', '6h'] as const
const withinMilliseconds = [60_000, 300_000, 900_000, 3_600_000, 21_600_000] as const

/** Stands for everything beyond a cap. */
export const other = '_other'

/** Counts by word. With 100,000 credentials each look-up is felt, and the next word is mostly the same as the last. */
export interface Tally {
  readonly counts: ReadonlyMap<string, { readonly count: number }>
  add(word: string): void
}

function tally(): Tally {
  const counts = new Map<string, { count: number }>()
  let last: string | undefined
  let row = { count: 0 }
  return {
    counts,
    add(word) {
      if (word !== last) {
        row = counts.get(word) ?? { count: 0 }
        counts.set(word, row)
        last = word
      }
      row.count += 1
    },
  }
}

export interface ProviderSum {
  readonly states: Tally
  /** by place in `within`, cumulative; only credentials that can still be used */
  readonly expiring: number[]
  /** the soonest end of a credential that can still be used */
  next: number
}

export interface NamespaceSum {
  readonly states: Tally
  readonly providers: Map<string, ProviderSum>
}

/** Finds or makes the row of a name; beyond the cap all names share one row. */
function rowOf<T>(rows: Map<string, T>, name: string, cap: number, make: () => T): T {
  const known = rows.get(name)
  if (known !== undefined) return known
  const key = rows.size < cap ? name : other
  const row = rows.get(key) ?? make()
  rows.set(key, row)
  return row
}

const emptyProvider = (): ProviderSum => ({ states: tally(), expiring: within.map(() => 0), next: Number.POSITIVE_INFINITY })
const emptyNamespace = (): NamespaceSum => ({ states: tally(), providers: new Map() })

/**
 * One pass over all tasks.
 * @param caps the most namespaces, and the most providers of one namespace, that get series of their own
 * @param see shown each task
 */
export function sum(
  tasks: Iterable<TaskRow>,
  now: Instant,
  caps: { readonly namespaces: number; readonly providers: number },
  see?: (task: TaskRow) => void,
): Map<string, NamespaceSum> {
  const sums = new Map<string, NamespaceSum>()
  for (const task of tasks) {
    const row = rowOf(sums, task.namespace, caps.namespaces, emptyNamespace)
    row.states.add(task.state)
    see?.(task)
    for (const { provider, state, expiresAt } of task.credentials) {
      const group = rowOf(row.providers, provider, caps.providers, emptyProvider)
      group.states.add(state)
      if (expiresAt === undefined || expiresAt <= now) continue
      if (expiresAt < group.next) group.next = expiresAt
      const left = expiresAt - now
      for (let i = within.length - 1; i >= 0 && left <= (withinMilliseconds[i] ?? 0); i--) {
        group.expiring[i] = (group.expiring[i] ?? 0) + 1
      }
    }
  }
  return sums
}
