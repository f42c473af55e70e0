// A source that keeps what it is sent and tries it everywhere else: at the API server, at a real Vault that trusts this installation, at a real
// PostgreSQL, at the reference server of webhooks, at the example resource server. None of them takes any of it. That each of them does
// take what is meant for it is seen first.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, get, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet } from 'jose'
import { createWebhookServer, type WebhookServer } from '../../../examples/webhook/webhook-server.ts'
import { generateAuthority, issueServing } from '../../../src/issuer/ca.ts'
import { at } from '../../../src/lib/instant.ts'
import { entropy } from '../../issuer/world.ts'
import { type Fake, paths, startFake } from '../../providers/vault/fake.ts'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { type SqlSink, startSqlSink } from '../../support/sqlsink.ts'
import { freeLease } from '../faults/tokens.ts'
import { createDatabase, type Database } from '../support/database.ts'
import { createHooked, type Hooked } from '../support/hooked.ts'
import { audience, createScenario, runOperator, type Scenario } from '../support/scenario.ts'
import { createVaulted, type Vaulted } from '../support/vaulted.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const root = resolve(import.meta.dirname, '../../..')
const names = { dns: ['localhost'], ips: [] }
const authority = generateAuthority(names, at(Date.now()), entropy)
const serving = issueServing(authority, names, at(Date.now()), entropy)
const tls = { cert: serving.certificate, key: new TextDecoder().decode(serving.key.reveal()) }
const careless = new Agent({ rejectUnauthorized: false })
const sinkPassword = 'of-the-login-at-the-sink-alone'

let scenario: Scenario
let operator: RunningOperator
let database: Database
let vaulted: Vaulted
let keys: WebhookServer
let keysPort: number
let keysAudience: string
let hooked: Hooked
let fake: Fake
let sql: SqlSink
let resources: ChildProcess
let resourcesUrl: string
const stolen = new Map<string, string>()
const undo: (() => Promise<unknown> | unknown)[] = []

/** Keeps whatever may open something, and from where. */
function keep(where: string, value: unknown): void {
  if (typeof value === 'string') {
    for (const word of value.split(/[\s\0]+/)) if (word.length >= 16) stolen.set(word, where)
  } else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) keep(where, inner)
}

async function provide(suffix: string, spec: object): Promise<string> {
  const name = `${scenario.name}-${suffix}`
  await scenario.kube.must('POST', `${api}/clustercredentialproviders`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec: {
      namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
      allowedAddresses: ['127.0.0.0/8', '::1'],
      ...spec,
    },
  })
  await scenario.kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name },
    spec: {
      cedar: `@id("p") permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${name}");`,
    },
  })
  undo.push(async () => {
    for (const plural of ['clusteragentpolicies', 'clustercredentialproviders'])
      await scenario.kube.request('DELETE', `${api}/${plural}/${name}`)
  })
  return name
}

const credential = (provider: string, ...scopes: readonly string[]) => ({
  providerRef: { kind: 'ClusterCredentialProvider', name: provider },
  audience: undefined,
  scopes,
})

async function startResources(): Promise<void> {
  const { data } = await scenario.kube.must('GET', '/api/v1/namespaces/taskbound-system/configmaps/taskbound-issuer-ca-bundle')
  const folder = await mkdtemp(join(tmpdir(), 'taskbound-sink-'))
  undo.push(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'ca.crt'), data['ca.crt'])
  const mine = [operator.issuer, `${audience}/${scenario.name}`, 'read', '0']
  resources = spawn(process.execPath, [join(root, 'examples/resource-server/main.ts'), ...mine], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] ?? '', NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt') },
  })
  const [line] = await once(resources.stdout as NodeJS.ReadableStream, 'data')
  resourcesUrl = /http:\/\/127\.0\.0\.1:\d+/.exec(String(line))?.[0] ?? ''
}

/** The status with which the reference server of webhooks answers one call. */
async function callKeys(call: string, bearer: string, body: object): Promise<number> {
  return new Promise((done, failed) => {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
    request(`https://localhost:${keysPort}/v1/${call}`, { method: 'POST', agent: careless, headers }, (answer) => {
      answer.resume()
      done(answer.statusCode ?? 0)
    })
      .on('error', failed)
      .end(JSON.stringify(body))
  })
}

beforeAll(async () => {
  scenario = await createScenario('sink')
  await freeLease(scenario)
  const [made, vault] = await Promise.all([createDatabase(scenario), createVaulted(scenario)])
  database = made
  vaulted = vault
  operator = await runOperator()
  await Promise.all([vaulted.trust(operator), startResources()])
  keysAudience = `https://keys.${scenario.name}.example`
  keys = createWebhookServer({
    tls,
    issuer: `${operator.issuer}/login`,
    audience: keysAudience,
    async keys(header, token) {
      const answer = await new Promise<string>((done, failed) => {
        get(`${operator.issuer}/login/keys`, { agent: careless }, (response) => done(text(response))).on('error', failed)
      })
      return createLocalJWKSet(JSON.parse(answer) as JSONWebKeySet)(header, token)
    },
  })
  keysPort = await keys.listen()
}, 600_000)
afterAll(async () => {
  await operator?.stop()
  resources?.kill()
  await Promise.all([database?.close(), vaulted?.close(), hooked?.close(), keys?.close(), fake?.close()])
  sql?.close()
  for (const step of undo.reverse()) await step()
  await scenario?.close()
}, 120_000)

