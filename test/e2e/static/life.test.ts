// A value that exists already, given to a task: only where a permit names its provider, only from a Secret that says so, and never called revoked.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const secrets = '/api/v1/namespaces/taskbound-system/secrets'
let scenario: Scenario
let operator: RunningOperator
let name: string

async function permit(head: string): Promise<void> {
  const cedar = `permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, ${head});`
  const merge = { contentType: 'application/merge-patch+json' }
  const { status } = await scenario.kube.request('PATCH', `${api}/clusteragentpolicies/${name}`, { spec: { cedar } }, merge)
  if (status !== 404) return
  await scenario.kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name },
    spec: { cedar },
  })
}

beforeAll(async () => {
  scenario = await createScenario('static')
  name = `${scenario.name}-legacy`
  await freeLease(scenario)
  operator = await runOperator()
  await scenario.kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec: {
      type: 'static',
      namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
      static: { secretRef: { name }, keys: ['api-key'] },
    },
  })
}, 300_000)
afterAll(async () => {
  await operator?.stop()
  for (const plural of ['clusteragentpolicies', 'clustercredentialproviders'])
    await scenario?.kube.request('DELETE', `${api}/${plural}/${name}`)
  await scenario?.kube.request('DELETE', `${secrets}/${name}`)
  await scenario?.close()
})

const task = (): Promise<string> =>
  scenario.task({ credential: { name: 'crm', providerRef: { kind: 'ClusterCredentialProvider', name }, audience: undefined, scopes: [] } })
const ready = async () => {
  const { status } = await scenario.kube.must('GET', `${api}/clustercredentialproviders/${name}`)
  return { ...status, ready: status.conditions.find((one: { type: string }) => one.type === 'Ready') }
}

test('is not ready before its Secret is there and says that it may be handed out', async () => {
  await eventually(async () => expect((await ready()).ready).toMatchObject({ status: 'False', reason: 'ProviderConfigInvalid' }))
  expect((await ready()).ready.message).toContain('does not exist')
  const data = { 'api-key': Buffer.from('long-lived-5f1').toString('base64') }
  await scenario.kube.must('POST', secrets, { metadata: { name }, data })
  await eventually(async () => expect((await ready()).ready.message).toContain('annotate it'), { timeoutMs: 20_000 })
  const merge = { contentType: 'application/merge-patch+json' }
  await scenario.kube.must('PATCH', `${secrets}/${name}`, { metadata: { annotations: { 'taskbound.dev/origin': 'static' } } }, merge)
  await eventually(async () => expect((await ready()).ready).toMatchObject({ status: 'True' }), { timeoutMs: 20_000 })
  expect((await ready()).revocation).toEqual({ class: 'ExpireOnly', boundSeconds: 2_147_483_647 })
})

test('is given where a permit names it, and not where one merely does not leave it out; and works on', async () => {
  await permit('resource')
  const mine = await task()
  await scenario.until(mine, 'Denied')
  const denied = (await scenario.conditions(mine))['Authorized']
  expect(denied).toMatchObject({ reason: 'NoPolicyMatched', message: expect.stringContaining('by name') })
  await permit(`resource == Taskbound::ClusterProvider::"${name}"`)
  await scenario.until(mine, 'Active')
  const { data } = await scenario.kube.must('GET', scenario.path('secrets', `taskbound-${mine}`))
  expect(Buffer.from(data.crm, 'base64').toString()).toBe('long-lived-5f1')

  await scenario.patch('agenttasks', mine, { spec: { end: 'Completed' } })
  await scenario.until(mine, 'Completed')
  await scenario.secretGone(mine)
  await eventually(async () =>
    expect((await scenario.conditions(mine))['Revoked']).toMatchObject({ status: 'False', reason: 'ValueRemains' }),
  )
  await eventually(() => {
    const told = operator.audit().filter(({ kind, provider }) => kind === 'revocation' && provider === name)
    expect(told).toMatchObject([{ reason: 'ValueRemains' }])
  })
  const metrics = await (await fetch(`${operator.metrics}/metrics`)).text()
  expect(metrics).toContain(`taskbound_credential_values_remaining_total{provider="${name}"} 1`)
  expect(operator.output()).not.toContain('long-lived-5f1')
})
