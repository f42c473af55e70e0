// Tokens of ServiceAccounts on the real API server, which is asked what each is worth: at every ending, with somebody's finalizer in the way,
// or without what a namespace has to give.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { eventually } from '../support/cluster.ts'
import type { RunningOperator } from '../support/operator.ts'
import { putBack } from './admission/fixture.ts'
import { freeLease } from './faults/tokens.ts'
import { createScenario, runOperator, type Scenario } from './support/scenario.ts'
import { claimsOf, createTokened, type Tokened } from './support/tokened.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const admission = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings'
const merge = { contentType: 'application/merge-patch+json' }
let scenario: Scenario
let tokened: Tokened
let other: Scenario
let operator: RunningOperator | undefined
/** of a token whose anchor somebody's finalizer holds: it takes a minute, so other tests go on meanwhile */
let held: Promise<number>

beforeAll(async () => {
  scenario = await createScenario('sat')
  other = await createScenario('satother')
  await freeLease(scenario)
  operator = await runOperator()
  tokened = await createTokened(scenario)
  await tokened.optIn(scenario.namespace)
}, 120_000)
afterAll(async () => {
  await operator?.stop()
  await tokened?.close()
  await other?.close()
  await scenario?.close()
})

const end = (task: string): Promise<void> => scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
const provider = async (name: string) => (await scenario.kube.must('GET', `${api}/clustercredentialproviders/${name}`)).status
const revoked = async (task: string) => (await scenario.conditions(task))['Revoked']

test('a task ends while somebody\u2019s finalizer holds the anchor; what becomes of its token is looked at below', async () => {
  const task = await tokened.task('held')
  const token = await scenario.active(task)
  const [anchor = ''] = await tokened.anchors()
  // the guard lets nobody put a finalizer there: this one is from before it was in force
  await scenario.kube.must('DELETE', `${admission}/taskbound-secret-guard`)
  const finalizers = { metadata: { finalizers: ['example.com/held'] } }
  await eventually(() => scenario.kube.must('PATCH', scenario.path('secrets', anchor), finalizers, merge), { timeoutMs: 30_000 })
  await putBack(scenario.kube, 'secret-guard')
  await end(task)
  await eventually(async () => expect((await revoked(task))?.message).toContain('finalizer'), { timeoutMs: 20_000 })
  held = tokened.refusedAfter(token, task, 100_000)
}, 60_000)

test('the token is what was ordered: of its ServiceAccount, for its audience, bound to the anchor in the row, and not for the API server', async () => {
  const task = await tokened.task('ordered')
  const token = await scenario.active(task)
  const [row] = await tokened.rows(task)
  const name = `taskbound-${row?.handle}.anchor`
  const { uid } = (await scenario.kube.must('GET', scenario.path('secrets', name))).metadata
  expect(JSON.parse(row?.reference ?? '')).toEqual({ namespace: scenario.namespace, name, uid })
  expect(claimsOf(token)).toMatchObject({
    aud: [tokened.audience],
    sub: `system:serviceaccount:${scenario.namespace}:clerk`,
    'kubernetes.io': { secret: { name, uid }, serviceaccount: { name: 'clerk' } },
  })
  expect(claimsOf(token).exp - claimsOf(token).iat).toBeLessThanOrEqual(600)
  expect(await tokened.review(token, tokened.audience)).toMatchObject({ authenticated: true, audiences: [tokened.audience] })
  expect((await tokened.review(token)).authenticated).not.toBe(true)
  // whether an anchor is there is asked by a deletion that changes nothing
  const look = (its: string, secret = name) =>
    scenario.kube.request(
      'DELETE',
      scenario.path('secrets', secret),
      { propagationPolicy: 'Background', preconditions: { uid: its }, dryRun: ['All'] },
      { as: 'system:serviceaccount:taskbound-system:taskbound' },
    )
  expect(await look(uid)).toMatchObject({ status: 200, body: { kind: 'Status' } })
  expect(await look('another')).toMatchObject({ status: 409, body: { message: expect.stringContaining('the UID in the precondition') } })
  expect(await look(uid, 'taskbound-none.anchor')).toMatchObject({ status: 404 })
  expect(await tokened.anchors()).toContain(name)
  expect(await provider(tokened.provider)).toMatchObject({ revocation: { class: 'Immediate', boundSeconds: 70 } })
  expect(operator?.output()).not.toMatch(/eyJ|Bearer/)
})