test('what a source is sent opens nothing but that source', async () => {
  // each door opens to what is meant for it
  const real = await provide('keys', {
    type: 'webhook',
    webhook: { url: `https://localhost:${keysPort}`, audience: keysAudience, scopes: ['orders:read'], caBundle: authority.certificate },
  })
  await scenario.task({ name: 'own-token' })
  const token = await scenario.active('own-token')
  const atResources = async (bearer: string) => (await fetch(resourcesUrl, { headers: { authorization: `Bearer ${bearer}` } })).status
  expect(await atResources(token)).toBe(200)
  await scenario.task({ name: 'own-key', credential: credential(real, 'orders:read') })
  expect(keys.scopesOf(await scenario.active('own-key'))).toEqual(['orders:read'])
  expect(await database.works(await database.active(await database.task('own-role')))).toBe(true)
  expect(await vaulted.works(await vaulted.active(await vaulted.task('own-lease')))).toBe(true)

  // a sink of every kind: issued, renewed where there is time, and ended
  hooked = await createHooked(scenario)
  fake = await startFake()
  const sunk = `https://sink.${scenario.name}.example`
  fake.role['bound_audiences'] = [sunk]
  fake.before = (asked) => {
    keep('vault', [asked.headers, asked.body])
    if (!asked.path.endsWith('/login')) return undefined
    // it reads what it is told as the claims themselves
    const { taskbound } = decodeJwt(String(asked.body['jwt'])) as { taskbound?: { task: object; handle: string } }
    asked.body['jwt'] = JSON.stringify(taskbound === undefined ? {} : { task: taskbound.task, handle: taskbound.handle })
    return undefined
  }
  const vaultSink = await provide('vault-sink', {
    type: 'vault',
    vault: {
      address: `https://localhost:${fake.port}`,
      caBundle: fake.caBundle,
      role: 'tasks',
      operatorRole: 'operator',
      audience: sunk,
      paths: [{ path: paths.lease }],
    },
  })
  sql = await startSqlSink(tls)
  const login = `${scenario.name}-sql-sink`
  await scenario.kube.must('POST', '/api/v1/namespaces/taskbound-system/secrets', {
    metadata: { name: login, annotations: { 'taskbound.dev/origin': `localhost:${sql.port}` } },
    stringData: { username: 'taskbound', password: sinkPassword },
  })
  undo.push(() => scenario.kube.request('DELETE', `/api/v1/namespaces/taskbound-system/secrets/${login}`))
  await provide('sql-sink', {
    type: 'postgres',
    postgres: {
      host: 'localhost',
      port: sql.port,
      databases: ['postgres'],
      groups: ['app_read'],
      caBundle: authority.certificate,
      loginSecretRef: { name: login },
    },
  })
  await hooked.task('at-hook')
  await scenario.task({ name: 'at-vault', credential: credential(vaultSink, paths.lease) })
  for (const task of ['at-hook', 'at-vault']) {
    await scenario.until(task, 'Active')
    await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
    await eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject({ reason: 'AllRevoked' }))
  }
  await eventually(() => expect(sql.received.join(' ')).toContain(sinkPassword), { timeoutMs: 30_000 })
  for (const { authorization, body } of hooked.asked) keep('webhook', [authorization, body])
  keep('postgres', sql.received)

  const words = [...stolen.keys()]
  const jwts = words.filter((word) => /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(word))
  const subjects = jwts.map((jwt) => String(decodeJwt(jwt).sub))
  // of the operator and of tasks, from both who were told one
  expect(subjects.some((sub) => sub.endsWith('/taskbound'))).toBe(true)
  expect(subjects.filter((sub) => sub.includes('/task/')).length).toBeGreaterThanOrEqual(2)
  expect(words).toContain(sinkPassword)
  expect(new Set(jwts.map((jwt) => stolen.get(jwt)))).toEqual(new Set(['vault', 'webhook']))
  // the operator's own ServiceAccount token is shown to nobody
  for (const jwt of jwts) expect(decodeJwt(jwt).iss).toBe(`${operator.issuer}/login`)

  const opened: string[] = []
  const tell = (door: string, word: string, open: boolean): void =>
    void (open ? opened.push(`${door} takes what ${stolen.get(word)} was sent`) : undefined)
  const { kube } = scenario
  const handle = `tb${'a'.repeat(36)}`
  for (const word of words) {
    const header = /^[\x21-\x7e]+$/.test(word)
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview' }
    for (const audiences of [undefined, [`${audience}/${scenario.name}`, keysAudience, 'https://kubernetes.default.svc']]) {
      const { status } = await kube.must('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
        ...review,
        spec: { token: word, audiences },
      })
      tell('TokenReview', word, status.authenticated === true)
    }
    if (header) {
      tell(
        'the API server',
        word,
        (await kube.request('GET', `/api/v1/namespaces/${scenario.namespace}/secrets`, undefined, { token: word })).status !== 401,
      )
      tell('the resource server', word, (await atResources(word)) !== 401)
      tell('Vault', word, (await vaulted.vault.call(word, 'GET', 'auth/token/lookup-self')).status < 300)
    }
    for (const role of ['payroll-tasks', 'taskbound-operator'])
      tell(
        `the role ${role} of Vault`,
        word,
        (await vaulted.vault.call(undefined, 'POST', 'auth/jwt/login', { role, jwt: word })).status < 300,
      )
    if (header)
      for (const call of ['issue', 'revoke', 'list'])
        tell('the reference server', word, (await callKeys(call, word, { handle, task: {}, prefix: 'tb' })) !== 401)
    if (word.length < 100)
      for (const user of ['taskbound', database.server.superuser.username])
        tell('PostgreSQL', word, await database.works({ username: user, password: word, url: '' }))
  }
  expect(opened).toEqual([])
  console.log(`${words.length} words, ${jwts.length} logins among them, that three sinks were sent: no other door takes one`)
}, 300_000)
