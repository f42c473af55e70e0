// The dashboard of the promise, and of what keeps it: how long credentials outlive their task, what is live, what is denied, and whether the
// operator is well. Every replica tells what it sees of the cluster, so gauges are taken once by `max` before they are added up.

import { here, ours, type Row } from './panels.ts'

const overrun = 'taskbound_credential_overrun_seconds'
const small = { width: 4, height: 4 } as const
const third = { width: 8, height: 7 } as const
const half = { width: 12, height: 8 } as const

const promise: Row = {
  title: 'The promise',
  panels: [
    {
      kind: 'stat',
      title: 'Revoked within 5 s',
      description:
        'Part of the credentials that were confirmed as revoked within five seconds after the end of their task, in the time shown.',
      unit: 'percentunit',
      ...small,
      base: 'red',
      thresholds: [
        [0.9, 'orange'],
        [0.99, 'green'],
      ],
      max: 1,
      decimals: 2,
      queries: [
        {
          expr: `sum(increase(${overrun}_bucket{${ours},le="5"}[$__range])) / (sum(increase(${overrun}_count{${ours}}[$__range])) > 0)`,
        },
      ],
    },
    {
      kind: 'stat',
      title: 'Overdue',
      description: 'Credentials outside the cluster that have been in revocation for over a minute and may still work.',
      unit: 'short',
      ...small,
      thresholds: [[1, 'red']],
      queries: [{ expr: `sum(max by (provider) (taskbound_leases{${ours},state="Overdue"})) or vector(0)` }],
    },
    {
      kind: 'stat',
      title: 'Live credentials',
      description: 'Credentials that are in the Secret of a running task.',
      unit: 'short',
      ...small,
      base: 'blue',
      queries: [{ expr: `sum(max by (namespace, provider) (taskbound_credentials{${here},state="Live"})) or vector(0)` }],
    },
    {
      kind: 'stat',
      title: 'Next expiry',
      description: 'Time until the next credential that can still be used dies by itself.',
      unit: 's',
      ...small,
      base: 'blue',
      queries: [{ expr: `min(taskbound_credential_next_expiry_timestamp_seconds{${here}}) - time()` }],
    },
    {
      kind: 'stat',
      title: 'Issuing',
      description: 'Whether the leader issues. It does not while the admission policies are missing, its view is stale, or it is drained.',
      unit: 'short',
      ...small,
      thresholds: [[1, 'red']],
      words: { '0': 'yes', '1': 'held', '2': 'held', '3': 'held' },
      queries: [{ expr: `sum(max by (reason) (taskbound_issuing_held{${ours}}))` }],
    },
    {
      kind: 'stat',
      title: 'Leader',
      description: 'Whether a replica leads. Without one nothing is issued, renewed or revoked.',
      unit: 'short',
      ...small,
      base: 'red',
      thresholds: [[1, 'green']],
      words: { '0': 'none', '1': 'yes' },
      queries: [{ expr: `max(taskbound_leader{${ours}})` }],
    },
    {
      kind: 'heatmap',
      title: 'Overrun',
      description: 'Time from the end of a task to the confirmed revocation of a credential of it: how many, and how long.',
      unit: 's',
      ...half,
      queries: [{ expr: `sum by (le) (increase(${overrun}_bucket{${ours}}[$__rate_interval]))`, legend: '{{le}}' }],
    },
    {
      kind: 'series',
      title: 'Overrun, 99th percentile',
      description: 'The time within which 99 of 100 credentials were confirmed as revoked after the end of their task.',
      unit: 's',
      ...half,
      queries: [
        {
          expr: `histogram_quantile(0.99, sum by (le, provider) (rate(${overrun}_bucket{${ours}}[$__rate_interval])))`,
          legend: '{{provider}}',
        },
      ],
    },
  ],
}

