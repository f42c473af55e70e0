// Credentials from a service of one's own, by the reference server of examples/webhook, which fetches the keys of logins from the operator
// as any would. The server itself is asked what is alive.

import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { eventually } from '../support/cluster.ts'
import { type RunningOperator, startOperator } from '../support/operator.ts'
import { freeLease } from './faults/tokens.ts'
import { createReferenceHook, hookAudience, type ReferenceHook } from './support/reference-hook.ts'
import { createScenario, runOperator, type Scenario } from './support/scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'
let scenario: Scenario
let operator: RunningOperator | undefined
let hooked: ReferenceHook | undefined

beforeEach(async () => {
  scenario = await createScenario('hook')
  await freeLease(scenario)
})
afterEach(async () => {
  await operator?.stop()
  operator = undefined
  await hooked?.close()
  hooked = undefined
  await scenario.close()
})

const task = (name: string) =>
  scenario.task({
    name,
    spec: { activeDeadlineSeconds: 86_400 },
    credential: { ...hooked?.credential, name: 'api' },
  })

const onlyAlive = (count: number) =>
  eventually(() => expect(hooked?.server.alive()).toHaveLength(count), { timeoutMs: 20_000, everyMs: 50 })

test('a task gets a key that works, and at its end it does not; no login and no key is told to anybody else', async () => {
  operator = await runOperator()
  hooked = await createReferenceHook(scenario, `${operator.issuer}/login`)
  const { server: keys, name: provider } = hooked
  const key = await scenario.active(await task('one'))
  expect(keys.scopesOf(key)).toEqual(['orders:read'])
  expect((await scenario.kube.must('GET', `${api}/clustercredentialproviders/${provider}`)).status.revocation).toEqual({
    class: 'Immediate',
    boundSeconds: 5,
  })
  await scenario.patch('agenttasks', 'one', { spec: { suspend: true } })
  await onlyAlive(0)
  expect(keys.scopesOf(key)).toBeUndefined()
  // the key dies before that is written down
  await scenario.until('one', 'Suspended')
  await scenario.patch('agenttasks', 'one', { spec: { suspend: false } })
  const second = await scenario.active('one')
  expect(second).not.toBe(key)
  await scenario.patch('agenttasks', 'one', { spec: { end: 'Completed' } })
  await scenario.until('one', 'Completed')
  await onlyAlive(0)
  await eventually(async () => expect((await scenario.conditions('one'))['Revoked']).toMatchObject({ reason: 'AllRevoked' }))
  for (const secret of [key, second, 'Bearer ', 'eyJ']) expect(operator.output()).not.toContain(secret)
})

test('kills while keys are made, tasks that go while nobody runs, and a service that is down leave nothing alive', async () => {
  operator = await runOperator()
  const { issuer, issuerPort } = operator
  hooked = await createReferenceHook(scenario, `${issuer}/login`)
  const { server: keys } = hooked
  await operator.stop()
  const tasks = [...Array(20).keys()].map((i) => `t${i}`)
  await Promise.all(tasks.map(task))
  for (const after of [200, 400, 700]) {
    await freeLease(scenario)
    operator = await startOperator({ kubeconfig: scenario.kube.kubeconfig, issuerPort })
    await operator.active()
    await new Promise((resolve) => setTimeout(resolve, after))
    operator.signal('SIGKILL')
    await operator.died()
  }
  await freeLease(scenario)
  operator = await runOperator({ issuerPort })
  const given = await Promise.all(tasks.map((name) => scenario.active(name)))
  expect(new Set(given).size).toBe(tasks.length)
  await onlyAlive(tasks.length)
  for (const key of given) expect(keys.scopesOf(key)).toBeDefined()

  await operator.stop()
  await Promise.all(tasks.slice(10).map((name) => scenario.remove('agenttasks', name)))
  operator = await runOperator({ issuerPort })
  await onlyAlive(10)
  await scenario.kube.must('DELETE', `/api/v1/namespaces/${scenario.namespace}`)
  await onlyAlive(0)
})

test('another provider cannot list the audience of its logins', async () => {
  operator = await runOperator()
  hooked = await createReferenceHook(scenario, `${operator.issuer}/login`)
  const name = `${scenario.name}-thief`
  // the older of two keeps it, and times are told in whole seconds
  await new Promise((resolve) => setTimeout(resolve, 1100))
  await scenario.kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec: { type: 'jwt', jwt: { profile: 'AccessToken', audiences: [hookAudience] } },
  })
  await eventually(async () => {
    const { status } = await scenario.kube.must('GET', `${api}/clustercredentialproviders/${name}`)
    expect(status?.conditions?.[0]).toMatchObject({ type: 'Ready', status: 'False', reason: 'AudienceTaken' })
  })
  await scenario.kube.must('DELETE', `${api}/clustercredentialproviders/${name}`)
})
