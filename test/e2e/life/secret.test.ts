// The task's Secret: whose it is, who may have it, and what stands in its way.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { createScenario, judge, runOperator, type Scenario } from '../support/scenario.ts'

let scenario: Scenario
let operator: RunningOperator

beforeAll(async () => {
  scenario = await createScenario('secret')
  operator = await runOperator()
})

afterAll(async () => {
  await operator?.stop()
  await scenario.close()
})

const secretOf = (task: string) => scenario.path('secrets', `taskbound-${task}`)

test('it is Opaque, owned by its task without blocking it, labelled, numbered, and holds nothing but the credential', async () => {
  const task = await scenario.task()
  const token = await scenario.active(task)
  const secret = await scenario.kube.must('GET', secretOf(task))
  const { metadata } = await scenario.kube.must('GET', scenario.path('agenttasks', task))
  expect(secret.type).toBe('Opaque')
  expect(secret.metadata.ownerReferences).toEqual([
    { apiVersion: 'taskbound.dev/v1alpha1', kind: 'AgentTask', name: task, uid: metadata.uid, controller: true },
  ])
  expect(secret.metadata.labels).toMatchObject({ 'taskbound.dev/task-uid': metadata.uid })
  expect(secret.metadata.annotations).toMatchObject({ 'taskbound.dev/attempt': '1' })
  expect(secret.metadata.finalizers).toBeUndefined()
  expect(Object.keys(secret.data)).toEqual(['api'])
  expect(await judge(operator.issuer, token)).toBe('live')
})

test('`keys` renames its keys', async () => {
  const task = await scenario.task({ credential: { keys: { token: 'API_TOKEN' } } })
  await scenario.until(task, 'Active')
  expect(Object.keys((await scenario.kube.must('GET', secretOf(task))).data)).toEqual(['API_TOKEN'])
})

test("somebody else's Secret of that name stays as it is, byte for byte, and the task says so and goes on once it is gone", async () => {
  const squatted = {
    metadata: { name: 'taskbound-squatted', labels: { mine: 'yes' } },
    type: 'Opaque',
    data: { value: Buffer.from('mine').toString('base64') },
  }
  await scenario.kube.must('POST', scenario.path('secrets'), squatted)
  const before = await scenario.kube.must('GET', secretOf('squatted'))
  const task = await scenario.task({ name: 'squatted' })
  await eventually(async () =>
    expect((await scenario.conditions(task))['Issued']).toMatchObject({ status: 'False', reason: 'SecretConflict' }),
  )
  expect((await scenario.conditions(task))['Ready']?.reason).toBe('Pending')
  expect(await scenario.kube.must('GET', secretOf('squatted'))).toEqual(before)
  await scenario.remove('secrets', 'taskbound-squatted')
  await scenario.active(task)
  expect(operator.output()).not.toContain(Buffer.from('mine').toString('base64'))
})

test("ending a task leaves somebody else's Secret of that name alone", async () => {
  await scenario.kube.must('POST', scenario.path('secrets'), { metadata: { name: 'taskbound-alone' }, type: 'Opaque', data: {} })
  const before = await scenario.kube.must('GET', secretOf('alone'))
  const task = await scenario.task({ name: 'alone' })
  await eventually(async () => expect((await scenario.conditions(task))['Issued']?.reason).toBe('SecretConflict'))
  await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
  await scenario.until(task, 'Cancelled')
  await eventually(async () => expect((await scenario.conditions(task))['Revoked']?.status).toBe('True'))
  expect(await scenario.kube.must('GET', secretOf('alone'))).toEqual(before)
})

test('a pod that is older than the task and carries its label holds the task up until it is gone', async () => {
  const spec = { restartPolicy: 'Never', serviceAccountName: 'clerk', containers: [{ name: 'agent', image: 'none' }] }
  const pod = { metadata: { name: 'yesterday', labels: { 'taskbound.dev/task': 'today' } }, spec }
  const made = await scenario.kube.must('POST', scenario.path('pods'), pod)
  // creation times have whole seconds
  await eventually(() => expect(Date.now()).toBeGreaterThan(Date.parse(made.metadata.creationTimestamp) + 1100))
  const task = await scenario.task({ name: 'today' })
  const ready = await scenario.until(task, 'Pending')
  await eventually(async () => expect((await scenario.conditions(task))['Issued']?.reason).toBe('SecretStillMounted'))
  expect(ready.message).toContain('yesterday')
  expect(await scenario.token(task)).toBeUndefined()
  await scenario.kube.must('DELETE', `${scenario.path('pods', 'yesterday')}?gracePeriodSeconds=0`)
  await scenario.active(task)
})

