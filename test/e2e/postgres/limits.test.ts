// A namespace that fills its part of the ledger stops only itself, and an administrator can give up what can never be revoked.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { createDatabase, type Database, onlyAlive } from '../support/database.ts'
import { agent, createScenario, runOperator, type Scenario } from '../support/scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const rows = `${api}/namespaces/taskbound-system/credentialleases`
let scenario: Scenario
let database: Database
let operator: RunningOperator

beforeAll(async () => {
  scenario = await createScenario('limits')
  database = await createDatabase(scenario)
  operator = await runOperator({ flags: ['--ledger-limit=2'] })
})
afterAll(async () => {
  await operator?.stop()
  await database?.close()
  await scenario?.close()
})

test('at its limit a namespace is issued no more, others are, and what ends makes room', async () => {
  const { kube } = scenario
  for (const name of ['one', 'two']) await database.active(await database.task(name))
  await database.task('three')
  const full = await eventually(async () => {
    const { Ready, Issued } = await scenario.conditions('three')
    if (Issued?.reason !== 'LedgerFull') throw new Error(`task three is ${Ready?.reason}: ${Ready?.message}`)
    return Issued
  })
  expect(full.message).toContain('2 credentials of this namespace at provider')
  expect(await database.alive()).toHaveLength(2)

  // another namespace that the provider serves
  const other = await kube.freshNamespace('limits-other', { 'test.taskbound.dev/scenario': scenario.name })
  await kube.must('POST', `/api/v1/namespaces/${other}/serviceaccounts`, { metadata: { name: 'clerk' } })
  await kube.must('POST', `${api}/namespaces/${other}/agents`, agent('clerk'))
  await kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name: `${database.name}-other` },
    spec: {
      cedar: `@id("o") permit (principal in Taskbound::Namespace::"${other}", action, resource == Taskbound::ClusterProvider::"${database.name}");`,
    },
  })
  await kube.must('POST', `${api}/namespaces/${other}/agenttasks`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'AgentTask',
    metadata: { name: 'theirs' },
    spec: {
      agentRef: { name: 'clerk' },
      action: 'test.run',
      credentials: [{ name: 'db', providerRef: { kind: 'ClusterCredentialProvider', name: database.name }, scopes: ['app_read'] }],
    },
  })
  const theirs = async () => (await kube.must('GET', `${api}/namespaces/${other}/agenttasks/theirs`)).status?.conditions?.[0]?.reason
  await eventually(async () => expect(await theirs()).toBe('Active'), { timeoutMs: 20_000 })
  await kube.must('DELETE', `${api}/namespaces/${other}/agenttasks/theirs`)
  await kube.request('DELETE', `${api}/clusteragentpolicies/${database.name}-other`)

  await scenario.patch('agenttasks', 'one', { spec: { end: 'Completed' } })
  const [two, three] = [await database.given('two'), await database.active('three')]
  await onlyAlive(database, two?.username ?? '', three.username)
  for (const name of ['two', 'three']) await scenario.patch('agenttasks', name, { spec: { end: 'Completed' } })
  await onlyAlive(database)
})

test('what can never be revoked is given up with a reason, and its task does not claim that it is dead', async () => {
  const task = await database.task('lost')
  const { username } = await database.active(task)
  await database.server.down()
  await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
  const revoked = async () => (await scenario.conditions(task))['Revoked']
  await eventually(async () => expect(await revoked()).toMatchObject({ status: 'False', reason: 'RevocationUnconfirmed' }))
  const reason = 'the server was scrapped, ticket OPS-77'
  const done = await scenario.kube.kubectl([
    'annotate',
    '-n',
    'taskbound-system',
    'credentiallease',
    username,
    `taskbound.dev/irrevocable=${reason}`,
  ])
  expect(done).toMatchObject({ code: 0 })
  await eventually(async () => expect((await scenario.kube.must('GET', `${rows}/${username}`)).status.state).toBe('Irrevocable'), {
    timeoutMs: 70_000,
  })
  await eventually(async () => expect(await revoked()).toMatchObject({ status: 'False', reason: 'Irrevocable' }))
  expect((await revoked())?.message).toContain(reason)
  expect(operator.audit()).toContainEqual(expect.objectContaining({ reason: 'Irrevocable', message: expect.stringContaining(reason) }))
  await database.server.up()
}, 120_000)
