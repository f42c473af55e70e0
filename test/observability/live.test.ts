// A real Prometheus scrapes two replicas of a real operator while tasks live, wait, are denied and end: what is scraped is well formed, every
// expression of every panel answers what it should, the alerts are evaluated, and a deleted task leaves nothing behind.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createDatabase, type Database } from '../e2e/support/database.ts'
import { createScenario, runOperator, type Scenario } from '../e2e/support/scenario.ts'
import { dashboards } from '../generate/dashboards/dashboards.ts'
import { root } from '../generate.ts'
import { eventually } from '../support/cluster.ts'
import { type RunningOperator, startOperator } from '../support/operator.ts'
import { type Prometheus, promtool, type Sample, startPrometheus } from './prometheus.ts'

const api = '/apis/taskbound.dev/v1alpha1'
let scenario: Scenario
let database: Database
let replicas: readonly RunningOperator[] = []
let prometheus: Prometheus

/** Every query of every panel, by dashboard and title. */
interface Asked {
  readonly title: string
  readonly exprs: readonly string[]
}
interface Board {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[]
}
const panels: readonly Asked[] = dashboards.flatMap(({ path }) => {
  const board = JSON.parse(readFileSync(join(root, path), 'utf8')) as Board
  return board.panels.flatMap(({ title, targets }) => (targets === undefined ? [] : [{ title, exprs: targets.map(({ expr }) => expr) }]))
})
/** As Grafana would ask. */
const filled = (expr: string): string =>
  expr
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$__range', '5m')
    .replaceAll('$job', 'taskbound')
    .replaceAll('$namespace', scenario.namespace)

async function show(title: string): Promise<readonly Sample[]> {
  const { exprs = [] } = panels.find((panel) => panel.title === title) ?? {}
  if (exprs.length === 0) throw new Error(`no panel is called ${title}`)
  return (await Promise.all(exprs.map((expr) => prometheus.query(filled(expr))))).flat()
}
const only = async (title: string): Promise<number | undefined> => {
  const samples = await show(title)
  expect([title, samples.length]).toEqual([title, 1])
  return samples[0]?.value
}
const by = async (title: string, label: string): Promise<Readonly<Record<string, number>>> =>
  Object.fromEntries((await show(title)).map(({ labels, value }) => [labels[label] ?? '', value]))

beforeAll(async () => {
  scenario = await createScenario('observed')
  database = await createDatabase(scenario)
  const leader = await runOperator({ replica: 'first' })
  replicas = [leader]
  const second = await startOperator({ kubeconfig: scenario.kube.kubeconfig, replica: 'second', issuerUrl: leader.issuer })
  replicas = [leader, second]
  await eventually(async () => expect((await fetch(`${second.health}/readyz`)).status).toBe(200), { timeoutMs: 40_000 })
  const addresses = replicas.map(({ metrics }) => new URL(metrics).host)
  const targets = ['/metrics', '/metrics/credentials'].map((path) => ({ job: 'taskbound', path, addresses }))
  prometheus = await startPrometheus(targets, [join(root, 'charts/taskbound/files/alerts.yaml')])
  await prometheus.scraped(2)

  await Promise.all([
    scenario.task({ name: 'live-1' }),
    scenario.task({ name: 'live-2' }),
    database.task('live-db'),
    database.task('ends-db'),
  ])
  await scenario.task({ name: 'ends' })
  await scenario.task({ name: 'waits', agent: 'nobody' })
  await scenario.kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name: `${scenario.name}-other` },
    spec: {
      type: 'jwt',
      namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
      jwt: { profile: 'AccessToken', audiences: ['https://other.example'], scopes: ['read'] },
    },
  })
  await scenario.task({
    name: 'denied',
    credential: { providerRef: { kind: 'ClusterCredentialProvider', name: `${scenario.name}-other` }, audience: 'https://other.example' },
  })
  // one that only records denies nobody
  await scenario.kube.must('POST', scenario.path('agentpolicies'), {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'AgentPolicy',
    metadata: { name: 'broken' },
    spec: { cedar: 'permit (principal', mode: 'Audit' },
  })
  for (const task of ['live-1', 'live-2', 'live-db', 'ends', 'ends-db']) await scenario.until(task, 'Active')
  await scenario.until('denied', 'Denied')
  // an increase is seen from one scrape to the next
  const now = await prometheus.query('max(sum_over_time(up[10m]))')
  await prometheus.scraped((now[0]?.value ?? 0) + 3)
  for (const task of ['ends', 'ends-db']) {
    await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
    await scenario.until(task, 'Completed')
  }
  await eventually(async () => expect(Object.values(await database.rows('ends-db'))).toEqual(['Revoked']))
  await prometheus.scraped((now[0]?.value ?? 0) + 8)
}, 180_000)

afterAll(async () => {
  await prometheus?.stop()
  await Promise.all(replicas.map((replica) => replica.stop()))
  await scenario?.kube.request('DELETE', `${api}/clustercredentialproviders/${scenario.name}-other`)
  await database?.close()
  await scenario?.close()
}, 60_000)

