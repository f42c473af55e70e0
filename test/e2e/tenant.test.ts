// A namespace's own provider on a real API server and a real PostgreSQL: what it needs, what it cannot borrow, and what becomes of its
// credentials when all of it is gone at once.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { makeCertificates } from '../cluster/certificates.ts'
import { eventually } from '../support/cluster.ts'
import type { RunningOperator } from '../support/operator.ts'
import { createDatabase, type Database, onlyAlive } from './support/database.ts'
import { agent, createScenario, runOperator, type Scenario } from './support/scenario.ts'
import { createTenant, type Tenant } from './support/tenant.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const flags = ['--namespace-provider-addresses=127.0.0.1/32,::1/128', '--namespace-providers=3']
let scenario: Scenario
let database: Database
let operator: RunningOperator
let login: { username: string; password: string }

beforeAll(async () => {
  scenario = await createScenario('tenant')
  database = await createDatabase(scenario)
  const { data } = await scenario.kube.must('GET', `/api/v1/namespaces/taskbound-system/secrets/${database.name}`)
  login = { username: 'taskbound', password: Buffer.from(data.password, 'base64').toString() }
  operator = await runOperator({ flags })
}, 120_000)
afterAll(async () => {
  await operator?.stop()
  await database?.close()
  await scenario?.close()
})

/** Deleted by the last test; what is left at the server is removed half a minute after it could have been made, so it begins first. */
let leaving: { readonly namespace: string; readonly tenant: Tenant }

const at = () => ({ host: 'localhost', port: database.server.port, ca: database.server.ca, login })
const until = (tenant: Tenant, words: string) =>
  eventually(
    async () => {
      const ready = await tenant.ready()
      if (ready?.message.includes(words) !== true && ready?.reason !== words) throw new Error(`${ready?.reason}: ${ready?.message}`)
      return ready
    },
    { timeoutMs: 20_000, everyMs: 300 },
  )
const task = (name: string, provider: string, namespace = scenario.namespace) => ({
  apiVersion: 'taskbound.dev/v1alpha1',
  kind: 'AgentTask',
  metadata: { name, namespace },
  spec: {
    agentRef: { name: 'clerk' },
    action: 'test.run',
    credentials: [{ name: 'db', providerRef: { kind: 'CredentialProvider', name: provider }, scopes: ['app_read'] }],
  },
})

