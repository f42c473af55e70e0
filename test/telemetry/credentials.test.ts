import { describe, expect, test } from '@jest/globals'
import { at } from '../../src/lib/instant.ts'
import { type CredentialCaps, createCredentialMetrics, type PerCredential } from '../../src/telemetry/credentials.ts'
import type { LeaseRow, TaskRow } from '../../src/telemetry/snapshot.ts'
import { credential, leaseRow, makeClock, start, taskRow } from './make.ts'

function make(mode: PerCredential, tasks: () => readonly TaskRow[], leases: () => readonly LeaseRow[] = () => [], caps?: CredentialCaps) {
  const metrics = createCredentialMetrics(mode, { tasks, leases }, makeClock(), caps)
  const lines = async () => (await metrics.scrape()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return {
    metrics,
    series: async () => (await lines()).filter((line) => line.startsWith('taskbound_credential_expiry')),
    dropped: async () => Number((await lines()).find((line) => line.startsWith('taskbound_metrics_series_dropped'))?.split(' ')[1]),
  }
}

const many = (count: number): TaskRow[] =>
  Array.from({ length: count }, (_, i) => taskRow(`team-${i % 20}`, [credential(((i * 7919) % count) + 1)], { name: `t${i}` }))

test('a credential has one series, with the time at which it dies', async () => {
  const { series, dropped } = make('top', () => [taskRow('payroll', [credential(30)])])
  expect(await series()).toEqual([
    `taskbound_credential_expiry_timestamp_seconds{namespace="payroll",task="close-books",credential="api",provider="corp"} ${start / 1000 + 30}`,
  ])
  expect(await dropped()).toBe(0)
})

test('what has expired is shown only where it may live on', async () => {
  const { series } = make('top', () => [taskRow('a', [credential(-1), credential(-1, { name: 'db', lasting: true })])])
  expect(await series()).toEqual([expect.stringContaining('credential="db"')])
})

test('a deleted task leaves no series at the next scrape', async () => {
  let tasks = many(3)
  const { series } = make('all', () => tasks)
  expect(await series()).toHaveLength(3)
  tasks = tasks.slice(1)
  expect(await series()).toHaveLength(2)
  expect((await series()).join()).not.toContain('task="t0"')
})

test('`top` shows the hundred that die soonest, and calls the rest not dropped', async () => {
  const { series, dropped } = make('top', () => many(1_000))
  const times = (await series()).map((line) => Math.round(Number(line.split(' ')[1]) - start / 1000))
  expect(times.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
  expect(await dropped()).toBe(0)
})

test('`all` shows every one up to its cap, and says how many it left out', async () => {
  const caps = { top: 100, all: 300 }
  const under = make('all', () => many(300), undefined, caps)
  expect([(await under.series()).length, await under.dropped()]).toEqual([300, 0])
  const over = make('all', () => many(1_000), undefined, caps)
  expect([(await over.series()).length, await over.dropped()]).toEqual([300, 700])
})

describe('what is being revoked for too long is shown', () => {
  test('from the ledger, also when its task is gone and nobody knows of an end', async () => {
    const leases = () => [leaseRow({ state: 'Overdue', expiresAt: undefined }), leaseRow({ credential: 'fine', state: 'Revoking' })]
    const { series } = make('top', () => many(1_000), leases)
    const found = await series()
    expect(found).toHaveLength(101)
    expect(found).toContain(
      'taskbound_credential_expiry_timestamp_seconds{namespace="a",task="close-books",credential="db",provider="db"} +Inf',
    )
    expect(found.join()).not.toContain('fine')
  })

  const late = (overdueAt: number) => taskRow('a', [credential(1_000_000, { overdueAt: at(overdueAt) })], { name: 'late' })
  const shown = async (row: TaskRow, leases: readonly LeaseRow[] = []) => {
    const { series } = make(
      'top',
      () => [...many(1_000), row],
      () => leases,
    )
    return (await series()).filter((line) => line.includes('task="late"')).length
  }

  test('of a task that ended, however late it dies, and not before it is too long', async () => {
    expect([await shown(late(start - 1)), await shown(late(start + 1))]).toEqual([1, 0])
  })

  test('once, where both say so', async () => {
    expect(await shown(late(start - 1), [leaseRow({ task: 'late', credential: 'api', provider: 'corp', state: 'Overdue' })])).toBe(1)
  })

  test('before anything else where a cap bites', async () => {
    const leases = () => Array.from({ length: 20 }, (_, i) => leaseRow({ task: `gone${i}`, state: 'Overdue' }))
    const { series, dropped } = make('all', () => many(5), leases, { top: 3, all: 10 })
    expect((await series()).every((line) => line.includes('task="gone'))).toBe(true)
    expect([(await series()).length, await dropped()]).toEqual([10, 15])
  })
})

test('at 100,000 credentials `top` is small and soon made', async () => {
  const rows = many(100_000)
  const { metrics } = make('top', () => rows)
  const times: number[] = []
  for (let i = 0; i < 7; i++) {
    const before = performance.now()
    expect((await metrics.scrape()).length).toBeLessThan(20_000)
    times.push(performance.now() - before)
  }
  console.log(`the hundred soonest of 100,000 credentials: ${Math.min(...times).toFixed(1)} ms`)
  // a sort of all would take twenty times as long
  expect(Math.min(...times)).toBeLessThan(100)
})