test('a pod that ran with the Secret of an earlier task holds the next one up, also within the same second', async () => {
  const volumes = [{ name: 'credentials', secret: { secretName: 'taskbound-tomorrow' } }]
  const containers = [{ name: 'agent', image: 'none', volumeMounts: [{ name: 'credentials', mountPath: '/credentials' }] }]
  const metadata = { name: 'today', labels: { 'taskbound.dev/task': 'tomorrow' } }
  const running = { phase: 'Running', containerStatuses: [{ name: 'agent', image: 'none', imageID: '', ready: true, restartCount: 0 }] }
  const state = { running: { startedAt: new Date().toISOString() } }
  const status = { ...running, containerStatuses: running.containerStatuses.map((one) => ({ ...one, state })) }
  const pod = { metadata, spec: { serviceAccountName: 'clerk', volumes, containers } }
  const created = async (plural: string, name: string) =>
    String((await scenario.kube.must('GET', scenario.path(plural, name))).metadata.creationTimestamp)

  // as the kubelet would say it; again, where a second passed in between
  await eventually(
    async () => {
      await scenario.kube.request('DELETE', `${scenario.path('pods', 'today')}?gracePeriodSeconds=0`)
      await scenario.kube.request('DELETE', scenario.path('agenttasks', 'tomorrow'))
      await new Promise((resolve) => setTimeout(resolve, 1000 - (Date.now() % 1000)))
      await scenario.kube.must('POST', scenario.path('pods'), pod)
      await scenario.patch('pods', 'today/status', { status })
      // each kind is watched by itself: what comes at once may be seen first
      await new Promise((resolve) => setTimeout(resolve, 300))
      await scenario.task({ name: 'tomorrow' })
      expect(await created('agenttasks', 'tomorrow')).toBe(await created('pods', 'today'))
    },
    { timeoutMs: 30_000 },
  )
  await eventually(async () => expect((await scenario.conditions('tomorrow'))['Issued']?.reason).toBe('SecretStillMounted'))
  expect(await scenario.token('tomorrow')).toBeUndefined()
  await scenario.kube.must('DELETE', `${scenario.path('pods', 'today')}?gracePeriodSeconds=0`)
  await scenario.active('tomorrow')
})

test('a task that is created again under the same name inherits nothing', async () => {
  const task = await scenario.task({ name: 'again' })
  const first = await scenario.active(task)
  const before = await scenario.kube.must('GET', scenario.path('agenttasks', task))
  await scenario.remove('agenttasks', task)
  await eventually(async () => expect((await scenario.kube.request('GET', scenario.path('agenttasks', task))).status).toBe(404))
  await scenario.task({ name: 'again' })
  const second = await scenario.active(task)
  const after = await scenario.kube.must('GET', scenario.path('agenttasks', task))
  expect(after.metadata.uid).not.toBe(before.metadata.uid)
  expect(after.status.attempt).toBe(1)
  expect(after.status.secret.uid).not.toBe(before.status.secret.uid)
  expect([await judge(operator.issuer, first), await judge(operator.issuer, second)]).toEqual(['revoked', 'live'])
})

test('a Secret that somebody deleted does not stand in the way of the end', async () => {
  const task = await scenario.task()
  const token = await scenario.active(task)
  await scenario.remove('secrets', `taskbound-${task}`)
  await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
  await scenario.until(task, 'Completed')
  expect(await judge(operator.issuer, token)).toBe('revoked')
  await eventually(async () => expect((await scenario.conditions(task))['Revoked']?.status).toBe('True'))
})

test('after a Secret was deleted by hand, suspending and resuming makes a new one', async () => {
  const task = await scenario.task()
  const token = await scenario.active(task)
  await scenario.remove('secrets', `taskbound-${task}`)
  await scenario.patch('agenttasks', task, { spec: { suspend: true } })
  await scenario.until(task, 'Suspended')
  await eventually(async () => expect(await judge(operator.issuer, token)).toBe('revoked'))
  await scenario.patch('agenttasks', task, { spec: { suspend: false } })
  expect(await judge(operator.issuer, await scenario.active(task))).toBe('live')
})