/** A namespace with an agent, which may use every provider of its own. */
async function namespaceOf(prefix: string): Promise<string> {
  const namespace = await scenario.kube.freshNamespace(prefix)
  await scenario.kube.must('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'clerk' } })
  await scenario.kube.must('POST', `${api}/namespaces/${namespace}/agents`, agent('clerk'))
  await permit(namespace)
  return namespace
}
const permit = (namespace: string) =>
  scenario.kube.must('POST', `${api}/namespaces/${namespace}/agentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'AgentPolicy',
    metadata: { name: 'own' },
    spec: { cedar: 'permit (principal, action, resource is Taskbound::Provider);' },
  })
const conditionOf = async (namespace: string, name: string, type: string) => {
  const { status } = await scenario.kube.must('GET', `${api}/namespaces/${namespace}/agenttasks/${name}`)
  return (status?.conditions ?? []).find((one: { type: string }) => one.type === type)
}

test('tasks get logins of a server that their namespace brings along, by its own policy alone', async () => {
  const { kube } = scenario
  const namespace = await namespaceOf('tenant-gone')
  const tenant = await createTenant(scenario, { ...at(), namespace, name: 'own' })
  await until(tenant, 'ProviderReady')
  for (const name of ['one', 'two']) await kube.must('POST', `${api}/namespaces/${namespace}/agenttasks`, task(name, 'own', namespace))
  await eventually(
    async () => {
      for (const name of ['one', 'two']) expect(await conditionOf(namespace, name, 'Ready')).toMatchObject({ reason: 'Active' })
      expect(await database.alive()).toHaveLength(2)
    },
    { timeoutMs: 20_000 },
  )
  leaving = { namespace, tenant }
}, 60_000)

test('it says what is wrong until it is right, and the commands in what it says put it right', async () => {
  const { kube, namespace } = scenario
  const tenant = await createTenant(scenario, { ...at(), namespace, name: 'own', annotations: {}, mayRead: false })
  for (const words of ['the operator may not read Secret', 'is not for this provider', `is not for \`localhost:${at().port}\``]) {
    const { message } = await until(tenant, words)
    for (const [, command = ''] of message.matchAll(/`kubectl ([^`]+)`/g)) {
      const ran = await kube.kubectl(command.split(' '))
      expect({ command, ...ran }).toMatchObject({ code: 0 })
    }
  }
  await until(tenant, 'ProviderReady')

  await permit(namespace)
  await kube.must('POST', `${api}/namespaces/${namespace}/agenttasks`, task('mine', 'own'))
  const given = await database.active('mine')
  expect(await database.works(given)).toBe(true)
  expect(Object.values(await database.rows('mine'))).toEqual(['Issued'])
  expect(await (await fetch(`${operator.metrics}/metrics`)).text()).toContain(`provider="${namespace}/own"`)
  await eventually(() => expect(operator.audit().filter((line) => line['provider'] === `${namespace}/own`)).not.toEqual([]))

  await scenario.patch('agenttasks', 'mine', { spec: { end: 'Completed' } })
  await eventually(async () => expect(await database.alive()).not.toContain(given.username))

  for (const [annotation, words] of [
    ['taskbound.dev/origin=elsewhere.example:5432', 'is not for `localhost'],
    ['taskbound.dev/provider=other', 'is not for this provider'],
  ] as const) {
    await kube.kubectl(['-n', namespace, 'annotate', '--overwrite', 'secret', tenant.secret, annotation])
    await until(tenant, words)
  }
}, 90_000)

test('nobody names another namespace’s provider or Secret, in whatever way it is written', async () => {
  const { kube } = scenario
  const foreign = await namespaceOf('tenant-foreign')
  const owner = await namespaceOf('tenant-owner')
  const tenant = await createTenant(scenario, { ...at(), namespace: owner, name: 'own' })
  await until(tenant, 'ProviderReady')

  await kube.must('POST', `${api}/namespaces/${foreign}/agenttasks`, task('thief', 'own', foreign))
  await eventually(async () =>
    expect(
      (await conditionOf(foreign, 'thief', 'Issued'))?.message ?? (await conditionOf(foreign, 'thief', 'Authorized'))?.message,
    ).toContain('`own` does not exist'),
  )

  const spec = {
    type: 'postgres',
    postgres: {
      host: 'db.example',
      databases: ['app'],
      groups: ['app_read'],
      loginSecretRef: { name: 'login' },
      endpoints: [{ host: 'replica.example' }],
    },
  }
  const names = [
    `${owner}/${tenant.secret}`,
    `${owner}/secrets/${tenant.secret}`,
    `../${owner}/secrets/${tenant.secret}`,
    `${owner}:${tenant.secret}`,
  ]
  const walk = (value: unknown, path: readonly string[] = []): readonly (readonly string[])[] =>
    typeof value === 'string' ? [path] : Object.entries(value as object).flatMap(([key, inner]) => walk(inner, [...path, key]))
  const replace = (value: unknown, [key, ...rest]: readonly string[], text: string): unknown => {
    if (key === undefined) return text
    if (Array.isArray(value)) return value.map((inner, i) => (String(i) === key ? replace(inner, rest, text) : inner))
    return { ...(value as object), [key]: replace((value as Record<string, unknown>)[key], rest, text) }
  }
  const taken: string[] = []
  for (const path of walk(spec))
    for (const name of names) {
      const body = {
        apiVersion: 'taskbound.dev/v1alpha1',
        kind: 'CredentialProvider',
        metadata: { name: 'try' },
        spec: replace(spec, path, name),
      }
      const { status } = await kube.request('POST', `${api}/namespaces/${foreign}/credentialproviders?dryRun=All`, body)
      if (status !== 422) taken.push(`${path.join('.')}=${name}`)
    }
  for (const name of names) {
    const { status } = await kube.request('POST', `${api}/namespaces/${foreign}/agenttasks?dryRun=All`, task('try', name, foreign))
    if (status !== 422) taken.push(`providerRef.name=${name}`)
  }
  // what is left can be no name of a Secret, a provider or a namespace: it is looked up in the DNS, and nothing else
  expect(taken.filter((one) => !/^postgres\.(host|endpoints\.0\.host)=/.test(one))).toEqual([])
  // a dot is part of a name, and such a Secret is looked for at home
  const dotted = await createTenant(scenario, { ...at(), namespace: foreign, name: 'dotted', mayRead: false })
  await kube.must(
    'PATCH',
    `${api}/namespaces/${foreign}/credentialproviders/dotted`,
    { spec: { postgres: { loginSecretRef: { name: `${owner}.${tenant.secret}` } } } },
    { contentType: 'application/merge-patch+json' },
  )
  expect((await until(dotted, `Secret \`${owner}.${tenant.secret}\``)).message).toContain(`kubectl -n ${foreign} `)
}, 60_000)

