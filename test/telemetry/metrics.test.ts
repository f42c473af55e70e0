import { afterEach, describe, expect, test } from '@jest/globals'
import { at, milliseconds, seconds } from '../../src/lib/instant.ts'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'
import type { CredentialRow, PolicyRow, Snapshot, TaskRow } from '../../src/telemetry/snapshot.ts'
import { censusOf, credential, emptySnapshot, leaseRow, makeClock, start, taskRow } from './make.ts'

const open: Metrics[] = []
afterEach(() => {
  for (const metrics of open.splice(0)) metrics.close()
})

function make(change: Partial<Snapshot> = {}) {
  const clock = makeClock()
  const tasks = change.tasks ?? emptySnapshot.tasks
  const snapshot: Snapshot = { ...emptySnapshot, census: () => censusOf(tasks()), ...change }
  const metrics = createMetrics({ clock, version: '0.1.0', revision: 'abc', snapshot })
  open.push(metrics)
  return { clock, metrics, lines: async () => (await metrics.scrape()).split('\n').filter((line) => line !== '' && !line.startsWith('#')) }
}

const task = (namespace: string, credentials: CredentialRow[], state = 'Active'): TaskRow => taskRow(namespace, credentials, { state })

/** Uses every method once, so that every metric has a series. */
function useAll(metrics: Metrics): void {
  metrics.decision('deny', 'NoPolicyMatched')
  metrics.evaluation(milliseconds(1))
  metrics.wouldBe('forbid')
  metrics.issued('corp', 'success', milliseconds(7))
  metrics.renewed('corp', 'failure', milliseconds(7))
  metrics.revoked('corp', milliseconds(40))
  metrics.reconciled('retry', milliseconds(2))
  metrics.apiRequest('patch', 'agenttasks', 409, milliseconds(3))
  metrics.watchRestarted('agenttasks', 'Idle')
  metrics.auditFailed()
  metrics.eventDropped()
}

