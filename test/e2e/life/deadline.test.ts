// Time that runs out: `activeDeadlineSeconds` ends a task by itself, by a clock that jumps, and while no operator ran.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { createScenario, judge, runOperator, type Scenario } from '../support/scenario.ts'

const preload = ['test/support/preload/clock.ts']
// the least that an AgentTask may have
const activeDeadlineSeconds = 60

let scenario: Scenario
let operator: RunningOperator

beforeAll(async () => {
  scenario = await createScenario('deadline')
  operator = await runOperator({ preload })
})

afterAll(async () => {
  await operator?.stop()
  await scenario.close()
})

async function expectExpired(task: string, token: string): Promise<void> {
  // no timer is trusted for longer than half a minute
  await eventually(
    async () =>
      expect(await scenario.conditions(task)).toMatchObject({
        Ready: { status: 'False', reason: 'Expired' },
        Failed: { status: 'True', reason: 'DeadlineExceeded' },
        Complete: { status: 'False', reason: 'DeadlineExceeded' },
        Revoked: { status: 'True' },
      }),
    { timeoutMs: 45_000, everyMs: 200 },
  )
  await scenario.secretGone(task)
  const { status } = await scenario.kube.must('GET', scenario.path('agenttasks', task))
  expect(await judge(operator.issuer, token, new Date(status.deadlineTime))).toMatch(/"exp" claim/)
}

test('no token outlives the deadline of its task, and the deadline is where the task says', async () => {
  const task = await scenario.task({ spec: { activeDeadlineSeconds } })
  const token = await scenario.active(task)
  const { status } = await scenario.kube.must('GET', scenario.path('agenttasks', task))
  expect(Date.parse(status.deadlineTime) - Date.parse(status.startTime)).toBe(activeDeadlineSeconds * 1000)
  const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp: number }
  expect(exp * 1000).toBeLessThanOrEqual(Date.parse(status.deadlineTime))
})

test('a task whose time is over ends, and one that has time left lives on', async () => {
  const [task, other] = [await scenario.task({ spec: { activeDeadlineSeconds } }), await scenario.task()]
  const [token, kept] = [await scenario.active(task), await scenario.active(other)]
  operator.signal('SIGUSR2')
  await expectExpired(task, token)
  expect(await judge(operator.issuer, kept)).toBe('live')
})

test('a task whose time ran out while no operator ran ends when one starts', async () => {
  const [task, other] = [await scenario.task({ spec: { activeDeadlineSeconds } }), await scenario.task()]
  const [token, kept] = [await scenario.active(task), await scenario.active(other)]
  await operator.stop()
  operator = await runOperator({ preload, env: { TASKBOUND_TEST_CLOCK_AHEAD: '150' }, issuerPort: operator.issuerPort })
  await expectExpired(task, token)
  expect(await judge(operator.issuer, kept)).toBe('live')
})