/** What speaks PostgreSQL just far enough to be told who logs in, and keeps all that it was sent. */
async function startSink() {
  const folder = await mkdtemp(join(tmpdir(), 'sink-'))
  const { ca } = await makeCertificates(folder, undefined, { sink: { subject: '/CN=localhost', names: ['DNS:localhost'] } })
  const [cert, key] = await Promise.all(['sink.crt', 'sink.key'].map((name) => readFile(join(folder, name))))
  await rm(folder, { recursive: true })
  const seen: { connections: number; bytes: Buffer[] } = { connections: 0, bytes: [] }
  const server = createServer((socket: Socket) => {
    seen.connections += 1
    socket.on('error', () => undefined)
    socket.once('data', (first) => {
      seen.bytes.push(first)
      socket.write('S')
      const secure = new TLSSocket(socket, {
        isServer: true,
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
      })
      secure.on('error', () => undefined)
      secure.on('data', (bytes: Buffer) => {
        seen.bytes.push(bytes)
        // AuthenticationCleartextPassword: whatever it has, it is asked for
        if (bytes[0] !== 0x70) secure.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]))
      })
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { ca, seen, port: (server.address() as { port: number }).port, close: () => server.close() }
}

test('a server of its own sees the login that it was handed and nothing else, and one that the Secret does not name sees nobody', async () => {
  const { kube } = scenario
  const [sink, thief] = [await startSink(), await startSink()]
  try {
    const namespace = await namespaceOf('tenant-sink')
    const planted = { username: 'planted', password: randomBytes(12).toString('hex') }
    const place = { namespace, host: 'localhost', login: planted }
    const open = await createTenant(scenario, { ...place, name: 'open', port: sink.port, ca: sink.ca })
    await until(open, 'ProviderUnreachable')
    const sent = Buffer.concat(sink.seen.bytes).toString('latin1')
    expect(sent).toContain(planted.password)
    const own = [...sent.matchAll(/[\w.=+/-]{12,}/g)].map(([word]) => word).filter((word) => word !== planted.password)
    // the session's own settings: no token, no key, no name of anything of ours
    expect(
      own.filter(
        (word) =>
          !/^(search_path=pg_catalog|plan_cache_mode=force_generic_plan|application_name|client_encoding|fallback_application_name|replication|statement_timeout|lock_timeout|idle_in_transaction_session_timeout)/.test(
            word,
          ),
      ),
    ).toEqual([])

    // the Secret was annotated for one server; the provider is made anew for another
    await kube.must('DELETE', `${api}/namespaces/${namespace}/credentialproviders/open`)
    const turned = {
      apiVersion: 'taskbound.dev/v1alpha1',
      kind: 'CredentialProvider',
      metadata: { name: 'open' },
      spec: {
        type: 'postgres',
        postgres: {
          host: 'localhost',
          port: thief.port,
          databases: ['postgres'],
          groups: ['app_read'],
          caBundle: thief.ca,
          loginSecretRef: { name: open.secret },
        },
      },
    }
    await kube.must('POST', `${api}/namespaces/${namespace}/credentialproviders`, turned)
    await until(open, `is not for \`localhost:${thief.port}\``)
    // a standby is shown the login as well
    const replica = { spec: { postgres: { port: thief.port, endpoints: [{ host: 'localhost', port: thief.port }] } } }
    await kube.must('DELETE', `${api}/namespaces/${namespace}/credentialproviders/open`)
    await kube.must('POST', `${api}/namespaces/${namespace}/credentialproviders`, {
      ...turned,
      spec: { ...turned.spec, postgres: { ...turned.spec.postgres, port: sink.port, endpoints: replica.spec.postgres.endpoints } },
    })
    await until(open, `is not for \`localhost:${thief.port}\``)
    expect(thief.seen.connections).toBe(0)

    // of the addresses that nobody listed for namespaces, none is connected to
    const wrong: Record<string, string> = { loopback: '127.0.0.2', metadata: '169.254.169.254', cluster: '10.0.0.1' }
    const guarded = await namespaceOf('tenant-guard')
    for (const [name, host] of Object.entries(wrong)) {
      const tenant = await createTenant(scenario, { ...at(), namespace: guarded, name, host, port: 5432 })
      expect((await until(tenant, 'ProviderUnreachable')).message).toContain('--namespace-provider-addresses')
    }
    // and a fourth one of a namespace is not even tried; which is older is told by the second
    const { metadata } = await kube.must('GET', `${api}/namespaces/${guarded}/credentialproviders/cluster`)
    await eventually(() => expect(Date.now()).toBeGreaterThan(Date.parse(metadata.creationTimestamp) + 1_000))
    const fourth = await createTenant(scenario, { ...at(), namespace: guarded, name: 'fourth' })
    await until(fourth, 'TooManyProviders')
    await kube.must('DELETE', `${api}/namespaces/${guarded}/credentialproviders/loopback`)
    await eventually(async () => expect((await fourth.ready())?.reason).toBe('ProviderReady'), { timeoutMs: 20_000, everyMs: 300 })
  } finally {
    sink.close()
    thief.close()
  }
}, 90_000)

test('provider, Secret, Role and namespace are gone, nobody watched, and what was issued dies all the same; then what was kept goes', async () => {
  const { kube } = scenario
  const { namespace, tenant } = leaving
  const kept = `/api/v1/namespaces/taskbound-system/configmaps/taskbound-provider-${tenant.uid}`
  const { data } = await kube.must('GET', kept)
  expect(JSON.parse(data.document)).toMatchObject({ sealed: expect.stringMatching(/^taskbound\.v1\./) })
  for (const form of [login.password, Buffer.from(login.password).toString('base64').replace(/=+$/, '').slice(0, -2)])
    expect(data.document).not.toContain(form)

  await operator.stop('SIGKILL')
  await kube.must('DELETE', `${api}/namespaces/${namespace}/credentialproviders/own`)
  await kube.must('DELETE', `/api/v1/namespaces/${namespace}/secrets/${tenant.secret}`)
  await kube.must('DELETE', `/api/v1/namespaces/${namespace}`)
  await eventually(async () => expect((await kube.request('GET', `/api/v1/namespaces/${namespace}`)).status).toBe(404), {
    timeoutMs: 60_000,
    everyMs: 200,
  })
  expect(await database.alive()).toHaveLength(2)
  operator = await runOperator({ flags })
  await onlyAlive(database)

  await eventually(async () => expect(await database.roles()).toEqual([]), { timeoutMs: 120_000, everyMs: 500 })
  await eventually(async () => expect((await kube.request('GET', kept)).status).toBe(404), { timeoutMs: 30_000 })
}, 300_000)
