// The dashboard of single credentials, from the second tier of metrics: which die soon, and which should be dead.

import { here, ours, type Row } from './panels.ts'

const expiry = `max by (namespace, task, credential, provider) (taskbound_credential_expiry_timestamp_seconds{${here}})`

export const credentials: readonly Row[] = [
  {
    title: 'Single credentials',
    panels: [
      {
        kind: 'stat',
        title: 'Shown',
        description: 'Credentials that have a series of their own: with the setting `top`, the hundred that die soonest.',
        unit: 'short',
        width: 8,
        height: 4,
        base: 'blue',
        queries: [{ expr: `count(${expiry}) or vector(0)` }],
      },
      {
        kind: 'stat',
        title: 'Past their end',
        description: 'Credentials that should have died by themselves and are not known to be dead, or have no known end.',
        unit: 'short',
        width: 8,
        height: 4,
        thresholds: [[1, 'red']],
        queries: [{ expr: `count((${expiry} < time()) or (${expiry} == Inf)) or vector(0)` }],
      },
      {
        kind: 'stat',
        title: 'Left out',
        description: 'Credentials that have no series of their own because there are more than the cap.',
        unit: 'short',
        width: 8,
        height: 4,
        thresholds: [[1, 'orange']],
        queries: [{ expr: `max(taskbound_metrics_series_dropped{${ours}}) or vector(0)` }],
      },
      {
        kind: 'table',
        title: 'Dies in',
        description: 'Time until a credential dies by itself, soonest first. What is negative should be dead and is not known to be.',
        unit: 's',
        width: 24,
        height: 18,
        queries: [{ expr: `sort(bottomk(100, ${expiry} - time()))` }],
      },
    ],
  },
]
