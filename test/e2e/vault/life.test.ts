// The life of what a task gets of a Vault, from the apply to its end, and what is left when the operator is killed in the middle of it. Vault
// and the database are asked each time.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { startOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'
import { createVaulted, type Vaulted } from '../support/vaulted.ts'

let scenario: Scenario
let vaulted: Vaulted
let operator: RunningOperator

beforeAll(async () => {
  scenario = await createScenario('vault')
  vaulted = await createVaulted(scenario)
  await freeLease(scenario)
  operator = await runOperator()
  await vaulted.trust(operator)
}, 600_000)
afterAll(async () => {
  await operator?.stop()
  await vaulted?.close()
  await scenario?.close()
})

test('a task gets a database role by a login of its own, and at its end role, lease and login are gone', async () => {
  const job = await scenario.job()
  const task = await vaulted.task(undefined, { workloadRef: { apiVersion: 'batch/v1', kind: 'Job', name: job } })
  const given = await vaulted.active(task)
  expect(await vaulted.works(given)).toBe(true)
  await vaulted.onlyAlive(given.username)
  const [row] = await vaulted.rows(task)
  const [login] = (await vaulted.vault.logins()).filter(({ handle }) => handle === row?.handle)
  expect(row).toMatchObject({ state: 'Issued', reference: expect.stringContaining(login?.accessor ?? 'none') })

  await scenario.condition(job, 'Complete')
  await scenario.until(task, 'Completed')
  await eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'True', reason: 'AllRevoked' }))
  expect(await vaulted.works(given)).toBe(false)
  await vaulted.onlyAlive()
  expect((await vaulted.vault.logins()).filter(({ handle }) => handle === row?.handle)).toEqual([])
  expect(await vaulted.rows(task)).toMatchObject([{ state: 'Revoked' }])
  await scenario.secretGone(task)
  for (const shown of [operator.output(), vaulted.vault.log(), JSON.stringify(await vaulted.rows(task))]) {
    expect(shown).not.toContain(given.password)
    expect(shown).not.toMatch(/hvs\.[A-Za-z0-9_-]{20}/)
  }
})

test('a task of an agent that the role does not know is refused by Vault, and says so', async () => {
  await scenario.kube.must('POST', scenario.path('agents'), {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'Agent',
    metadata: { name: 'stranger' },
    spec: { serviceAccountName: 'clerk', owner: 'team@example.com' },
  })
  const task = await vaulted.task(undefined, { agentRef: { name: 'stranger' } })
  await eventually(async () => expect((await scenario.until(task, 'Pending')).message).toContain('`bound_claims`'))
  await vaulted.onlyAlive()
  await scenario.remove('agenttasks', task)
})

test('a value of a KV engine is given, taken away with the Secret, and never called revoked', async () => {
  const path = 'secret/data/payroll'
  await vaulted.vault.ask('POST', path, { data: { key: 'long-lived-5f1' } })
  const name = await vaulted.values(path)
  const credential = { name: 'kv', providerRef: { kind: 'ClusterCredentialProvider', name }, scopes: [path] }
  const task = await vaulted.task(undefined, { credentials: [credential] })
  await scenario.until(task, 'Active')
  const { data } = await scenario.kube.must('GET', scenario.path('secrets', `taskbound-${task}`))
  expect(Buffer.from(data.kv, 'base64').toString()).toBe('long-lived-5f1')
  const { status } = await scenario.kube.must('GET', `/apis/taskbound.dev/v1alpha1/clustercredentialproviders/${name}`)
  expect(status.revocation).toEqual({ class: 'ExpireOnly', boundSeconds: 2_147_483_647 })
  await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
  await scenario.until(task, 'Completed')
  await scenario.secretGone(task)
  await eventually(async () =>
    expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'False', reason: 'ValueRemains' }),
  )
  await eventually(async () => {
    const told = operator.audit().filter(({ kind, provider }) => kind === 'revocation' && provider === name)
    expect(told).toMatchObject([{ reason: 'ValueRemains' }])
  })
  expect(operator.output()).not.toContain('long-lived-5f1')
})

test('killed while it issues, five times over, it leaves one role for each task, and none at the end', async () => {
  const names = [...Array(8).keys()].map((i) => `t${i}`)
  await operator.stop()
  await Promise.all(names.map((name) => vaulted.task(name)))
  const again = { issuerPort: operator.issuerPort }
  for (const after of [150, 300, 500, 800, 1300]) {
    await freeLease(scenario)
    const killed = await startOperator({ kubeconfig: scenario.kube.kubeconfig, ...again })
    await killed.active()
    await new Promise((resolve) => setTimeout(resolve, after))
    killed.signal('SIGKILL')
    await killed.died()
  }
  await freeLease(scenario)
  operator = await runOperator(again)
  const given = await Promise.all(names.map((name) => vaulted.active(name)))
  const usernames = given.map(({ username }) => username)
  expect(new Set(usernames).size).toBe(names.length)
  await vaulted.onlyAlive(...usernames)
  await Promise.all(names.map((name) => scenario.remove('agenttasks', name)))
  await vaulted.onlyAlive()
}, 300_000)

test('what is renewed is another role; the one before works on, and both end with the task', async () => {
  const task = await vaulted.task(undefined, { activeDeadlineSeconds: 3600, credentials: [{ ...vaulted.credential, ttlSeconds: 300 }] })
  const first = await vaulted.active(task)
  await operator.stop()
  // half of its life later, by the operator's clock; Vault has to put up with it
  for (const role of ['payroll-tasks', 'taskbound-operator'])
    await vaulted.vault.ask('POST', `auth/jwt/role/${role}`, { role_type: 'jwt', clock_skew_leeway: 300 })
  const ahead = { TASKBOUND_TEST_CLOCK_AHEAD: '149' }
  operator = await runOperator({ issuerPort: operator.issuerPort, preload: ['test/support/preload/clock.ts'], env: ahead })
  const second = await eventually(
    async () => {
      const given = await vaulted.active(task)
      expect(given.username).not.toBe(first.username)
      return given
    },
    { timeoutMs: 20_000 },
  )
  await vaulted.onlyAlive(first.username, second.username)
  expect([await vaulted.works(first), await vaulted.works(second)]).toEqual([true, true])
  expect(await vaulted.rows(task)).toHaveLength(1)
  await scenario.remove('agenttasks', task)
  await vaulted.onlyAlive()
  await operator.stop()
  operator = await runOperator({ issuerPort: operator.issuerPort })
}, 120_000)

test('while Vault is sealed the end of a task is owed, said, and paid when it is back', async () => {
  const task = await vaulted.task()
  const given = await vaulted.active(task)
  await vaulted.vault.ask('PUT', 'sys/seal')
  await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
  await scenario.until(task, 'Completed')
  await eventually(async () =>
    expect((await scenario.conditions(task))['Revoked']).toMatchObject({
      status: 'False',
      reason: 'RevocationUnconfirmed',
      message: expect.stringContaining('it is sealed'),
    }),
  )
  expect(await vaulted.works(given)).toBe(true)
  await vaulted.vault.unseal()
  await vaulted.onlyAlive()
  await eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'True' }), {
    timeoutMs: 20_000,
  })
})
