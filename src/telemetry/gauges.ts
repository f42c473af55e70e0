// Gauges that are computed from a snapshot of the stores at scrape. Names of tasks, credentials and people never become labels.

import { Gauge, type Registry } from 'prom-client'
import { type Duration, milliseconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import { createHoldUps } from './holdups.ts'
import { other, type Snapshot, within } from './snapshot.ts'

/** The most namespaces, and the most providers of one namespace, that get series of their own; the rest share `_other`. */
export interface SeriesCaps {
  readonly namespaces: number
  readonly providers: number
}

export const defaultCaps: SeriesCaps = { namespaces: 200, providers: 50 }

/**
 * Answers what brings the gauges up to date.
 * @param sawProvider told the name of every provider of a credential
 */
export function createGauges(
  registry: Registry,
  snapshot: Snapshot,
  clock: Clock,
  caps: SeriesCaps,
  sawProvider: (name: string) => void,
): () => void {
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge<L>({ name, help, labelNames, registers: [registry] })

  const leader = gauge('taskbound_leader', '1 on the replica that leads, else 0.')
  const tasks = gauge('taskbound_tasks', 'Tasks by the reason of their Ready condition.', 'namespace', 'state')
  const credentials = gauge('taskbound_credentials', 'Credentials of tasks by state.', 'namespace', 'provider', 'state')
  const expiring = gauge(
    'taskbound_credentials_expiring',
    'Credentials that can still be used and die within this time; a longer time includes the shorter ones.',
    'namespace',
    'provider',
    'within',
  )
  const next = gauge(
    'taskbound_credential_next_expiry_timestamp_seconds',
    'When the next credential that can still be used dies by itself, in seconds since 1970.',
    'namespace',
    'provider',
  )
  const leases = gauge(
    'taskbound_leases',
    'Credentials outside the cluster that are not known to be dead, by what is done about them; Expiring: cannot be revoked and dies by itself; Overdue: being revoked for over a minute.',
    'provider',
    'state',
  )
  const ready = gauge(
    'taskbound_provider_ready',
    '1 while the provider can issue, 0 while its Ready condition says why it cannot.',
    'provider',
  )
  const depth = gauge('taskbound_workqueue_depth', 'Tasks that wait for a pass, by priority.', 'priority')
  const oldest = gauge('taskbound_workqueue_oldest_seconds', 'How long the oldest waiting task has waited; 0 when none waits.')
  const progress = gauge(
    'taskbound_watch_last_progress_timestamp_seconds',
    'When a watch last brought an event, a bookmark or a whole list, in seconds since 1970.',
    'resource',
  )

  const holdUps = createHoldUps(registry, snapshot, clock)

  const sums = (): void => {
    tasks.reset()
    credentials.reset()
    expiring.reset()
    next.reset()
    for (const [namespace, row] of snapshot.census().sum(clock.now(), caps)) {
      for (const [state, count] of row.states) tasks.set({ namespace, state }, count)
      for (const [provider, group] of row.providers) {
        sawProvider(provider)
        for (const [state, count] of group.states) credentials.set({ namespace, provider, state }, count)
        within.forEach((name, i) => {
          expiring.set({ namespace, provider, within: name }, group.expiring[i] ?? 0)
        })
        if (Number.isFinite(group.next)) next.set({ namespace, provider }, group.next / 1000)
      }
    }
  }
  const countLeases = (): void => {
    leases.reset()
    const [ofCluster, ofNamespaces] = [new Set<string>(), new Set<string>()]
    for (const lease of snapshot.leases()) {
      const providers = lease.provider.includes('/') ? ofNamespaces : ofCluster
      const name = providers.size < caps.providers || providers.has(lease.provider) ? lease.provider : other
      providers.add(name)
      leases.inc({ provider: name, state: lease.state })
      holdUps.count(lease.namespace, name)
    }
  }
  const lookAtProviders = (): void => {
    ready.reset()
    let seen = 0
    // beyond the cap those that are not ready are told by their objects alone
    for (const row of snapshot.providers()) if (++seen <= caps.providers) ready.set({ provider: row.name }, row.ready ? 1 : 0)
  }
  const ago = (then: Duration): Duration => milliseconds(clock.monotonic() - then)

  return () => {
    leader.set(snapshot.leader() ? 1 : 0)
    sums()
    countLeases()
    lookAtProviders()
    holdUps.refresh()
    const queue = snapshot.queue()
    depth.reset()
    for (const [priority, count] of Object.entries(queue.depth)) depth.set({ priority }, count)
    oldest.set((queue.oldest ?? 0) / 1000)
    progress.reset()
    for (const { resource, lastProgress } of snapshot.watches()) {
      // 0 rather than no series: a watch that never came up must alarm as one that stopped
      progress.set({ resource }, lastProgress === undefined ? 0 : (clock.now() - ago(lastProgress)) / 1000)
    }
  }
}
