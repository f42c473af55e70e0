// The second tier of metrics: when single credentials die, of the few that matter or of as many as a cap allows. In a registry of its own,
// since it may be scraped by somebody else, less often, or not at all: it names tasks.

import { Gauge, Registry } from 'prom-client'
import type { Instant } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Snapshot } from './snapshot.ts'

/** `top`: those that die soonest; `all`: everything up to a cap. Both have what is being revoked for too long. */
export type PerCredential = 'top' | 'all'

export interface CredentialMetrics {
  readonly contentType: string
  /** The series of this moment: what is not there any more has none. */
  scrape(): Promise<string>
}

export interface CredentialCaps {
  /** how many of the soonest to die `top` shows */
  readonly top: number
  /** the most series of either */
  readonly all: number
}

export const defaultCredentialCaps: CredentialCaps = { top: 100, all: 10_000 }

interface Row {
  readonly namespace: string
  readonly task: string
  readonly credential: string
  readonly provider: string
  /** infinite where nobody knows of an end */
  readonly dies: number
}

const keyOf = (row: Row): string => `${row.namespace}/${row.task}/${row.credential}/${row.provider}`
const sooner = (a: Row, b: Row): number => a.dies - b.dies

/** Keeps the `most` soonest of what it is given, without holding all of it. */
function soonest(most: number) {
  let kept: Row[] = []
  let latest = Number.POSITIVE_INFINITY
  let seen = 0
  const cut = (): void => {
    kept = kept.sort(sooner).slice(0, most)
    if (kept.length === most) latest = kept[most - 1]?.dies ?? latest
  }
  return {
    add(row: Row): void {
      seen += 1
      if (row.dies > latest) return
      kept.push(row)
      if (kept.length >= 2 * most) cut()
    },
    rows(): readonly Row[] {
      cut()
      return kept
    },
    seen: () => seen,
  }
}

export function createCredentialMetrics(
  mode: PerCredential,
  snapshot: Pick<Snapshot, 'tasks' | 'leases'>,
  clock: Pick<Clock, 'now'>,
  caps: CredentialCaps = defaultCredentialCaps,
): CredentialMetrics {
  const registry = new Registry()
  const registers = [registry]
  const expiry = new Gauge({
    name: 'taskbound_credential_expiry_timestamp_seconds',
    help: 'When this credential dies by itself, in seconds since 1970; +Inf where nobody knows of an end.',
    labelNames: ['namespace', 'task', 'credential', 'provider'],
    registers,
  })
  const dropped = new Gauge({
    name: 'taskbound_metrics_series_dropped',
    help: 'Credentials that have no series because there are more than the cap of what was asked for.',
    registers,
  })
  const dies = (at: Instant | undefined): number => at ?? Number.POSITIVE_INFINITY

  /** What is revoked for too long comes first: it is what somebody must look at. */
  const overdueRows = () => {
    const found = soonest(caps.all)
    for (const { namespace, task, credential, provider, expiresAt, state } of snapshot.leases()) {
      if (state === 'Overdue') found.add({ namespace, task, credential, provider, dies: dies(expiresAt) })
    }
    return found
  }
  const alive = (most: number, late: ReturnType<typeof soonest>) => {
    const found = soonest(most)
    const now = clock.now()
    for (const { namespace, name: task, credentials } of snapshot.tasks()) {
      for (const { name: credential, provider, expiresAt, lasting, overdueAt } of credentials) {
        if (!lasting && expiresAt !== undefined && expiresAt <= now) continue
        const row = { namespace, task, credential, provider, dies: dies(expiresAt) }
        found.add(row)
        if (overdueAt !== undefined && overdueAt < now) late.add(row)
      }
    }
    return found
  }

  return {
    contentType: registry.contentType,
    scrape() {
      const late = overdueRows()
      const wanted = mode === 'all' ? caps.all : Math.min(caps.top, caps.all)
      const others = alive(wanted, late)
      const rows = new Map(late.rows().map((row) => [keyOf(row), row]))
      let left = mode === 'all' ? Math.max(0, others.seen() - wanted) : 0
      for (const row of others.rows()) {
        if (rows.has(keyOf(row))) continue
        if (rows.size < caps.all) rows.set(keyOf(row), row)
        else left += 1
      }
      expiry.reset()
      for (const { namespace, task, credential, provider, dies: at } of rows.values())
        expiry.set({ namespace, task, credential, provider }, at / 1000)
      dropped.set(left + Math.max(0, late.seen() - caps.all))
      return registry.metrics()
    },
  }
}
