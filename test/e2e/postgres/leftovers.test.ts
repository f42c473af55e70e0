// The cases in which operators of this kind leave credentials alive: the source down while tasks are deleted, kills, orderly restarts,
// Secrets deleted by hand. PostgreSQL is asked each time. Namespaces that are deleted are in test/e2e/matrix/namespace.test.ts.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import { type RunningOperator, startOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createDatabase, type Database, onlyAlive } from '../support/database.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'

const count = 20
let scenario: Scenario
let database: Database
let operator: RunningOperator | undefined
const table: string[] = []

beforeEach(async () => {
  scenario = await createScenario('left')
  database = await createDatabase(scenario)
  await freeLease(scenario)
})
afterEach(async () => {
  await operator?.stop()
  operator = undefined
  await database?.close()
  await scenario?.close()
})
beforeAll(() => void table.push('case                                              roles alive'))
afterAll(() => console.log(table.join('\n')))

const names = (n = count): readonly string[] => [...Array(n).keys()].map((i) => `t${i}`)
const create = (n = count) => Promise.all(names(n).map((name) => database.task(name, { activeDeadlineSeconds: 86_400 })))
const allActive = (n = count) => Promise.all(names(n).map((name) => database.active(name)))
const remove = (n = count) => Promise.all(names(n).map((name) => scenario.remove('agenttasks', name)))
const usernames = async (n = count) => (await allActive(n)).map(({ username }) => username)

/** The roles of so many tasks, and no others, are alive. */
async function begun(n = count): Promise<readonly string[]> {
  await create(n)
  const alive = await usernames(n)
  await onlyAlive(database, ...alive)
  return alive
}

async function none(what: string): Promise<void> {
  await onlyAlive(database)
  table.push(`${what.padEnd(50)}0`)
}

test('the server is down while tasks are deleted', async () => {
  operator = await runOperator()
  await begun()
  const rows = async () => (await Promise.all(names().map((name) => database.rows(name)))).flatMap((rows) => Object.entries(rows))
  // under load an attempt fails before its time; its row is then dead already, and nothing is said of it here
  const alive = (await rows()).filter(([, state]) => state !== 'Revoked').map(([handle]) => handle)
  expect(alive).toHaveLength(count)
  await database.server.down()
  await remove()
  await eventually(async () => expect((await scenario.kube.must('GET', scenario.path('agenttasks'))).items).toEqual([]))
  const owed = async () => Object.fromEntries((await rows()).filter(([, state]) => state !== 'Revoked'))
  await eventually(async () => expect(await owed()).toEqual(Object.fromEntries(alive.map((handle) => [handle, 'Revoking']))), {
    timeoutMs: 20_000,
  })
  await database.server.up()
  await none('server down during deletion')
})

test('the operator is killed while it issues, five times over', async () => {
  await create()
  for (const after of [150, 300, 500, 800, 1300]) {
    await freeLease(scenario)
    operator = await startOperator({ kubeconfig: scenario.kube.kubeconfig })
    await operator.active()
    await new Promise((resolve) => setTimeout(resolve, after))
    operator.signal('SIGKILL')
    await operator.died()
  }
  await freeLease(scenario)
  operator = await runOperator()
  const alive = await usernames()
  await onlyAlive(database, ...alive)
  expect(new Set(alive).size).toBe(count)
  await remove()
  await none('SIGKILL while issuing, five rounds')
})

test('an orderly restart issues nothing anew', async () => {
  operator = await runOperator()
  const before = await begun()
  await operator.stop()
  operator = await runOperator()
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect(await usernames()).toEqual(before)
  await onlyAlive(database, ...before)
  await remove()
  await none('orderly restart, then deletion')
})

test('Secrets that are deleted by hand bring no second role, and none outlives its task', async () => {
  operator = await runOperator()
  const before = await begun()
  for (const name of names()) await scenario.remove('secrets', `taskbound-${name}`)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  await onlyAlive(database, ...before)
  await remove()
  await none('Secrets deleted by hand, then the tasks')
})
