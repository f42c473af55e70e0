// The life of a session of a role at AWS, from the apply to its expiry. Nobody can end one, so what is looked at is that all of it is said:
// to the task, in the ledger, to policy; and that it stands in nobody's way.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Moto, type SessionKeys, startMoto } from '../../support/aws/server.ts'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { collectKills } from '../support/kills.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const rowsPath = `${api}/namespaces/taskbound-system/credentialleases`
type Row = { metadata: { name: string }; spec: { task: { name: string; namespace: string } }; status: Record<string, string> }

let scenario: Scenario
let moto: Moto
let operator: RunningOperator
let name: string
const kills = collectKills('aws', 'the STS of moto')

beforeAll(async () => {
  scenario = await createScenario('aws')
  name = `${scenario.name}-role`
  moto = await startMoto()
  await freeLease(scenario)
  operator = await runOperator()
  await scenario.kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec: {
      type: 'aws',
      namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
      allowedAddresses: ['127.0.0.0/8', '::1'],
      aws: {
        roleArn: 'arn:aws:iam::123456789012:role/agents/payroll',
        region: 'eu-central-1',
        endpoint: moto.endpoint,
        caBundle: moto.ca,
        audience: `sts.amazonaws.com/${name}`,
        sessions: [{ name: 'payroll:read', policyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess'] }],
      },
    },
  })
  await scenario.kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name },
    spec: {
      cedar: `permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${name}")
        when { resource.revocation.class == "ExpireOnly" && resource.revocation.boundSeconds <= 960 };`,
    },
  })
}, 600_000)

afterAll(async () => {
  await kills.keep()
  await operator?.stop()
  for (const row of await rows())
    await scenario.kube.request('DELETE', `${rowsPath}/${row.metadata.name}`, undefined, {
      as: 'system:serviceaccount:taskbound-system:taskbound',
    })
  for (const plural of ['clusteragentpolicies', 'clustercredentialproviders'])
    await scenario?.kube.request('DELETE', `${api}/${plural}/${name}`)
  await moto?.stop()
  await scenario?.close()
})

async function rows(task?: string): Promise<readonly Row[]> {
  const all = (await scenario.kube.must('GET', rowsPath)).items as Row[]
  return all.filter(({ spec }) => spec.task.namespace === scenario.namespace && (task === undefined || spec.task.name === task))
}
const task = (spec = {}): Promise<string> =>
  scenario.task({
    spec,
    credential: {
      name: 'aws',
      providerRef: { kind: 'ClusterCredentialProvider', name },
      audience: undefined,
      scopes: ['payroll:read'],
      ttlSeconds: 900,
    },
  })
async function keys(of: string): Promise<SessionKeys & { readonly process: string }> {
  await scenario.until(of, 'Active')
  const { data } = await scenario.kube.must('GET', scenario.path('secrets', `taskbound-${of}`))
  const field = (key: string): string => Buffer.from(data[`aws.${key}`] ?? '', 'base64').toString()
  return {
    accessKeyId: field('accessKeyId'),
    secretAccessKey: field('secretAccessKey'),
    sessionToken: field('sessionToken'),
    process: field('process'),
  }
}
const revoked = async (of: string) => (await scenario.conditions(of))['Revoked']

test('a task gets a session by a login of its own, under the name that its row has', async () => {
  const mine = await task()
  const given = await keys(mine)
  // the row learns of the delivery from the task's record, a moment after it
  const [row] = await eventually(async () => {
    const found = await rows(mine)
    expect(found.map(({ status }) => status['state'])).toEqual(['Issued'])
    return found
  })
  expect(await moto.callerIdentity(given)).toBe(`arn:aws:sts::123456789012:assumed-role/payroll/${row?.metadata.name}`)
  expect(row?.status['reference']).toMatch(/^20.*Z$/)
  const form = moto.asked.find(({ RoleSessionName }) => RoleSessionName === row?.metadata.name)
  const claims = JSON.parse(Buffer.from(form?.['WebIdentityToken']?.split('.')[1] ?? '', 'base64url').toString())
  expect(claims).toMatchObject({
    iss: `${operator.issuer}/login`,
    sub: expect.stringMatching(`^spiffe://[^/]+/ns/${scenario.namespace}/agent/clerk/task/`),
    aud: `sts.amazonaws.com/${name}`,
    'https://aws.amazon.com/tags': {
      principal_tags: { 'taskbound-namespace': [scenario.namespace], 'taskbound-agent': ['clerk'], 'taskbound-action': ['test.run'] },
    },
  })
  const { status } = await scenario.kube.must('GET', `${api}/clustercredentialproviders/${name}`)
  expect(status.revocation).toEqual({ class: 'ExpireOnly', boundSeconds: 960 })
  for (const shown of [operator.output(), JSON.stringify(await rows(mine))]) {
    expect(shown).not.toContain(given.secretAccessKey)
    expect(shown).not.toContain(given.sessionToken)
    expect(shown).not.toContain(form?.['WebIdentityToken'])
  }
  await scenario.remove('agenttasks', mine)
})