test('a namespace has the label and gives a Role, or there is no token and no anchor', async () => {
  await other.task({ name: 'elsewhere', credential: tokened.credential })
  const says = (text: string) =>
    eventually(async () => expect((await other.until('elsewhere', 'Pending')).message).toContain(text), { timeoutMs: 30_000 })
  await says('give it a Role in namespace')
  await tokened.optIn(other.namespace, { label: false })
  await says('has not opted in')
  const secrets = async () => (await other.kube.must('GET', other.path('secrets'))).items as unknown[]
  await eventually(async () => expect(await secrets()).toEqual([]))
  await tokened.optIn(other.namespace, { role: false })
  await eventually(() => other.active('elsewhere'), { timeoutMs: 60_000 })
}, 120_000)

test('however a task ends, its token is refused within ten seconds, and not called revoked before', async () => {
  const { kube } = scenario
  await kube.must('POST', scenario.path('serviceaccounts'), { metadata: { name: 'second' } })
  const agent = { apiVersion: 'taskbound.dev/v1alpha1', kind: 'Agent', metadata: { name: 'second' } }
  await kube.must('POST', scenario.path('agents'), { ...agent, spec: { serviceAccountName: 'second', owner: 'team@example.com' } })
  await tokened.optIn(scenario.namespace, { account: 'second' })
  const job = await scenario.job()
  const workloadRef = { apiVersion: 'batch/v1', kind: 'Job', name: job }
  const ways: readonly (readonly [string, Readonly<Record<string, unknown>>, (task: string) => Promise<unknown>])[] = [
    ['its Job completes', { workloadRef }, () => scenario.condition(job, 'Complete')],
    ['somebody says so', {}, end],
    ['it is deleted', {}, (task) => scenario.remove('agenttasks', task)],
    ['the ServiceAccount is deleted', { agentRef: { name: 'second' } }, () => scenario.remove('serviceaccounts', 'second')],
  ]
  const took = await Promise.all([
    suspended(),
    namespaceDeleted(),
    ...ways.map(async ([how, spec, ending]) => {
      const task = await tokened.task(undefined, spec)
      const token = await scenario.active(task)
      const [row] = await tokened.rows(task)
      // remembered from now on
      expect((await tokened.review(token, tokened.audience)).authenticated).toBe(true)
      await ending(task)
      const ms = await tokened.refusedAfter(token, task, 40_000)
      await eventually(async () => expect(await tokened.rows(task)).toMatchObject([{ state: 'Revoked' }]), { timeoutMs: 40_000 })
      expect(await tokened.anchors()).not.toContain(`taskbound-${row?.handle}.anchor`)
      return `${how}: ${Math.round(ms)} ms`
    }),
  ])
  console.log(['refused by TokenReview after the end', ...took].join('\n'))
}, 120_000)

/** Two credentials have an anchor each; resumed, the task has others. */
async function suspended(): Promise<string> {
  const { kube } = scenario
  const [one, two] = ['api', 'two'].map((name) => ({ ...tokened.credential, name }))
  const task = await tokened.task('twice', { credentials: [one, two] })
  const first = await scenario.active(task)
  expect((await tokened.review(first, tokened.audience)).authenticated).toBe(true)
  const handles = async () => (await tokened.rows(task)).filter(({ state }) => state === 'Issued').map(({ handle }) => handle)
  const before = await eventually(async () => {
    expect(await handles()).toHaveLength(2)
    return handles()
  })
  await scenario.patch('agenttasks', task, { spec: { suspend: true } })
  const ms = await tokened.refusedAfter(first, task, 40_000)
  // whoever checks the signature alone goes on: that is why `verification: Keys` is no more than `Checked`
  const keys = createLocalJWKSet(JSON.parse((await kube.kubectl(['get', '--raw', '/openid/v1/jwks'])).stdout))
  expect((await jwtVerify(first, keys, { audience: tokened.audience })).payload.sub).toBe(
    `system:serviceaccount:${scenario.namespace}:clerk`,
  )
  await scenario.patch('agenttasks', task, { spec: { suspend: false } })
  const second = await eventually(() => scenario.active(task), { timeoutMs: 40_000 })
  expect((await tokened.review(second, tokened.audience)).authenticated).toBe(true)
  const anchors = await tokened.anchors()
  expect(before.filter((handle) => anchors.includes(`taskbound-${handle}.anchor`))).toEqual([])
  await end(task)
  return `it is suspended: ${Math.round(ms)} ms`
}

async function namespaceDeleted(): Promise<string> {
  const token = await other.active('elsewhere')
  expect((await tokened.review(token, tokened.audience)).authenticated).toBe(true)
  await other.kube.must('DELETE', `/api/v1/namespaces/${other.namespace}`)
  return `its namespace is deleted: ${Math.round(await tokened.refusedAfter(token, undefined, 40_000))} ms`
}

