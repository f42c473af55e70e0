// Policies as objects of a cluster: bad texts, restarts, storms, and who is believed to have asked.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { createScenario, judge, runOperator, type Scenario } from '../support/scenario.ts'

const flags = ['--policy-settle-seconds=1']
const merge = { contentType: 'application/merge-patch+json' }
const clusterPolicies = '/apis/taskbound.dev/v1alpha1/clusteragentpolicies'

let scenario: Scenario
let operator: RunningOperator

beforeAll(async () => {
  scenario = await createScenario('policy')
  operator = await runOperator({ flags })
})

afterAll(async () => {
  await operator?.stop()
  await scenario.close()
})

async function restart(): Promise<void> {
  await operator.stop()
  operator = await runOperator({ flags, issuerPort: operator.issuerPort })
}

const object = (kind: string, name: string, cedar: string, mode = 'Enforce') => ({
  apiVersion: 'taskbound.dev/v1alpha1',
  kind,
  metadata: { name },
  spec: { cedar, mode },
})

async function valid(path: string): Promise<{ readonly status: string; readonly reason: string; readonly message: string }> {
  return eventually(async () => {
    const { metadata, status } = await scenario.kube.must('GET', path)
    if (status?.observedGeneration !== metadata.generation) throw new Error('not judged yet')
    return status.conditions.find((c: { type: string }) => c.type === 'Valid')
  })
}

test('a forbid that a typo broke stays in force in its last good version, also after a restart', async () => {
  const name = `rail-${randomBytes(3).toString('hex')}`
  const path = `${clusterPolicies}/${name}`
  const forbid = `@id("rail") forbid (principal, action, resource == Taskbound::ClusterProvider::"${scenario.name}");`
  await scenario.kube.must('POST', clusterPolicies, object('ClusterAgentPolicy', name, forbid))
  expect(await valid(path)).toMatchObject({ status: 'True' })
  const task = await scenario.task()
  await scenario.until(task, 'Denied')

  await scenario.kube.must('PATCH', path, { spec: { cedar: forbid.replace('forbid', 'frobid') } }, merge)
  const verdict = await valid(path)
  expect(verdict).toMatchObject({ status: 'False', reason: 'PolicySyntax' })
  expect(verdict.message).toMatch(/line 1, column 13/)
  expect(verdict.message).toContain('the last valid version stays in force')
  await restart()
  const after = await scenario.task()
  expect((await scenario.until(after, 'Denied')).message).toContain(`ClusterAgentPolicy/${name}/rail`)

  await scenario.kube.must('DELETE', path)
  await scenario.active(task)
  await scenario.active(after)
})

test('a policy that never was valid denies every issue in its scope, says where, and leaves what is live alone', async () => {
  const live = await scenario.task()
  const token = await scenario.active(live)
  const path = scenario.path('agentpolicies', 'broken')
  await scenario.kube.must(
    'POST',
    scenario.path('agentpolicies'),
    object('AgentPolicy', 'broken', 'permit (principal, action, resource)\nwhen { context.nosuch };'),
  )
  const verdict = await valid(path)
  expect(verdict).toMatchObject({ status: 'False', reason: 'PolicySchema' })
  expect(verdict.message).toMatch(/line 2, column/)
  const task = await scenario.task()
  const denied = await scenario.until(task, 'Denied')
  expect((await scenario.conditions(task))['Authorized']).toMatchObject({ status: 'False', reason: 'PolicyInvalid' })
  expect(denied.message).toMatch(/broken.*line 2/)
  expect(await judge(operator.issuer, token)).toBe('live')

  const elsewhere = await createScenario('elsewhere')
  const unaffected = await elsewhere.task()
  await elsewhere.active(unaffected)
  await elsewhere.close()

  await scenario.kube.must('DELETE', path)
  await scenario.active(task)
  expect(await judge(operator.issuer, token)).toBe('live')
})

test('a policy in Audit mode changes no answer', async () => {
  const forbid = '@id("would") forbid (principal, action, resource);'
  await scenario.kube.must('POST', scenario.path('agentpolicies'), object('AgentPolicy', 'audit', forbid, 'Audit'))
  expect(await valid(scenario.path('agentpolicies', 'audit'))).toMatchObject({ status: 'True' })
  const task = await scenario.task()
  await scenario.active(task)
  await scenario.kube.must('DELETE', scenario.path('agentpolicies', 'audit'))
})

test("a namespace's own permit gives nobody a provider of the cluster", async () => {
  await scenario.policy('@id("nobody") permit (principal, action, resource) when { false };')
  await scenario.kube.must(
    'POST',
    scenario.path('agentpolicies'),
    object('AgentPolicy', 'own', '@id("own") permit (principal, action, resource);'),
  )
  const task = await scenario.task()
  await scenario.until(task, 'Denied')
  await scenario.kube.must('DELETE', scenario.path('agentpolicies', 'own'))
  await scenario.policy(scenario.permit)
  await scenario.active(task)
})