test('every metric has help, a name that promtool accepts, and only bounded labels', async () => {
  const { metrics } = make({
    tasks: () => [taskRow('a', [credential(30)], { waiting: { reason: 'Waiting', since: at(start) } })],
    leases: () => [leaseRow()],
    watches: () => [{ resource: 'x', lastProgress: seconds(1) }],
  })
  useAll(metrics)
  const text = await metrics.scrape()
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name ?? '', type ?? '']))
  expect(types.size).toBeGreaterThan(25)
  for (const [name, type] of types) {
    expect(text).toMatch(new RegExp(`^# HELP ${name} [A-Z0-9].{15,}\\.$`, 'm'))
    expect(name).toMatch(/^(?:taskbound|process|nodejs)_[a-z0-9_]+$/)
    // the rules of `promtool check metrics`
    expect(name.endsWith('_total')).toBe(type === 'counter')
    expect(name).not.toMatch(/_(?:count|sum|bucket|milliseconds|ms|minutes|hours|kilobytes|megabytes|percent|gauge|counter|histogram)$/)
    if (type === 'histogram') expect(name).toMatch(/_(?:seconds|bytes)$/)
    expect(name.endsWith('_info')).toBe(name === 'taskbound_build_info')
    // a metric that nothing sets is a promise of what is not there
    expect(text).toMatch(new RegExp(`^${name}(?:_bucket)?[{ ]`, 'm'))
  }
  const labels = new Set([...text.matchAll(/[{,]([a-z_]+)="/g)].map(([, label]) => label))
  expect([...labels].sort()).toEqual(
    [
      ...['code', 'decision', 'le', 'namespace', 'node_version', 'outcome', 'priority', 'provider', 'reason', 'resource', 'result'],
      ...['revision', 'scope', 'state', 'verb', 'version', 'within'],
    ].sort(),
  )
})

test('what was measured is in base units', async () => {
  const { metrics, lines } = make()
  useAll(metrics)
  expect(await lines()).toEqual(
    expect.arrayContaining([
      `taskbound_build_info{version="0.1.0",revision="abc",node_version="${process.versions.node}"} 1`,
      'taskbound_policy_decisions_total{decision="deny",reason="NoPolicyMatched"} 1',
      'taskbound_credential_issue_duration_seconds_sum{provider="corp",result="success"} 0.007',
      'taskbound_credential_renew_duration_seconds_count{provider="corp",result="failure"} 1',
      'taskbound_credential_overrun_seconds_bucket{le="0.05",provider="corp"} 1',
      'taskbound_credential_overrun_seconds_bucket{le="0.025",provider="corp"} 0',
      'taskbound_api_requests_total{verb="patch",resource="agenttasks",code="409"} 1',
      'taskbound_reconcile_total{result="retry"} 1',
      'taskbound_watch_restarts_total{resource="agenttasks",reason="Idle"} 1',
      'taskbound_audit_write_failures_total 1',
      'taskbound_events_dropped_total 1',
      'taskbound_leader 1',
    ]),
  )
})

test('failures that never happened read 0, so that an alert on their rate works from the first one', async () => {
  const { lines } = make()
  expect(await lines()).toEqual(
    expect.arrayContaining([
      'taskbound_audit_write_failures_total 0',
      'taskbound_events_dropped_total 0',
      'taskbound_workqueue_oldest_seconds 0',
    ]),
  )
})

test('overruns of a provider are counted from 0 once it has a credential, and never begin again', async () => {
  let tasks = [task('a', [credential(30)])]
  const { metrics, lines } = make({ tasks: () => tasks })
  const count = async () => (await lines()).filter((line) => line.startsWith('taskbound_credential_overrun_seconds_count'))
  expect(await count()).toEqual(['taskbound_credential_overrun_seconds_count{provider="corp"} 0'])
  metrics.revoked('corp', seconds(1))
  tasks = []
  expect(await count()).toEqual(['taskbound_credential_overrun_seconds_count{provider="corp"} 1'])
})

test('credentials are counted by state and by how soon they die; one that is dead or has no end does not die soon', async () => {
  const { lines } = make({
    tasks: () => [
      task('a', [
        credential(30),
        credential(60),
        credential(400),
        credential(undefined),
        credential(-1, { state: 'Revoking', lasting: true }),
      ]),
      task('a', [credential(30_000, { provider: 'git' })], 'Suspended'),
    ],
  })
  const ours = (await lines()).filter((line) => /^taskbound_(?:tasks|credential)/.test(line))
  expect(ours).toEqual(
    expect.arrayContaining([
      'taskbound_tasks{namespace="a",state="Active"} 1',
      'taskbound_tasks{namespace="a",state="Suspended"} 1',
      'taskbound_credentials{namespace="a",provider="corp",state="Live"} 4',
      'taskbound_credentials{namespace="a",provider="corp",state="Revoking"} 1',
      'taskbound_credentials_expiring{namespace="a",provider="corp",within="1m"} 2',
      'taskbound_credentials_expiring{namespace="a",provider="corp",within="5m"} 2',
      'taskbound_credentials_expiring{namespace="a",provider="corp",within="15m"} 3',
      'taskbound_credentials_expiring{namespace="a",provider="corp",within="6h"} 3',
      'taskbound_credentials_expiring{namespace="a",provider="git",within="6h"} 0',
      `taskbound_credential_next_expiry_timestamp_seconds{namespace="a",provider="corp"} ${(start + 30_000) / 1000}`,
    ]),
  )
})

test('a deleted task, a stopped watch and an empty priority leave no series', async () => {
  let tasks: TaskRow[] = [task('a', [credential(30)])]
  let watches = [{ resource: 'jobs.batch', lastProgress: milliseconds(5_000) }]
  const { lines } = make({ tasks: () => tasks, watches: () => watches })
  const ours = async () => (await lines()).filter((line) => /namespace=|jobs/.test(line)).length
  expect(await ours()).toBe(8 + 1)
  tasks = []
  watches = []
  expect(await ours()).toBe(0)
})

describe('what holds tasks up', () => {
  const minute = 60_000
  const since = (minutes: number) => at(start - minutes * minute)
  const rows = async (change: Partial<Snapshot>, pattern: RegExp) => (await make(change).lines()).filter((line) => pattern.test(line))

  test('every reason for which nothing is issued at all reads 0 or 1', async () => {
    expect(await rows({ held: () => ['Draining'] }, /^taskbound_issuing_held/)).toEqual([
      'taskbound_issuing_held{reason="FencesMissing"} 0',
      'taskbound_issuing_held{reason="StaleView"} 0',
      'taskbound_issuing_held{reason="Draining"} 1',
    ])
  })

  test('of the tasks that wait the oldest counts, by what it waits for', async () => {
    const waits = (reason: string, minutes: number) => taskRow('a', [], { state: 'Pending', waiting: { reason, since: since(minutes) } })
    const tasks = () => [waits('IssueFailed', 1), waits('IssueFailed', 5), waits('IssueFailed', 2), waits('Waiting', 3), task('a', [])]
    expect(await rows({ tasks }, /^taskbound_tasks_pending/)).toEqual([
      'taskbound_tasks_pending_oldest_seconds{reason="IssueFailed"} 300',
      'taskbound_tasks_pending_oldest_seconds{reason="Waiting"} 180',
    ])
    const many = Array.from({ length: 100 }, (_, i) => waits(`R${i}`, i))
    expect(await rows({ tasks: () => many }, /^taskbound_tasks_pending/)).toHaveLength(41)
  })

  test('a deletion that waits is seen by its age, and none reads 0', async () => {
    const tasks = () => [taskRow('a', [], { deletedAt: since(2) }), taskRow('a', [], { deletedAt: since(9) }), task('a', [])]
    expect(await rows({ tasks }, /^taskbound_tasks_deleting/)).toEqual(['taskbound_tasks_deleting_oldest_seconds 540'])
    expect(await rows({}, /^taskbound_tasks_deleting/)).toEqual(['taskbound_tasks_deleting_oldest_seconds 0'])
  })

  test('the ledger is as full as the namespace that has the most rows', async () => {
    const leases = () => [leaseRow(), leaseRow(), leaseRow(), leaseRow({ namespace: 'b' }), leaseRow({ provider: 'git' })]
    expect(await rows({ leases, ledgerLimit: 4 }, /^taskbound_ledger/)).toEqual([
      'taskbound_ledger_fullest_ratio{provider="db"} 0.75',
      'taskbound_ledger_fullest_ratio{provider="git"} 0.25',
    ])
  })

  test('a provider is ready or not, and beyond a cap none has a series', async () => {
    const providers = () => [...Array(60).keys()].map((i) => ({ name: `p${i}`, ready: i !== 1 }))
    const found = await rows({ providers }, /^taskbound_provider_ready/)
    expect(found).toHaveLength(50)
    expect(found.slice(0, 3)).toEqual([
      'taskbound_provider_ready{provider="p0"} 1',
      'taskbound_provider_ready{provider="p1"} 0',
      'taskbound_provider_ready{provider="p2"} 1',
    ])
  })

  test('policies are counted by state, also where there are none, and the last change has a time', async () => {
    const policies = (): PolicyRow[] => [
      { scope: 'Cluster', state: 'Valid' },
      { scope: 'Namespace', state: 'Broken' },
      { scope: 'Namespace', state: 'Broken' },
    ]
    const found = await rows({ policies }, /^taskbound_polic(?:ies|y_last)/)
    expect(found).toHaveLength(9)
    expect(found).toEqual(
      expect.arrayContaining([
        'taskbound_policies{scope="Cluster",state="Valid"} 1',
        'taskbound_policies{scope="Cluster",state="Outdated"} 0',
        'taskbound_policies{scope="Namespace",state="Broken"} 2',
        `taskbound_policy_last_change_timestamp_seconds ${start / 1000}`,
      ]),
    )
  })

  test('what was there is forgotten at the next scrape', async () => {
    let tasks = [taskRow('a', [], { waiting: { reason: 'Waiting', since: since(1) }, deletedAt: since(1) })]
    let leases = [leaseRow()]
    const { lines } = make({ tasks: () => tasks, leases: () => leases })
    const ours = async () => (await lines()).filter((line) => /^taskbound_(?:tasks_|ledger)/.test(line))
    expect(await ours()).toHaveLength(3)
    tasks = []
    leases = []
    expect(await ours()).toEqual(['taskbound_tasks_deleting_oldest_seconds 0'])
  })
})

test('progress of a watch is told in wall-clock time, and a watch without any reads 0', async () => {
  const { lines, clock } = make({
    watches: () => [
      { resource: 'a', lastProgress: milliseconds(6_000) },
      { resource: 'b', lastProgress: undefined },
    ],
  })
  clock.move(3_000)
  const ours = (await lines()).filter((line) => line.startsWith('taskbound_watch_last'))
  expect(ours).toEqual([
    `taskbound_watch_last_progress_timestamp_seconds{resource="a"} ${(start + 1_000) / 1000}`,
    'taskbound_watch_last_progress_timestamp_seconds{resource="b"} 0',
  ])
})

describe('nobody can make series without bound', () => {
  const series = async (use: (metrics: Metrics, i: number) => void): Promise<number> => {
    const { metrics, lines } = make()
    const before = (await lines()).length
    for (let i = 0; i < 1_000; i++) use(metrics, i)
    return (await lines()).length - before
  }
  test.each<[string, (metrics: Metrics, i: number) => void, number]>([
    ['providers', (metrics, i) => metrics.revoked(`p${i}`, seconds(1)), 51 * 16],
    ['reasons', (metrics, i) => metrics.decision('deny', `r${i}`), 1],
    ['resources and verbs', (metrics, i) => metrics.apiRequest(`v${i}`, `r${i}`, 200, seconds(1)), 62 + 11 * 13],
    ['reasons of watches', (metrics, i) => metrics.watchRestarted('x', `r${i}`), 21],
  ])('by %s', async (_what, use, most) => {
    expect(await series(use)).toBeLessThanOrEqual(most)
  })

  test('by providers of namespaces, which take no place of the cluster’s', async () => {
    const leases = () => [...Array.from({ length: 1_000 }, (_, i) => leaseRow({ provider: `n${i}/own` })), leaseRow({ provider: 'corp' })]
    const { metrics, lines } = make({ leases })
    for (let i = 0; i < 1_000; i++) metrics.revoked(`n${i}/own`, seconds(1))
    metrics.revoked('corp', seconds(1))
    const found = await lines()
    expect(found.filter((line) => line.startsWith('taskbound_credential_overrun_seconds_count'))).toHaveLength(52)
    expect(found).toContain('taskbound_credential_overrun_seconds_count{provider="corp"} 1')
    expect(found.filter((line) => line.startsWith('taskbound_leases{provider="corp"'))).not.toEqual([])
    expect(found.filter((line) => line.startsWith('taskbound_leases{'))).toHaveLength(52)
  })

  test('by namespaces: beyond 200 they share `_other`', async () => {
    const tasks = Array.from({ length: 1_000 }, (_, i) => task(`n${i}`, [credential(30)]))
    const { lines } = make({ tasks: () => tasks })
    const counts = (await lines()).filter((line) => line.startsWith('taskbound_tasks{'))
    expect(counts).toHaveLength(201)
    expect(counts).toContain('taskbound_tasks{namespace="_other",state="Active"} 800')
  })

  test('by names: quotes, backslashes and line breaks stay inside their label', async () => {
    const { metrics, lines } = make()
    const before = (await lines()).length
    metrics.revoked('a"} 1\ntaskbound_leader 7\\', seconds(1))
    expect((await lines()).length - before).toBe(16)
    expect(await lines()).not.toContain('taskbound_leader 7')
  })
})

describe('at 100,000 credentials', () => {
  const many = Array.from({ length: 100_000 }, (_, i) =>
    task(`team-${i % 20}`, [credential(i % 40_000, { provider: `provider-${i % 3}` })], i % 7 === 0 ? 'Revoked' : 'Active'),
  )

  test('a scrape of 20 namespaces with 3 providers each is under 64 kB', async () => {
    const { metrics } = make({ tasks: () => many })
    useAll(metrics)
    expect((await metrics.scrape()).length).toBeLessThan(64_000)
  })

  test('the size depends on namespaces and providers, not on credentials', async () => {
    const small = make({ tasks: () => many.slice(0, 1_000) }).metrics
    const large = make({ tasks: () => many }).metrics
    const [a, b] = [(await small.scrape()).length, (await large.scrape()).length]
    expect(b / a).toBeLessThan(1.1)
  })

  test('a scrape takes 5 ms or so, and less than reading every row once', async () => {
    const read = (): number => {
      const states = new Map<string, number>()
      for (const one of many) {
        for (const row of one.credentials) states.set(row.state + one.namespace, (row.expiresAt ?? 0) + (states.get(row.state) ?? 0))
      }
      return states.size
    }
    const census = censusOf(many)
    const { metrics } = make({ tasks: () => many, census: () => census })
    useAll(metrics)
    const best = async (run: () => unknown): Promise<number> => {
      let least = Number.POSITIVE_INFINITY
      for (let i = 0; i < 30; i++) {
        const before = performance.now()
        await run()
        least = Math.min(least, performance.now() - before)
      }
      return least
    }
    const [floor, ours] = [await best(read), await best(() => metrics.scrape())]
    console.log(`a scrape of 100,000 credentials: ${ours.toFixed(1)} ms; reading each once: ${floor.toFixed(1)} ms`)
    // on a machine that is busy with other things both take longer
    expect(ours).toBeLessThan(Math.max(5, 1.5 * floor))
  })
})