const lives: Row = {
  title: 'Lives',
  panels: [
    {
      kind: 'stacked',
      title: 'Live credentials by provider',
      description: 'Credentials that are in the Secret of a running task.',
      unit: 'short',
      ...third,
      queries: [
        { expr: `sum by (provider) (max by (namespace, provider) (taskbound_credentials{${here},state="Live"}))`, legend: '{{provider}}' },
      ],
    },
    {
      kind: 'bars',
      title: 'Remaining lives',
      description: 'Credentials that can still be used and die by themselves within this time; a longer time includes the shorter ones.',
      unit: 'short',
      ...third,
      base: 'blue',
      queries: [
        {
          expr: `sort(sum by (within) (max by (namespace, provider, within) (taskbound_credentials_expiring{${here}})))`,
          legend: '{{within}}',
        },
      ],
    },
    {
      kind: 'stacked',
      title: 'Tasks by state',
      description: 'Tasks by the reason of their Ready condition.',
      unit: 'short',
      ...third,
      queries: [{ expr: `sum by (state) (max by (namespace, state) (taskbound_tasks{${here}}))`, legend: '{{state}}' }],
    },
    {
      kind: 'series',
      title: 'Longest wait for credentials',
      description: 'How long the task that waits longest for its credentials has waited, by what it waits for.',
      unit: 's',
      ...third,
      queries: [{ expr: `max by (reason) (taskbound_tasks_pending_oldest_seconds{${ours}})`, legend: '{{reason}}' }],
    },
    {
      kind: 'series',
      title: 'Time to issue, 99th percentile',
      description: 'The time within which 99 of 100 credentials were issued, whatever came of it.',
      unit: 's',
      ...third,
      queries: [
        {
          expr: `histogram_quantile(0.99, sum by (le, provider) (rate(taskbound_credential_issue_duration_seconds_bucket{${ours}}[$__rate_interval])))`,
          legend: '{{provider}}',
        },
      ],
    },
    {
      kind: 'series',
      title: 'Failures to issue and to renew',
      description: 'Credentials that could not be issued or renewed, each second; they are tried again.',
      unit: 'cps',
      ...third,
      queries: [
        {
          expr: `sum by (provider) (rate(taskbound_credential_issue_duration_seconds_count{${ours},result="failure"}[$__rate_interval]))`,
          legend: 'issue {{provider}}',
        },
        {
          expr: `sum by (provider) (rate(taskbound_credential_renew_duration_seconds_count{${ours},result="failure"}[$__rate_interval]))`,
          legend: 'renew {{provider}}',
        },
      ],
    },
  ],
}

const policy: Row = {
  title: 'Policy',
  panels: [
    {
      kind: 'stacked',
      title: 'Decisions',
      description: 'Decisions of policy each second, by outcome and reason.',
      unit: 'cps',
      width: 12,
      height: 7,
      queries: [
        {
          expr: `sum by (decision, reason) (rate(taskbound_policy_decisions_total{${ours}}[$__rate_interval]))`,
          legend: '{{decision}} {{reason}}',
        },
      ],
    },
    {
      kind: 'stat',
      title: 'Policies not as written',
      description: 'Policy objects whose text is not valid: an earlier one is in force, or everything in their scope is denied.',
      unit: 'short',
      width: 4,
      height: 7,
      thresholds: [[1, 'orange']],
      queries: [{ expr: `sum(max by (scope, state) (taskbound_policies{${ours},state=~"Outdated|Broken"}))` }],
    },
    {
      kind: 'stat',
      title: 'Last change of policy',
      description: 'When a policy last came into force, changed or went, or the replica that saw it first started.',
      unit: 'dateTimeFromNow',
      width: 4,
      height: 7,
      base: 'blue',
      queries: [{ expr: `max(taskbound_policy_last_change_timestamp_seconds{${ours}}) * 1000` }],
    },
    {
      kind: 'stat',
      title: 'Policies in Audit mode differ',
      description: 'Answers that policies in Audit mode would have changed, in the time shown.',
      unit: 'short',
      width: 4,
      height: 7,
      base: 'blue',
      queries: [{ expr: `sum(increase(taskbound_policy_audit_differences_total{${ours}}[$__range])) or vector(0)` }],
    },
  ],
}

const outside: Row = {
  title: 'Outside the cluster',
  panels: [
    {
      kind: 'stacked',
      title: 'Ledger',
      description: 'Credentials outside the cluster that are not known to be dead, by what is done about them.',
      unit: 'short',
      ...half,
      queries: [{ expr: `sum by (state) (max by (provider, state) (taskbound_leases{${ours}}))`, legend: '{{state}}' }],
    },
    {
      kind: 'series',
      title: 'Providers that cannot issue',
      description:
        'Providers whose Ready condition is not True: their tasks wait and say why, and what they have lives on until it expires.',
      unit: 'short',
      ...half,
      thresholds: [[1, 'red']],
      queries: [{ expr: `1 - min by (provider) (taskbound_provider_ready{${ours}})`, legend: '{{provider}}' }],
    },
    {
      kind: 'series',
      title: 'Ended at their source',
      description: 'Credentials of live tasks that somebody else ended at their source: how many, and when.',
      unit: 'short',
      ...half,
      thresholds: [[1, 'orange']],
      queries: [
        {
          expr: `sum by (provider) (increase(taskbound_credentials_revoked_externally_total{${ours}}[$__rate_interval]))`,
          legend: '{{provider}}',
        },
      ],
    },
    {
      kind: 'series',
      title: 'Ledger, how full',
      description: 'Open rows of the namespace that has the most of them, as a part of what one namespace may have.',
      unit: 'percentunit',
      ...half,
      max: 1,
      thresholds: [[0.8, 'red']],
      queries: [{ expr: `max by (provider) (taskbound_ledger_fullest_ratio{${ours}})`, legend: '{{provider}}' }],
    },
  ],
}

