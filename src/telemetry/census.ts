// How many tasks and credentials there are, by what gauges are labelled with; kept up change by change, so that a scrape does not look at
// every task. What depends on the time is counted by the time at which it changes. A task that is gone is not counted, so nothing is left of it.

import type { Instant } from '../lib/instant.ts'
import { other, type TaskRow, within } from './snapshot.ts'

const lengths = [60_000, 300_000, 900_000, 3_600_000, 21_600_000] as const satisfies { readonly length: (typeof within)['length'] }

export interface ProviderSum {
  readonly states: Map<string, number>
  /** by place in `within`, cumulative; only credentials that can still be used */
  readonly expiring: number[]
  /** the soonest end of a credential that can still be used; infinite where there is none */
  next: number
}

export interface NamespaceSum {
  /** tasks by state */
  readonly states: Map<string, number>
  readonly providers: Map<string, ProviderSum>
}

export interface Census {
  /** A task came, changed, or went. `before` must be what was told as `after` when it was last told of. */
  change(before: TaskRow | undefined, after: TaskRow | undefined): void
  /** @param caps the most namespaces, and the most providers of one namespace, that are counted by name; the rest are `_other` */
  sum(now: Instant, caps: { readonly namespaces: number; readonly providers: number }): Map<string, NamespaceSum>
  /** tasks that wait for their credentials */
  waiting(): Iterable<NonNullable<TaskRow['waiting']>>
  /** since when tasks are being deleted, each */
  deleting(): Iterable<Instant>
}

/** Credentials that only differ in when they expire. */
interface Group {
  readonly provider: string
  readonly state: string
  readonly lasting: boolean
  /** how many expire when; infinite where there is no such time */
  readonly times: Map<number, number>
}

interface Namespace {
  readonly tasks: Map<string, number>
  readonly groups: Map<string, Group>
}

function bump<K>(counts: Map<K, number>, key: K, by: number): void {
  const count = (counts.get(key) ?? 0) + by
  if (count === 0) counts.delete(key)
  else counts.set(key, count)
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

const emptyProvider = (): ProviderSum => ({ states: new Map(), expiring: within.map(() => 0), next: Number.POSITIVE_INFINITY })
const emptyNamespace = (): NamespaceSum => ({ states: new Map(), providers: new Map() })

function addGroup(sum: ProviderSum, { state, lasting, times }: Group, now: Instant): void {
  let alive = 0
  for (const [time, count] of times) {
    const left = time - now
    if (left <= 0) {
      if (lasting) alive += count
      continue
    }
    alive += count
    if (time < sum.next) sum.next = time
    for (let i = lengths.length - 1; i >= 0 && left <= (lengths[i] ?? 0); i--) sum.expiring[i] = (sum.expiring[i] ?? 0) + count
  }
  if (alive > 0) bump(sum.states, state, alive)
}

export function createCensus(): Census {
  const namespaces = new Map<string, Namespace>()
  const waiting = new Map<string, NonNullable<TaskRow['waiting']>>()
  const deleting = new Map<string, Instant>()

  function count(row: TaskRow, by: 1 | -1): void {
    const namespace = namespaces.get(row.namespace) ?? { tasks: new Map<string, number>(), groups: new Map<string, Group>() }
    namespaces.set(row.namespace, namespace)
    bump(namespace.tasks, row.state, by)
    for (const { provider, state, lasting, expiresAt } of row.credentials) {
      const key = `${provider} ${state} ${lasting}`
      const group = namespace.groups.get(key) ?? { provider, state, lasting, times: new Map<number, number>() }
      namespace.groups.set(key, group)
      bump(group.times, expiresAt ?? Number.POSITIVE_INFINITY, by)
      if (group.times.size === 0) namespace.groups.delete(key)
    }
    if (namespace.tasks.size === 0) namespaces.delete(row.namespace)
  }

  return {
    change(before, after) {
      if (before !== undefined) count(before, -1)
      if (after !== undefined) count(after, 1)
      const row = after ?? before
      if (row === undefined) return
      const key = `${row.namespace}/${row.name}`
      if (after?.waiting === undefined) waiting.delete(key)
      else waiting.set(key, after.waiting)
      if (after?.deletedAt === undefined) deleting.delete(key)
      else deleting.set(key, after.deletedAt)
    },
    sum(now, caps) {
      const sums = new Map<string, NamespaceSum>()
      for (const [name, { tasks, groups }] of namespaces) {
        const row = rowOf(sums, name, caps.namespaces, emptyNamespace)
        for (const [state, tally] of tasks) bump(row.states, state, tally)
        for (const group of groups.values()) addGroup(rowOf(row.providers, group.provider, caps.providers, emptyProvider), group, now)
      }
      return sums
    },
    waiting: () => waiting.values(),
    deleting: () => deleting.values(),
  }
}