test.each([
  ['denies', 'Denied'],
  ['allows', 'Active'],
])('after a storm of a hundred changes a second the last one counts: it %s', async (_what, word) => {
  const task = await scenario.task()
  const forbid = `${scenario.permit} @id("storm") forbid (principal, action, resource == Taskbound::ClusterProvider::"${scenario.name}");`
  for (let i = 0; i < 200; i += 1) {
    const last = i === 199
    const text = last ? (word === 'Denied' ? forbid : scenario.permit) : i % 2 === 0 ? forbid : scenario.permit
    await Promise.all([scenario.policy(`${text} // ${i}`), sleep(10)])
  }
  await scenario.until(task, word)
  await sleep(1500)
  await scenario.until(task, word)
  await eventually(async () => expect((await scenario.token(task)) === undefined).toBe(word === 'Denied'))
  await scenario.policy(scenario.permit)
})

async function putBack(): Promise<void> {
  const files = ['stamp', 'check'].flatMap((name) => ['-f', `crds/admission/requester-${name}.yaml`])
  const { code, stderr } = await scenario.kube.kubectl(['apply', '--server-side', '--force-conflicts', ...files])
  if (code !== 0) throw new Error(stderr)
}

test('who asked is believed only while admission vouches for it', async () => {
  const people = `@id("people") permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${scenario.name}") when { context.requestedBy.kind == "User" && context.requestedBy.username == "alice" };`
  await scenario.policy(people)
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  await scenario.kube.must('POST', `${rbac}/namespaces/${scenario.namespace}/rolebindings`, {
    metadata: { name: 'alice' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'User', name: 'alice' }],
  })
  const spec = (requestedBy?: object) => ({
    agentRef: { name: 'clerk' },
    action: 'test.run',
    credentials: [
      {
        name: 'api',
        providerRef: { kind: 'ClusterCredentialProvider', name: scenario.name },
        audience: `https://api.example/${scenario.name}`,
        scopes: ['read'],
      },
    ],
    ...(requestedBy === undefined ? {} : { requestedBy }),
  })
  const create = (name: string, as: string | undefined, requestedBy?: object, query = '') =>
    scenario.kube.request(
      'POST',
      `${scenario.path('agenttasks')}${query}`,
      { apiVersion: 'taskbound.dev/v1alpha1', kind: 'AgentTask', metadata: { name }, spec: spec(requestedBy) },
      as === undefined ? {} : { as },
    )
  const forged = { username: 'alice', uid: '', groups: [], podUID: '' }

  // the authorizer reads bindings through a watch of its own: alice may for a moment not have her right yet
  await eventually(async () => expect((await create('by-alice', 'alice')).status).toBe(201))
  await scenario.active('by-alice')
  // the stamp writes who really asked over what was claimed
  expect((await create('by-admin', undefined, forged)).status).toBe(201)
  expect((await scenario.until('by-admin', 'Denied')).message).toContain('no policy permits it')

  const admission = '/apis/admissionregistration.k8s.io/v1'
  const bindings = {
    stamp: `${admission}/mutatingadmissionpolicybindings/taskbound-requester-stamp`,
    check: `${admission}/validatingadmissionpolicybindings/taskbound-requester-check`,
  }
  try {
    // without the stamp the check refuses a lie
    await scenario.kube.must('DELETE', bindings.stamp)
    const tried = () => create('lie', undefined, forged, '?dryRun=All')
    await eventually(async () => expect((await tried()).status).toBe(403), { timeoutMs: 20_000, everyMs: 500 })
    // without both a lie is stored, and believed by nobody
    await scenario.kube.must('DELETE', bindings.check)
    await eventually(async () => expect((await tried()).status).toBe(201), { timeoutMs: 20_000, everyMs: 500 })
    expect((await create('stored', undefined, forged)).status).toBe(201)
    const stored = await scenario.kube.must('GET', scenario.path('agenttasks', 'stored'))
    expect(stored.spec.requestedBy.username).toBe('alice')
    expect((await scenario.until('stored', 'Denied')).message).toContain('who asked is not known')
  } finally {
    await putBack()
  }
  // put back: what was stored in between is never believed, what comes after some seconds is
  await eventually(async () =>
    expect((await create('lie', undefined, forged, '?dryRun=All')).body?.spec?.requestedBy?.username).toBe('admin'),
  )
  await sleep(7000)
  expect((await create('later', 'alice')).status).toBe(201)
  await scenario.active('later')
  expect((await scenario.until('stored', 'Denied')).message).toContain('who asked is not known')
  await restart()
  await eventually(async () => expect(await scenario.token('later')).toBeDefined())
  expect(await scenario.token('stored')).toBeUndefined()
  await scenario.policy(scenario.permit)
})