test('what every replica tells at both paths is as promtool wants it', async () => {
  for (const { metrics } of replicas) {
    for (const path of ['/metrics', '/metrics/credentials']) {
      const answer = await fetch(`${metrics}${path}`)
      expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4')
      const { code, output } = await promtool(['check', 'metrics'], await answer.text())
      expect([path, code, output]).toEqual([path, 0, ''])
    }
  }
})

test('every expression of every panel is one that Prometheus understands', async () => {
  expect(panels.length).toBeGreaterThan(25)
  for (const { title, exprs } of panels) {
    for (const expr of exprs)
      await expect(prometheus.query(filled(expr)).then(() => [title, 'answered'])).resolves.toEqual([title, 'answered'])
  }
})

describe('the panels show', () => {
  test('what is live, once, whichever replica tells it', async () => {
    expect(await only('Live credentials')).toBe(3)
    expect(await by('Live credentials by provider', 'provider')).toEqual({ [scenario.name]: 2, [database.name]: 1 })
    expect(await by('Tasks by state', 'state')).toEqual({ Active: 3, Completed: 2, Denied: 1, Pending: 1 })
    expect((await by('Remaining lives', 'within'))['6h']).toBe(3)
    expect(await only('Next expiry')).toBeGreaterThan(60)
  })

  test('how long credentials outlived their task', async () => {
    expect(await only('Revoked within 5 s')).toBe(1)
    expect(await only('Overdue')).toBe(0)
    const slowest = await by('Overrun, 99th percentile', 'provider')
    for (const provider of [scenario.name, database.name]) {
      expect(slowest[provider]).toBeGreaterThan(0)
      expect(slowest[provider]).toBeLessThanOrEqual(5)
    }
    const buckets = await by('Overrun', 'le')
    expect(Object.keys(buckets)).toEqual(expect.arrayContaining(['0.025', '5', '3600', '+Inf']))
    expect(buckets['+Inf']).toBeGreaterThan(1.5)
  })

  test('what was decided, which policies are not as written, and what waits for what', async () => {
    expect((await show('Decisions')).filter(({ value }) => value > 0).map(({ labels }) => labels['decision'])).toEqual(
      expect.arrayContaining(['allow', 'deny']),
    )
    expect(await only('Policies not as written')).toBe(1)
    expect(Math.abs(((await only('Last change of policy')) ?? 0) - Date.now())).toBeLessThan(600_000)
    expect(Object.keys(await by('Longest wait for credentials', 'reason'))).toEqual(['AgentNotFound'])
  })

  test('the ledger', async () => {
    expect(await by('Ledger', 'state')).toEqual({ Open: 1 })
    expect(await by('Ledger, how full', 'provider')).toEqual({ [database.name]: 0.001 })
  })

  test('an operator that is well', async () => {
    expect([await only('Leader'), await only('Issuing')]).toEqual([1, 0])
    expect(await by('Requests to the API server', 'code')).toMatchObject({ 200: expect.any(Number) })
    expect(Math.max(...Object.values(await by('Age of what is seen', 'resource')))).toBeLessThan(120)
    for (const title of ['Queue', 'Passes', 'Time of a pass and of a decision, 99th percentile', 'Time of a request, 99th percentile'])
      expect([title, (await show(title)).length > 0]).toEqual([title, true])
    expect((await show('Evidence lost')).map(({ value }) => value)).toEqual([0, 0])
    for (const title of ['Memory', 'CPU', 'Delay of the event loop']) expect([title, (await show(title)).length]).toEqual([title, 2])
  })

  test('single credentials, soonest first', async () => {
    const rows = await show('Dies in')
    expect(rows.map(({ labels }) => labels['task']).sort()).toEqual(['live-1', 'live-2', 'live-db'])
    expect(rows.map(({ value }) => value)).toEqual(rows.map(({ value }) => value).sort((a, b) => a - b))
    expect([await only('Shown'), await only('Past their end'), await only('Left out')]).toEqual([3, 0, 0])
  })
})

test('every alert is loaded and evaluated, and what is wrong here is on its way to fire', async () => {
  const rules = (await prometheus.rules()).flatMap((group) => group.rules)
  expect(rules.length).toBeGreaterThan(20)
  expect(rules.filter(({ health, lastError = '' }) => health !== 'ok' || lastError !== '')).toEqual([])
  const states = Object.fromEntries(rules.map(({ name, state }) => [name, state]))
  expect(states).toMatchObject({ TaskboundPolicyInvalid: 'pending', TaskboundAbsent: 'inactive', TaskboundTaskStuckPending: 'inactive' })
  expect(rules.filter(({ state }) => state === 'firing')).toEqual([])
})

test('a deleted task leaves no series', async () => {
  const series = (task: string) =>
    prometheus.query(`taskbound_credential_expiry_timestamp_seconds{namespace="${scenario.namespace}",task="${task}"}`)
  expect(await series('live-1')).toHaveLength(2)
  for (const task of ['live-1', 'waits']) await scenario.remove('agenttasks', task)
  await eventually(async () => expect(await series('live-1')).toEqual([]), { timeoutMs: 20_000, everyMs: 200 })
  expect(await series('live-2')).toHaveLength(2)
  await eventually(async () => expect(await show('Longest wait for credentials')).toEqual([]), { timeoutMs: 20_000, everyMs: 200 })
})
