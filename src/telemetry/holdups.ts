// Gauges of what holds tasks up: why nothing is issued, how long tasks wait and for what, how full the ledger is, which policies are not as
// they were written. Named by reasons and providers, never by tasks.

import { Gauge, type Registry } from 'prom-client'
import type { Instant } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import { holds, other, type PolicyRow, type Snapshot } from './snapshot.ts'

export interface HoldUps {
  /** Takes an open row of the ledger into account for the next `refresh`. */
  count(namespace: string, provider: string): void
  /** Brings the gauges up to date, and forgets what it was shown. */
  refresh(): void
}

/** Reasons are a closed set that a condition may be older or newer than; no more of them than this get series. */
const mostReasons = 40

const scopes: readonly PolicyRow['scope'][] = ['Cluster', 'Namespace']
const states: readonly PolicyRow['state'][] = ['New', 'Valid', 'Outdated', 'Broken']

export function createHoldUps(registry: Registry, snapshot: Snapshot, clock: Clock): HoldUps {
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge<L>({ name, help, labelNames, registers: [registry] })

  const held = gauge('taskbound_issuing_held', '1 while the leader issues nothing at all for this reason, else 0.', 'reason')
  const pending = gauge(
    'taskbound_tasks_pending_oldest_seconds',
    'How long the task that waits longest for its credentials has waited, by what it waits for, in seconds.',
    'reason',
  )
  const deleting = gauge(
    'taskbound_tasks_deleting_oldest_seconds',
    'How long the deletion of a task has waited at most, in seconds; 0 when none is being deleted.',
  )
  const fullest = gauge(
    'taskbound_ledger_fullest_ratio',
    'Open rows of the namespace that has the most of them at this provider, as a part of what one namespace may have.',
    'provider',
  )
  const policies = gauge(
    'taskbound_policies',
    'Policy objects by state; Outdated: an earlier text is in force; Broken: there never was a valid one.',
    'scope',
    'state',
  )
  const policyChange = gauge(
    'taskbound_policy_last_change_timestamp_seconds',
    'When a policy last came into force, changed or went, or this replica started, in seconds since 1970.',
  )

  let rows = new Map<string, Map<string, number>>()

  const countPolicies = (): void => {
    for (const scope of scopes) for (const state of states) policies.set({ scope, state }, 0)
    for (const { scope, state } of snapshot.policies()) policies.inc({ scope, state })
  }
  const fill = (): void => {
    fullest.reset()
    for (const [provider, namespaces] of rows) {
      let most = 0
      for (const open of namespaces.values()) most = Math.max(most, open)
      fullest.set({ provider }, most / snapshot.ledgerLimit)
    }
    rows = new Map()
  }
  const age = (): void => {
    const ago = (since: Instant): number => Math.max(0, clock.now() - since) / 1000
    const oldest = new Map<string, Instant>()
    for (const { reason, since } of snapshot.census().waiting()) {
      const key = oldest.has(reason) || oldest.size < mostReasons ? reason : other
      const before = oldest.get(key)
      if (before === undefined || since < before) oldest.set(key, since)
    }
    pending.reset()
    for (const [reason, since] of oldest) pending.set({ reason }, ago(since))
    let longest = 0
    for (const since of snapshot.census().deleting()) longest = Math.max(longest, ago(since))
    deleting.set(longest)
  }

  return {
    count(namespace, provider) {
      const namespaces = rows.get(provider) ?? new Map<string, number>()
      rows.set(provider, namespaces.set(namespace, (namespaces.get(namespace) ?? 0) + 1))
    },
    refresh() {
      const now = snapshot.held()
      for (const reason of holds) held.set({ reason }, now.includes(reason) ? 1 : 0)
      age()
      fill()
      countPolicies()
      policyChange.set((snapshot.policyChangedAt() ?? 0) / 1000)
    },
  }
}
