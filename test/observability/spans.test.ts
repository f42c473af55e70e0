// A real operator sends spans of real passes to a collector: a task's life can be read from them, and nothing of its credentials can.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createDatabase, type Database } from '../e2e/support/database.ts'
import { createScenario, runOperator, type Scenario } from '../e2e/support/scenario.ts'
import { eventually } from '../support/cluster.ts'
import { type Collector, type SeenSpan, startCollector } from '../support/collector.ts'
import type { RunningOperator } from '../support/operator.ts'

let scenario: Scenario
let database: Database
let collector: Collector
let operator: RunningOperator
const secrets: string[] = []

beforeAll(async () => {
  collector = await startCollector()
  scenario = await createScenario('spans')
  database = await createDatabase(scenario)
  operator = await runOperator({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } })
  await scenario.task({ name: 'token' })
  await database.task('role')
  secrets.push(await scenario.active('token'))
  const { username, password, url } = await database.active('role')
  secrets.push(username, password, url)
  for (const task of ['token', 'role']) {
    await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
    await scenario.until(task, 'Completed')
  }
  await eventually(async () => expect(Object.values(await database.rows('role'))).toEqual(['Revoked']))
  // what is left is sent as it stops
  expect(await operator.stop()).toBe(0)
}, 120_000)

afterAll(async () => {
  await operator?.stop()
  await database?.close()
  await scenario?.close()
  await collector?.close()
})

const childrenOf = (parent: SeenSpan): readonly SeenSpan[] => collector.spans().filter((span) => span.parent === parent.spanId)
const passes = (task: string): readonly SeenSpan[] =>
  collector.spans().filter(({ name, attributes }) => name === 'task.pass' && attributes['taskbound.task.name'] === task)

test.each(['token', 'role'])('the life of the task `%s` is there: judged, intended, issued, written, and taken back', (task) => {
  const found = passes(task)
  expect(found.length).toBeGreaterThan(1)
  expect(found.every(({ parent, attributes }) => parent === undefined && attributes['k8s.namespace.name'] === scenario.namespace)).toBe(
    true,
  )
  const names = found.map((pass) => childrenOf(pass).map(({ name }) => name))
  expect(names.find((inside) => inside.includes('credential.issue'))).toEqual(
    expect.arrayContaining(['task.judge', 'task.intent', 'credential.issue', 'secret.write', 'status.write']),
  )
  expect(names.find((inside) => inside.includes('secret.delete'))).toEqual(expect.arrayContaining(['credential.revoke', 'status.write']))
  const issued = found.flatMap(childrenOf).find(({ name }) => name === 'credential.issue')
  expect(issued).toMatchObject({
    failed: false,
    attributes: { 'taskbound.provider.name': task === 'token' ? scenario.name : database.name },
  })
})

test('a revocation at the source is a trace of its own, which names the task', () => {
  const revoked = collector.spans().filter(({ name }) => name === 'lease.revoke')
  expect(revoked.length).toBeGreaterThan(0)
  for (const { parent, attributes } of revoked) expect([parent, attributes['taskbound.task.name']]).toEqual([undefined, 'role'])
})

test('no token, password, role or user leaves with a span', () => {
  expect(secrets.map((secret) => secret.length > 10)).toEqual([true, true, true, true])
  const bytes = collector.bytes()
  expect(bytes.length).toBeGreaterThan(1_000)
  for (const secret of secrets) expect(bytes.includes(secret)).toBe(false)
  expect(bytes).not.toMatch(/eyJ|system:|kubernetes-admin|Bearer/)
})
