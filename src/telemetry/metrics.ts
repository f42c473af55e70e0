// The metrics: a registry of its own, counters and histograms behind the `Meter` port, gauges from a snapshot at scrape.
// Every label has a bounded set of values; no series belongs to one task, credential or person.

import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { type Reason, reasons } from '../api/reasons.ts'
import type { Duration } from '../lib/instant.ts'
import type { Outcome } from '../ports/authorizer.ts'
import type { Clock } from '../ports/clock.ts'
import type { Meter } from '../ports/meter.ts'
import { createGauges, defaultCaps, type SeriesCaps } from './gauges.ts'
import { createProcessMetrics } from './process.ts'
import { other, type Snapshot } from './snapshot.ts'

export interface MetricsOptions {
  readonly clock: Clock
  readonly version: string
  /** commit that was built, or `unknown` */
  readonly revision: string
  readonly snapshot: Snapshot
  readonly caps?: SeriesCaps
}

export interface Metrics extends Meter {
  /** An event was not written: too many waited, or the API server refused it. */
  eventDropped(): void
  /** The `Content-Type` of what `scrape` answers. */
  readonly contentType: string
  /** All metrics in the text format of Prometheus. */
  scrape(): Promise<string>
  /** Stops what measures in the background. */
  close(): void
}

const buckets = {
  // an issue or an end is some writes to the API server, sometimes a call to an outside source
  effect: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30],
  overrun: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 3600],
  pass: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5],
  evaluation: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25],
  request: [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15],
}

/** Lets the first `cap` values through and answers `_other` for any further one. */
function atMost(cap: number): (value: string) => string {
  const seen = new Set<string>()
  return (value) => {
    if (seen.has(value)) return value
    if (seen.size >= cap) return other
    seen.add(value)
    return value
  }
}

const denials = ['PolicyDenied', 'NoPolicyMatched', 'PolicyError', 'PolicyInvalid'] as const satisfies readonly Reason[]
const outcomes = ['allow', 'forbid', 'noPermit', 'error', 'invalidPolicy'] as const satisfies readonly Outcome[]
const results = ['success', 'retry', 'failure'] as const

const inSeconds = (length: Duration): number => Math.max(0, length / 1000)

export function createMetrics(options: MetricsOptions): Metrics {
  const { clock } = options
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter<L>({ name, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, bounds: number[], ...labelNames: L[]) =>
    new Histogram<L>({ name, help, labelNames, registers, buckets: bounds })

  new Gauge({
    name: 'taskbound_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['version', 'revision', 'node_version'],
    registers,
  }).set({ version: options.version, revision: options.revision, node_version: process.versions.node }, 1)

  const effect = (verb: string, what: string) =>
    histogram(`taskbound_credential_${verb}_duration_seconds`, `Time that ${what} took, in seconds.`, buckets.effect, 'provider', 'result')
  const issue = effect('issue', 'issuing one credential')
  const renew = effect('renew', 'renewing one credential')
  const overrun = histogram(
    'taskbound_credential_overrun_seconds',
    'Time from the end of a task to the confirmed revocation of a credential of it, in seconds.',
    buckets.overrun,
    'provider',
  )
  const remained = counter(
    'taskbound_credential_values_remaining_total',
    'Values that were given to tasks and work on after them, since they existed before: nobody can revoke them.',
    'provider',
  )
  const losses = counter(
    'taskbound_credentials_revoked_externally_total',
    'Credentials of live tasks that were found ended at their source by somebody else.',
    'provider',
  )
  const decisions = counter('taskbound_policy_decisions_total', 'Decisions of policy.', 'decision', 'reason')
  const evaluation = histogram(
    'taskbound_policy_evaluation_duration_seconds',
    'Time that one evaluation of policy took, in seconds.',
    buckets.evaluation,
  )
  const wouldBe = counter(
    'taskbound_policy_audit_differences_total',
    'Answers that policies in Audit mode would have changed, by what they would be.',
    'outcome',
  )
  const passes = counter('taskbound_reconcile_total', 'Passes over one task.', 'result')
  const passTime = histogram('taskbound_reconcile_duration_seconds', 'Time that one pass over one task took, in seconds.', buckets.pass)
  const requests = counter(
    'taskbound_api_requests_total',
    'Requests to the API server; code 0 means no answer.',
    'verb',
    'resource',
    'code',
  )
  const requestTime = histogram(
    'taskbound_api_request_duration_seconds',
    'Time to the answer of one request to the API server, in seconds.',
    buckets.request,
    'verb',
  )
  const restarts = counter('taskbound_watch_restarts_total', 'Watches that ended and were started again.', 'resource', 'reason')
  const auditFailures = counter('taskbound_audit_write_failures_total', 'Audit entries that could not be written and are lost.')
  const eventsDropped = counter('taskbound_events_dropped_total', 'Kubernetes events that could not be written and are lost.')

  const caps = options.caps ?? defaultCaps
  const [ofCluster, ofNamespaces] = [atMost(caps.providers), atMost(caps.providers)]
  // those of namespaces, `<namespace>/<name>`, may be many: they must not take the places of the cluster's
  const provider = (name: string): string => (name.includes('/') ? ofNamespaces(name) : ofCluster(name))
  const counted = new Set<string>()
  /** Prometheus sees no increase where a series begins with its first count, which would hide the first credential that dies late. */
  const countFromZero = (name: string): void => {
    const label = provider(name)
    if (counted.has(label)) return
    counted.add(label)
    overrun.zero({ provider: label })
    remained.inc({ provider: label }, 0)
    losses.inc({ provider: label }, 0)
  }
  // for the same reason: what everybody has sooner or later begins at 0
  decisions.inc({ decision: 'allow', reason: 'Allowed' satisfies Reason }, 0)
  for (const reason of denials) decisions.inc({ decision: 'deny', reason }, 0)
  for (const outcome of outcomes) wouldBe.inc({ outcome }, 0)
  for (const result of results) passes.inc({ result }, 0)

  const refreshGauges = createGauges(registry, options.snapshot, clock, caps, countFromZero)
  const basics = createProcessMetrics(registry, clock)

  const resource = atMost(50)
  const verb = atMost(10)
  const why = atMost(20)

  return {
    decision: (decision, reason) => decisions.inc({ decision, reason: Object.hasOwn(reasons, reason) ? reason : other }),
    evaluation: (took) => evaluation.observe(inSeconds(took)),
    wouldBe: (outcome) => wouldBe.inc({ outcome }),
    issued: (name, result, took) => issue.observe({ provider: provider(name), result }, inSeconds(took)),
    renewed: (name, result, took) => renew.observe({ provider: provider(name), result }, inSeconds(took)),
    revoked(name, length) {
      countFromZero(name)
      overrun.observe({ provider: provider(name) }, inSeconds(length))
    },
    remained(name) {
      countFromZero(name)
      remained.inc({ provider: provider(name) })
    },
    lost(name) {
      countFromZero(name)
      losses.inc({ provider: provider(name) })
    },
    reconciled(result, took) {
      passes.inc({ result })
      passTime.observe(inSeconds(took))
    },
    apiRequest(name, what, code, took) {
      requests.inc({ verb: verb(name), resource: resource(what), code })
      requestTime.observe({ verb: verb(name) }, inSeconds(took))
    },
    watchRestarted: (what, reason) => restarts.inc({ resource: resource(what), reason: why(reason) }),
    auditFailed: () => auditFailures.inc(),
    eventDropped: () => eventsDropped.inc(),
    contentType: registry.contentType,
    scrape() {
      refreshGauges()
      basics.refresh()
      return registry.metrics()
    },
    close: basics.close,
  }
}