const operator: Row = {
  title: 'Operator',
  panels: [
    {
      kind: 'series',
      title: 'Queue',
      description: 'Tasks that wait for a pass, by priority: ends first, then new ones, then those that are looked at again.',
      unit: 'short',
      ...third,
      queries: [{ expr: `max by (priority) (taskbound_workqueue_depth{${ours}})`, legend: '{{priority}}' }],
    },
    {
      kind: 'series',
      title: 'Longest wait in the queue',
      description: 'How long the oldest waiting task has waited, and how old the longest deletion is.',
      unit: 's',
      ...third,
      queries: [
        { expr: `max(taskbound_workqueue_oldest_seconds{${ours}})`, legend: 'a pass' },
        { expr: `max(taskbound_tasks_deleting_oldest_seconds{${ours}})`, legend: 'a deletion' },
      ],
    },
    {
      kind: 'stacked',
      title: 'Passes',
      description: 'Passes over single tasks each second, by result. A retry is not a failure: something changed meanwhile.',
      unit: 'cps',
      ...third,
      queries: [{ expr: `sum by (result) (rate(taskbound_reconcile_total{${ours}}[$__rate_interval]))`, legend: '{{result}}' }],
    },
    {
      kind: 'series',
      title: 'Time of a pass and of a decision, 99th percentile',
      description: 'The time within which 99 of 100 passes, and evaluations of policy, were done.',
      unit: 's',
      ...third,
      queries: [
        {
          expr: `histogram_quantile(0.99, sum by (le) (rate(taskbound_reconcile_duration_seconds_bucket{${ours}}[$__rate_interval])))`,
          legend: 'pass',
        },
        {
          expr: `histogram_quantile(0.99, sum by (le) (rate(taskbound_policy_evaluation_duration_seconds_bucket{${ours}}[$__rate_interval])))`,
          legend: 'decision',
        },
      ],
    },
    {
      kind: 'stacked',
      title: 'Requests to the API server',
      description: 'Requests each second, by code; 0 means no answer. A 409 is a lost race and is tried again.',
      unit: 'cps',
      ...third,
      queries: [{ expr: `sum by (code) (rate(taskbound_api_requests_total{${ours}}[$__rate_interval]))`, legend: '{{code}}' }],
    },
    {
      kind: 'series',
      title: 'Time of a request, 99th percentile',
      description: 'The time within which 99 of 100 requests to the API server were answered, waiting and retries included.',
      unit: 's',
      ...third,
      queries: [
        {
          expr: `histogram_quantile(0.99, sum by (le, verb) (rate(taskbound_api_request_duration_seconds_bucket{${ours}}[$__rate_interval])))`,
          legend: '{{verb}}',
        },
      ],
    },
    {
      kind: 'series',
      title: 'Age of what is seen',
      description: 'Time since a watch last brought an event, a bookmark or a list. After 90 seconds nothing is issued on it.',
      unit: 's',
      ...third,
      thresholds: [[90, 'red']],
      queries: [{ expr: `max by (resource) (time() - taskbound_watch_last_progress_timestamp_seconds{${ours}})`, legend: '{{resource}}' }],
    },
    {
      kind: 'series',
      title: 'Watches begun again',
      description: 'Watches that ended and were started again, each second. One every few minutes is what API servers do.',
      unit: 'cps',
      ...third,
      queries: [{ expr: `sum by (resource) (rate(taskbound_watch_restarts_total{${ours}}[$__rate_interval]))`, legend: '{{resource}}' }],
    },
    {
      kind: 'stat',
      title: 'Evidence lost',
      description: 'Audit lines and events that could not be written in the time shown.',
      unit: 'short',
      ...third,
      thresholds: [[1, 'red']],
      queries: [
        { expr: `sum(increase(taskbound_audit_write_failures_total{${ours}}[$__range]))`, legend: 'audit lines' },
        { expr: `sum(increase(taskbound_events_dropped_total{${ours}}[$__range]))`, legend: 'events' },
      ],
    },
    {
      kind: 'series',
      title: 'Memory',
      description: 'Resident memory of each replica.',
      unit: 'bytes',
      ...third,
      queries: [{ expr: `process_resident_memory_bytes{${ours}}`, legend: '{{instance}}' }],
    },
    {
      kind: 'series',
      title: 'CPU',
      description: 'Processors that each replica uses.',
      unit: 'short',
      ...third,
      queries: [{ expr: `rate(process_cpu_seconds_total{${ours}}[$__rate_interval])`, legend: '{{instance}}' }],
    },
    {
      kind: 'series',
      title: 'Delay of the event loop',
      description: 'The longest time for which a replica was busy with one thing, since the scrape before.',
      unit: 's',
      ...third,
      queries: [{ expr: `nodejs_eventloop_lag_max_seconds{${ours}}`, legend: '{{instance}}' }],
    },
  ],
}

export const overview: readonly Row[] = [promise, lives, policy, outside, operator]