test('a task that is suspended and goes on has another session at once, beside the one that nobody can end', async () => {
  const mine = await task()
  const first = await keys(mine)
  await scenario.patch('agenttasks', mine, { spec: { suspend: true } })
  await scenario.until(mine, 'Suspended')
  await eventually(async () => expect(await revoked(mine)).toMatchObject({ status: 'False', reason: 'ExpiresAt' }))
  await scenario.secretGone(mine)
  await scenario.patch('agenttasks', mine, { spec: { suspend: false } })
  const second = await keys(mine)
  expect(second.accessKeyId).not.toBe(first.accessKeyId)
  expect((await rows(mine)).map(({ status }) => status['reason']).sort()).toEqual(['ExpiresAt', undefined])
  await scenario.remove('agenttasks', mine)
})

test('where an answer is lost another session is made at once, and the one that nobody holds is waited for', async () => {
  moto.spoil('lost')
  const before = moto.asked.length
  const mine = await task()
  await eventually(() => expect(moto.asked.length).toBeGreaterThan(before), { timeoutMs: 20_000 })
  moto.spoil(undefined)
  const given = await keys(mine)
  const all = await rows(mine)
  expect(await moto.callerIdentity(given)).toMatch(new RegExp(`/(${all.map(({ metadata }) => metadata.name).join('|')})$`))
  await eventually(async () => {
    const states = (await rows(mine)).map(({ status }) => `${status['state']} ${status['reason'] ?? ''}`)
    expect(states.filter((state) => state !== 'Revoking ExpiresAt')).toEqual(['Issued '])
  })
  expect(all.length).toBeGreaterThan(1)
  kills.note(
    'issue',
    'AssumeRoleWithWebIdentity',
    'lost',
    `live, ${all.length} rows, ${all.length - 1} of them open until what nobody holds expires`,
  )
  await scenario.remove('agenttasks', mine)
})

test('at the end of its task it says until when it works, does so, alarms nobody, and is closed as expired at that time', async () => {
  const mine = await task()
  const given = await keys(mine)
  await scenario.patch('agenttasks', mine, { spec: { end: 'Completed' } })
  await scenario.until(mine, 'Completed')
  await scenario.secretGone(mine)
  const said = await eventually(async () => {
    const condition = await revoked(mine)
    expect(condition).toMatchObject({ status: 'False', reason: 'ExpiresAt' })
    return condition
  })
  const [row] = await rows(mine)
  const until = row?.status['expirationTime'] ?? ''
  expect(said?.message).toBe(`credential \`aws\`: AWS ends no session: it works until ${until} at the latest`)
  expect(Date.parse(until)).toBeGreaterThanOrEqual(Date.parse(JSON.parse(given.process).Expiration))
  expect(row?.status).toMatchObject({ state: 'Revoking', reason: 'ExpiresAt' })
  expect(await moto.callerIdentity(given)).toBeDefined()
  const metrics = await (await fetch(`${operator.metrics}/metrics`)).text()
  expect(metrics).toMatch(new RegExp(`taskbound_leases\\{[^}]*provider="${name}",state="Expiring"\\} [1-9]`))
  expect(metrics).not.toMatch(new RegExp(`provider="${name}",state="Overdue"`))
  expect(metrics).not.toMatch(new RegExp(`taskbound_credential_overrun_seconds_count\\{[^}]*provider="${name}"\\} [1-9]`))
  await operator.stop()
  // a quarter of an hour and some later, by the operator's clock
  const ahead = { TASKBOUND_TEST_CLOCK_AHEAD: '980' }
  operator = await runOperator({ issuerPort: operator.issuerPort, preload: ['test/support/preload/clock.ts'], env: ahead })
  await eventually(async () => expect(await revoked(mine)).toMatchObject({ status: 'True', reason: 'AllRevoked' }), { timeoutMs: 20_000 })
  // those of tasks that are long gone as well
  await eventually(async () => expect(new Set((await rows()).map(({ status }) => status['state']))).toEqual(new Set(['Expired'])))
})
