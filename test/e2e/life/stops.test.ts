// What stops a task without ending it, and how it goes on: everything dies, and what comes after is decided and issued afresh.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { agent, createScenario, judge, runOperator, type Scenario } from '../support/scenario.ts'

/** of policies, before a permit that is gone counts: so long that a slow machine does not reach it by itself */
const quietSeconds = 5
let scenario: Scenario
let operator: RunningOperator

beforeAll(async () => {
  scenario = await createScenario('stops')
  operator = await runOperator({ flags: [`--policy-settle-seconds=${quietSeconds}`] })
})

afterAll(async () => {
  await operator?.stop()
  await scenario.close()
})

const verdict = (token: string) => judge(operator.issuer, token)

async function expectDead(task: string, token: string): Promise<void> {
  await scenario.secretGone(task)
  await eventually(async () => expect(await verdict(token)).toBe('revoked'))
  await eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'True' }))
}

async function expectFresh(task: string, old: string): Promise<void> {
  const token = await scenario.active(task)
  expect(token).not.toBe(old)
  expect([await verdict(old), await verdict(token)]).toEqual(['revoked', 'live'])
}

test('a suspended task loses everything, and a resumed one gets new credentials', async () => {
  const task = await scenario.task()
  const token = await scenario.active(task)
  await scenario.patch('agenttasks', task, { spec: { suspend: true } })
  await scenario.until(task, 'Suspended')
  await expectDead(task, token)
  await scenario.patch('agenttasks', task, { spec: { suspend: false } })
  await expectFresh(task, token)
})

test('the deadline is not reset by suspending and resuming', async () => {
  const task = await scenario.task()
  await scenario.active(task)
  const { status: before } = await scenario.kube.must('GET', scenario.path('agenttasks', task))
  await scenario.patch('agenttasks', task, { spec: { suspend: true } })
  await scenario.until(task, 'Suspended')
  await scenario.patch('agenttasks', task, { spec: { suspend: false } })
  await scenario.active(task)
  const { status: after } = await scenario.kube.must('GET', scenario.path('agenttasks', task))
  expect([after.startTime, after.deadlineTime]).toEqual([before.startTime, before.deadlineTime])
  expect(after.attempt).toBeGreaterThan(before.attempt)
})

test('suspending an agent stops all its tasks, and only its', async () => {
  await scenario.kube.must('POST', scenario.path('agents'), agent('other'))
  const [task, bystander] = [await scenario.task({ agent: 'other' }), await scenario.task()]
  const [token, kept] = [await scenario.active(task), await scenario.active(bystander)]
  await scenario.patch('agents', 'other', { spec: { suspended: true } })
  await scenario.until(task, 'Suspended')
  await expectDead(task, token)
  expect(await verdict(kept)).toBe('live')
  await scenario.patch('agents', 'other', { spec: { suspended: false } })
  await expectFresh(task, token)
})

test('a forbid kills at once; without it the task is decided afresh', async () => {
  const task = await scenario.task()
  const token = await scenario.active(task)
  const forbidden = performance.now()
  await scenario.policy(
    `${scenario.permit} @id("stop") @message("no more") forbid (principal, action, resource == Taskbound::ClusterProvider::"${scenario.name}");`,
  )
  const denied = await scenario.until(task, 'Denied')
  expect(performance.now() - forbidden).toBeLessThan(quietSeconds * 1000 - 100)
  expect(denied.message).toContain(`ClusterAgentPolicy/${scenario.name}/stop`)
  expect(denied.message).toContain('no more')
  await expectDead(task, token)
  await scenario.policy(scenario.permit)
  await expectFresh(task, token)
})

test('a lost permit kills after the time of quiet, and a permit that is back before then kills nothing', async () => {
  const task = await scenario.task()
  const token = await scenario.active(task)
  const path = `/apis/taskbound.dev/v1alpha1/clusteragentpolicies`
  const object = (cedar: string) => ({
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name: scenario.name },
    spec: { cedar },
  })
  // as `kubectl replace --force` does it
  await scenario.kube.must('DELETE', `${path}/${scenario.name}`)
  await scenario.kube.must('POST', path, object(scenario.permit))
  const sentinel = await scenario.task()
  await scenario.active(sentinel)
  await new Promise((resolve) => setTimeout(resolve, (quietSeconds + 1) * 1000))
  expect(await verdict(token)).toBe('live')
  expect(await scenario.token(task)).toBe(token)

  await scenario.kube.must('DELETE', `${path}/${scenario.name}`)
  const denied = await scenario.until(task, 'Denied')
  expect(denied.message).toContain('no policy permits it')
  await expectDead(task, token)
  await scenario.kube.must('POST', path, object(scenario.permit))
  await expectFresh(task, token)
})

test('a finished task is deleted after its time', async () => {
  const task = await scenario.task({ spec: { ttlSecondsAfterFinished: 1 } })
  const token = await scenario.active(task)
  await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
  await eventually(async () => expect((await scenario.kube.request('GET', scenario.path('agenttasks', task))).status).toBe(404))
  expect(await verdict(token)).toBe('revoked')
})
