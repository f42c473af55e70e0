// All dashboards of the chart, as files that Grafana imports.

import { credentials } from './credentials.ts'
import { overview } from './overview.ts'
import { dashboard } from './panels.ts'

const all = [
  {
    path: 'charts/taskbound/files/dashboards/overview.json',
    made: () =>
      dashboard(
        'taskbound-overview',
        'Overview',
        'Whether credentials die with their task, what is live, what is denied, and whether the operator is well.',
        '1m',
        overview,
      ),
  },
  {
    path: 'charts/taskbound/files/dashboards/credentials.json',
    made: () =>
      dashboard('taskbound-credentials', 'Credentials', 'Single credentials: which die soon, and which should be dead.', '1m', credentials),
  },
]

export const dashboards: readonly { readonly path: string; readonly content: () => Promise<string> }[] = all.map(({ path, made }) => ({
  path,
  content: async () => `${JSON.stringify(made(), null, 2)}\n`,
}))
