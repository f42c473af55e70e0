// The operator is killed, or loses an answer, at every request to the API server and every query to PostgreSQL that issues, renews or ends,
// before and after the other side acted. After a restart PostgreSQL is asked: no role without a live task, none with two.

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import { type RunningOperator, startOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createDatabase, type Database, onlyAlive } from '../support/database.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'
import { type Point, points, type Step } from './points.ts'

const preload = ['test/support/faults/faultpoint.ts', 'test/support/faults/pgfault.ts', 'test/support/faults/fastclock.ts']
const faults = [
  { when: 'before', what: 'SIGKILL' },
  { when: 'after', what: 'SIGKILL' },
  { when: 'after', what: 'drop' },
] as const

let scenario: Scenario
let database: Database
let operator: RunningOperator | undefined
const table: string[] = []

beforeAll(async () => {
  scenario = await createScenario('pgkill')
  database = await createDatabase(scenario)
})

afterEach(async () => {
  await operator?.stop()
  operator = undefined
})

afterAll(async () => {
  console.log(['step   point                          when   what     PostgreSQL, after convergence', ...table].join('\n'))
  await database?.close()
  await scenario?.close()
})

async function drive(step: Step, task: string, running: RunningOperator): Promise<void> {
  await database.task(task, { activeDeadlineSeconds: 86_400 }, { ttlSeconds: 300 })
  if (step !== 'end') return
  await scenario.until(task, 'Active')
  await eventually(async () => expect(Object.values(await database.rows(task))).toEqual(['Issued']))
  running.signal('SIGUSR2')
  await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
}

describe.each(faults)('$what $when', ({ when, what }) => {
  test.each(points)('$step: $at', async (point: Point) => {
    const { step, at } = point
    const task = `${step}-${when}-${what}-${points.indexOf(point)}`.toLowerCase()
    await freeLease(scenario)
    // before and after the fault one clock, or what was due would not be any more; nothing but a renewal needs a fast one
    const clock: Record<string, string> = step === 'renew' ? { FASTCLOCK: '60', FASTCLOCK_SINCE: String(Date.now()) } : {}
    operator = await startOperator({
      kubeconfig: scenario.kube.kubeconfig,
      preload,
      env: { ...clock, ...point.arm(scenario.namespace, task, { when, what }) },
    })
    await operator.active()
    const running = operator
    await drive(step, task, running)
    await eventually(() => expect(running.output()).toContain('fault '), { timeoutMs: 40_000 })
    if (what === 'SIGKILL') {
      expect(await running.died()).toBe('SIGKILL')
      await freeLease(scenario)
      operator = await runOperator({ preload, env: clock })
    }
    const found = await converge(step, task)
    table.push(`${step.padEnd(6)} ${at.padEnd(30)} ${when.padEnd(6)} ${what.padEnd(8)} ${found}`)
    if (step !== 'end') {
      await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
      await scenario.until(task, 'Cancelled')
      await nothingAlive(task)
    }
  })
})

test('nothing is left of any of them', async () => {
  operator = await runOperator()
  // a dead role keeps its name until nothing can come late any more, by the true clock; what had a fast one keeps it for longer
  await eventually(
    async () => {
      const waiting = await database.awaited()
      expect((await database.roles()).filter((role) => !waiting.includes(role))).toEqual([])
    },
    { timeoutMs: 90_000, everyMs: 500 },
  )
  expect(await database.alive()).toEqual([])
}, 120_000)

async function nothingAlive(task: string): Promise<number> {
  await onlyAlive(database)
  await scenario.secretGone(task)
  await eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'True' }))
  const rows = Object.values(await database.rows(task))
  expect(rows.filter((state) => state !== 'Revoked')).toEqual([])
  return rows.length
}

async function converge(step: Step, task: string): Promise<string> {
  if (step === 'end') {
    await scenario.until(task, 'Completed')
    return `ended: ${await nothingAlive(task)} row(s), no role alive`
  }
  return eventually(
    async () => {
      const given = await database.active(task)
      expect(await database.alive()).toEqual([given.username])
      expect(await database.works(given)).toBe(true)
      const { status } = await scenario.kube.must('GET', scenario.path('agenttasks', task))
      if (step === 'renew') expect(status.attempt).toBeGreaterThan(1)
      const rows = await database.rows(task)
      const { [given.username]: state, ...others } = rows
      expect(state).toBe('Issued')
      expect(Object.values(others).filter((other) => other !== 'Revoked')).toEqual([])
      return `live: attempt ${status.attempt}, ${Object.keys(rows).length} row(s), one role alive, the one in the Secret`
    },
    { timeoutMs: 40_000, everyMs: 300 },
  )
}
