// Calls that arrive late, because they were held back on their way. PostgreSQL is asked: no role without a live task, none with two.

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import { type HoldingProxy, startHoldingProxy } from '../../support/faults/holding.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createDatabase, type Database, onlyAlive } from '../support/database.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'

let scenario: Scenario
let database: Database
let proxy: HoldingProxy
const running: RunningOperator[] = []

beforeAll(async () => {
  scenario = await createScenario('pgpause')
  database = await createDatabase(scenario, {}, async ({ port }) => {
    proxy = await startHoldingProxy(port)
    return proxy.port
  })
})

afterEach(async () => {
  await Promise.all(running.splice(0).map((operator) => operator.stop()))
})

afterAll(async () => {
  await database?.close()
  await proxy?.close()
  await scenario?.close()
})

/** So that there is a connection, which the next creation takes. */
async function warm(): Promise<void> {
  const task = await database.task()
  await scenario.until(task, 'Active')
  await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
  await onlyAlive(database)
  await eventually(async () => expect(Object.values(await database.rows(task))).toEqual(['Revoked']))
}

test('a creation that arrives after its handle was killed makes nothing, and the task has the role of a later attempt', async () => {
  await freeLease(scenario)
  const operator = await runOperator()
  running.push(operator)
  await warm()
  // the look at the groups passes, the creation does not
  proxy.hold(1)
  const task = await database.task('held')
  // the answer was waited for, and so was that of the first try to kill it; the rest went over connections that are not held
  await eventually(async () => expect((await scenario.conditions(task))['Ready']).toMatchObject({ reason: 'Active' }), {
    timeoutMs: 60_000,
  })
  const given = await database.active(task)
  const rows = await database.rows(task)
  expect(Object.values(rows).sort()).toEqual(['Issued', 'Revoked'])
  const before = database.server.log().length
  proxy.release()
  await eventually(() => expect(database.server.log().slice(before)).toMatch(/ERROR: {2}role "tb[a-z2-7]+" already exists/))
  await onlyAlive(database, given.username)
  await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
  await onlyAlive(database)
}, 120_000)

test('what is held back for longer than its row gives makes nothing, though nobody could kill its handle', async () => {
  await freeLease(scenario)
  const operator = await runOperator()
  running.push(operator)
  await warm()
  proxy.hold()
  const task = await database.task('late')
  await eventually(async () => expect(Object.values(await database.rows(task))).toHaveLength(1), { everyMs: 20 })
  proxy.refuseNew()
  // past the time that the row gives
  await new Promise((resolve) => setTimeout(resolve, 32_000))
  proxy.release()
  // whatever was sent is there by then
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect(await database.alive()).toEqual([])
  proxy.allow()
  const given = await database.active(task)
  await onlyAlive(database, given.username)
  await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
  await onlyAlive(database)
}, 180_000)
