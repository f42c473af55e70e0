import { afterEach, describe, expect, test } from '@jest/globals'
import { at, milliseconds, seconds } from '../../src/lib/instant.ts'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'
import { type CredentialRow, type Snapshot, sum, type TaskRow } from '../../src/telemetry/snapshot.ts'
import { makeClock, start } from './make.ts'

const open: Metrics[] = []
afterEach(() => {
  for (const metrics of open.splice(0)) metrics.close()
})

function make(change: Partial<Snapshot> = {}) {
  const clock = makeClock()
  const snapshot: Snapshot = {
    tasks: () => [],
    leases: () => [],
    queue: () => ({ depth: { end: 0, new: 0, resync: 0 }, oldest: undefined }),
    watches: () => [],
    leader: () => true,
    ...change,
  }
  const metrics = createMetrics({ clock, version: '0.1.0', revision: 'abc', snapshot })
  open.push(metrics)
  return { clock, metrics, lines: async () => (await metrics.scrape()).split('\n').filter((line) => line !== '' && !line.startsWith('#')) }
}

const credential = (left: number | undefined, change: Partial<CredentialRow> = {}): CredentialRow => ({
  provider: 'corp',
  state: 'Live',
  expiresAt: left === undefined ? undefined : at(start + left * 1000),
  ...change,
})
const task = (namespace: string, credentials: CredentialRow[], state = 'Active'): TaskRow => ({ namespace, state, credentials })

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
    tasks: () => [task('a', [credential(30)])],
    leases: () => [{ provider: 'db', state: 'Open' }],
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
      ...['revision', 'state', 'verb', 'version', 'within'],
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

test('credentials are counted by state and by how soon they die; one that is dead or has no end does not die soon', async () => {
  const { lines } = make({
    tasks: () => [
      task('a', [credential(30), credential(60), credential(400), credential(undefined), credential(-1, { state: 'Revoking' })]),
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
    ['providers', (metrics, i) => metrics.revoked(`p${i}`, seconds(1)), 51 * 14],
    ['reasons', (metrics, i) => metrics.decision('deny', `r${i}`), 1],
    ['resources and verbs', (metrics, i) => metrics.apiRequest(`v${i}`, `r${i}`, 200, seconds(1)), 62 + 11 * 13],
    ['reasons of watches', (metrics, i) => metrics.watchRestarted('x', `r${i}`), 21],
  ])('by %s', async (_what, use, most) => {
    expect(await series(use)).toBeLessThanOrEqual(most)
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
    expect((await lines()).length - before).toBe(14)
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

  test('the sums take little longer than reading every row once, and 5 ms or so', () => {
    const now = at(start)
    const read = (): number => {
      const states = new Map<string, number>()
      for (const one of many) {
        for (const row of one.credentials) states.set(row.state + one.namespace, (row.expiresAt ?? 0) + (states.get(row.state) ?? 0))
      }
      return states.size
    }
    const best = (run: () => unknown): number =>
      Math.min(
        ...Array.from({ length: 15 }, () => {
          const before = performance.now()
          run()
          return performance.now() - before
        }),
      )
    const floor = best(read)
    const ours = best(() => sum(many, now, { namespaces: 200, providers: 50 }))
    console.log(`sums over 100,000 credentials: ${ours.toFixed(1)} ms, reading them ${floor.toFixed(1)} ms`)
    expect(ours).toBeLessThan(Math.max(5, 3 * floor))
  })
})
