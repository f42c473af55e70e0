// Credentials from a service of one's own, by the reference server of examples/webhook, which fetches the keys of logins from the operator
// as any would. The server itself is asked what is alive.

import { Agent, get } from 'node:https'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { createWebhookServer, type WebhookServer } from '../../examples/webhook/webhook-server.ts'
import { generateAuthority, issueServing } from '../../src/issuer/ca.ts'
import { at } from '../../src/lib/instant.ts'
import { entropy } from '../issuer/world.ts'
import { eventually } from '../support/cluster.ts'
import { type RunningOperator, startOperator } from '../support/operator.ts'
import { freeLease } from './faults/tokens.ts'
import { createScenario, runOperator, type Scenario } from './support/scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const audience = 'https://keys.example'
const ledger = `${api}/namespaces/taskbound-system/credentialleases`
const names = { dns: ['localhost'], ips: [] }
const authority = generateAuthority(names, at(Date.now()), entropy)
const serving = issueServing(authority, names, at(Date.now()), entropy)
const tls = { cert: serving.certificate, key: new TextDecoder().decode(serving.key.reveal()) }

let scenario: Scenario
let operator: RunningOperator | undefined
let server: WebhookServer | undefined
let provider: string

beforeEach(async () => {
  scenario = await createScenario('hook')
  await freeLease(scenario)
})
afterEach(async () => {
  await operator?.stop()
  operator = undefined
  await server?.close()
  const { items } = await scenario.kube.must('GET', ledger)
  const as = 'system:serviceaccount:taskbound-system:taskbound'
  for (const { metadata, spec } of items as { metadata: { name: string }; spec: { provider: { name: string } } }[])
    if (spec.provider.name === provider) await scenario.kube.request('DELETE', `${ledger}/${metadata.name}`, undefined, { as })
  for (const plural of ['clusteragentpolicies', 'clustercredentialproviders'])
    await scenario.kube.request('DELETE', `${api}/${plural}/${provider}`)
  await scenario.close()
})

/** The keys of logins, fetched from the issuer that signs them. */
const keysOf =
  (issuer: string): JWTVerifyGetKey =>
  async (header, token) => {
    const answer = await new Promise<string>((resolve, reject) => {
      // certificates are the business of other tests
      get(`${issuer}/keys`, { agent: new Agent({ rejectUnauthorized: false }) }, (response) => resolve(text(response))).on('error', reject)
    })
    return createLocalJWKSet(JSON.parse(answer) as JSONWebKeySet)(header, token)
  }

/** A server that trusts this operator, and a provider at it that the scenario's namespace may use. */
async function serve(issuer: string): Promise<WebhookServer> {
  server = createWebhookServer({ tls, issuer, audience, keys: keysOf(issuer) })
  const port = await server.listen()
  provider = `${scenario.name}-hook`
  await scenario.kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name: provider },
    spec: {
      type: 'webhook',
      namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
      allowedAddresses: ['127.0.0.0/8', '::1'],
      webhook: { url: `https://localhost:${port}`, audience, scopes: ['orders:read'], caBundle: authority.certificate },
    },
  })
  await scenario.kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name: provider },
    spec: {
      cedar: `@id("hook") permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${provider}");`,
    },
  })
  return server
}

const task = (name: string) =>
  scenario.task({
    name,
    spec: { activeDeadlineSeconds: 86_400 },
    credential: { providerRef: { kind: 'ClusterCredentialProvider', name: provider }, audience: undefined, scopes: ['orders:read'] },
  })

const onlyAlive = (count: number) => eventually(() => expect(server?.alive()).toHaveLength(count), { timeoutMs: 20_000, everyMs: 50 })

test('a task gets a key that works, and at its end it does not; no login and no key is told to anybody else', async () => {
  operator = await runOperator()
  const keys = await serve(`${operator.issuer}/login`)
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
  const keys = await serve(`${issuer}/login`)
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
  await serve(`${operator.issuer}/login`)
  const name = `${scenario.name}-thief`
  // the older of two keeps it, and times are told in whole seconds
  await new Promise((resolve) => setTimeout(resolve, 1100))
  await scenario.kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec: { type: 'jwt', jwt: { profile: 'AccessToken', audiences: [audience] } },
  })
  await eventually(async () => {
    const { status } = await scenario.kube.must('GET', `${api}/clustercredentialproviders/${name}`)
    expect(status?.conditions?.[0]).toMatchObject({ type: 'Ready', status: 'False', reason: 'AudienceTaken' })
  })
  await scenario.kube.must('DELETE', `${api}/clustercredentialproviders/${name}`)
})