describe('the API server\u2019s own audience', () => {
  const make = (name: string, audience: string, more = {}) =>
    scenario.kube.must('POST', `${api}/clustercredentialproviders`, {
      apiVersion: 'taskbound.dev/v1alpha1',
      kind: 'ClusterCredentialProvider',
      metadata: { name },
      spec: {
        type: 'serviceAccountToken',
        namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
        serviceAccountToken: { audiences: [audience], verification: 'TokenReview', ...more },
      },
    })
  test('is refused, and opens the API server to a task only where the provider allows it', async () => {
    const { issuer } = await scenario.kube.must('GET', '/.well-known/openid-configuration')
    const name = `${scenario.name}-inside`
    await make(name, issuer)
    const ready = async () => (await provider(name))?.conditions?.[0]
    await eventually(async () => expect(await ready()).toMatchObject({ status: 'False', reason: 'ProviderConfigInvalid' }))
    expect((await ready()).message).toContain('an audience of the API server itself')
    const allow = { spec: { serviceAccountToken: { allowApiServerAudience: true } } }
    await scenario.kube.must('PATCH', `${api}/clustercredentialproviders/${name}`, allow, merge)
    await eventually(async () => expect(await ready()).toMatchObject({ status: 'True' }))
    await scenario.policy(
      `permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${name}");`,
    )
    const task = await tokened.task(undefined, {}, { providerRef: { kind: 'ClusterCredentialProvider', name }, audience: issuer })
    const token = await scenario.active(task)
    expect(await tokened.review(token)).toMatchObject({ user: { username: `system:serviceaccount:${scenario.namespace}:clerk` } })
    await scenario.remove('agenttasks', task)
    await scenario.kube.must('DELETE', `${api}/clustercredentialproviders/${name}`)
  }, 60_000)
})

test('while the fence of tokens is not in force, no provider of this type is ready', async () => {
  const ready = async () => (await provider(tokened.provider))?.conditions?.[0]
  await scenario.kube.must('DELETE', `${admission}/taskbound-operator-token-fence`)
  // seen at its next check, which a change of it brings on
  const touch = (value: string) =>
    scenario.kube.must('PATCH', `${api}/clustercredentialproviders/${tokened.provider}`, { spec: { sensitivity: value } }, merge)
  await touch('Internal')
  await eventually(async () => expect((await ready())?.message).toContain('`taskbound-operator-token-fence`'), { timeoutMs: 40_000 })
  await putBack(scenario.kube, 'operator-token-fence')
  await touch('Restricted')
  await eventually(async () => expect(await ready()).toMatchObject({ status: 'True' }), { timeoutMs: 40_000 })
}, 90_000)

test('what is renewed is another token under the same anchor, and the one before works on, until both end with the task', async () => {
  const task = await tokened.task('renewed', { activeDeadlineSeconds: 3600 })
  const first = await scenario.active(task)
  await operator?.stop()
  await freeLease(scenario)
  const ahead = { preload: ['test/support/preload/clock.ts'], env: { TASKBOUND_TEST_CLOCK_AHEAD: '460' } }
  operator = await runOperator({ issuerPort: operator?.issuerPort ?? 0, ...ahead })
  const second = await eventually(
    async () => {
      const token = await scenario.active(task)
      expect(token).not.toBe(first)
      return token
    },
    { timeoutMs: 40_000 },
  )
  const bound = (token: string) => claimsOf(token)['kubernetes.io'].secret
  expect(bound(second)).toEqual(bound(first))
  for (const token of [first, second]) expect((await tokened.review(token, tokened.audience)).authenticated).toBe(true)
  expect(await tokened.rows(task)).toHaveLength(1)
  await end(task)
  await Promise.all([first, second].map((token) => tokened.refusedAfter(token, task, 40_000)))
}, 120_000)

test('the token whose anchor was held is refused within 70 seconds', async () => {
  const ms = await held
  console.log(`refused by TokenReview ${Math.round(ms)} ms after the end, with its anchor held`)
  expect(ms).toBeLessThan(72_000)
  const [row] = await tokened.rows('held')
  // the seconds are counted again by each leader
  expect(row?.message).toContain('finalizer')
  const anchor = scenario.path('secrets', `taskbound-${row?.handle}.anchor`)
  await scenario.kube.must('PATCH', anchor, { metadata: { finalizers: null } }, merge)
}, 200_000)
