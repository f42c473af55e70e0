// The leader is stopped for twice its lease before a request or a query, and goes on with exactly that one; and calls that arrive late.
// PostgreSQL is asked: no role without a live task, none with two.

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import { type HoldingProxy, startHoldingProxy } from '../../support/faults/holding.ts'
import { type RunningOperator, startOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createDatabase, type Database, onlyAlive } from '../support/database.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'
import { points } from './points.ts'

const leaseSeconds = 3
const flags = [`--lease-duration-seconds=${leaseSeconds}`, '--renew-deadline-seconds=2', '--retry-period-seconds=1']
const preload = ['test/support/faults/faultpoint.ts', 'test/support/faults/pgfault.ts', 'test/support/faults/fastclock.ts']
/** A credential of 300 seconds is then renewed after 11 seconds at most, and ends some 12 seconds later. */
const fast = '12'
/** What only one who leads still does is of interest; the last reads of an end are not. */
const chosen = points.filter(({ at }) => !/Issued|position|look for|the row$/.test(at) || at === 'the row')

let scenario: Scenario
let database: Database
let proxy: HoldingProxy
const running: RunningOperator[] = []
const table: string[] = []

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
  console.log(['step   stopped before                 PostgreSQL, after the pause', ...table].join('\n'))
  await database?.close()
  await proxy?.close()
  await scenario?.close()
})

async function start(options: Partial<Parameters<typeof startOperator>[0]>): Promise<RunningOperator> {
  const operator = await startOperator({ kubeconfig: scenario.kube.kubeconfig, flags, preload, ...options })
  running.push(operator)
  return operator
}

async function converged(step: string, task: string): Promise<string> {
  if (step === 'end') {
    await scenario.until(task, 'Completed')
    await onlyAlive(database)
    await eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'True' }), {
      timeoutMs: 20_000,
    })
    return 'ended: no role alive'
  }
  return eventually(
    async () => {
      const given = await database.active(task)
      expect(await database.alive()).toEqual([given.username])
      expect(await database.works(given)).toBe(true)
      const rows = await database.rows(task)
      expect(Object.values(rows).filter((state) => state !== 'Revoked')).toEqual(['Issued'])
      return `live: ${Object.keys(rows).length} row(s), one role alive, the one in the Secret`
    },
    { timeoutMs: 30_000, everyMs: 300 },
  )
}

test.each(chosen)('$step: stopped before $at', async (point) => {
  const { step, at } = point
  const task = `${step}-${points.indexOf(point)}`
  const clock: Record<string, string> = step === 'renew' ? { FASTCLOCK: fast, FASTCLOCK_SINCE: String(Date.now()) } : {}
  await freeLease(scenario)
  const paused = await start({
    replica: 'paused',
    env: { ...clock, ...point.arm(scenario.namespace, task, { when: 'before', what: 'SIGSTOP' }) },
  })
  await paused.active()
  const successor = await start({ replica: 'successor', issuerUrl: paused.issuer, env: clock })
  await eventually(() => expect(successor.output()).toContain('"started"'), { timeoutMs: 20_000 })
  await database.task(task, { activeDeadlineSeconds: 86_400 }, { ttlSeconds: 300 })
  if (step === 'end') {
    await scenario.until(task, 'Active')
    paused.signal('SIGUSR2')
    await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
  }
  await eventually(() => expect(paused.output()).toContain('fault SIGSTOP'), { timeoutMs: 40_000 })
  const stopped = performance.now()
  await successor.active()
  await converged(step, task)
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, 2 * leaseSeconds * 1000 - (performance.now() - stopped))))

  paused.signal('SIGCONT')
  await eventually(() => expect(paused.output()).toContain('"no longer leading"'), { timeoutMs: 20_000 })
  // whatever it still sends has arrived by then
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const found = await converged(step, task)
  table.push(`${step.padEnd(6)} ${at.padEnd(30)} ${found}`)
  if (step !== 'end') {
    await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
    await scenario.until(task, 'Cancelled')
    await onlyAlive(database)
  }
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
