// A real PostgreSQL beside the real API server: set up as docs/how-to/postgresql.md says, with a provider, a permit and ways to ask the
// server itself what is alive.

import { randomBytes } from 'node:crypto'
import { eventually } from '../../support/cluster.ts'
import { type Postgres, type PostgresOptions, startPostgres } from '../../support/postgres/server.ts'
import { removeRows } from './rows.ts'
import type { Scenario } from './scenario.ts'

const operatorNamespace = 'taskbound-system'
const api = '/apis/taskbound.dev/v1alpha1'
const rowsPath = `${api}/namespaces/${operatorNamespace}/credentialleases`

/** What a task was given. */
export interface Given {
  readonly username: string
  readonly password: string
  readonly url: string
}

export interface Database {
  readonly server: Postgres
  /** name of the ClusterCredentialProvider */
  readonly name: string
  /** the entry of `spec.credentials` */
  readonly credential: Readonly<Record<string, unknown>>
  /** A task that asks for a role, with what `scenario.task` takes beside it. */
  task(name?: string, spec?: Readonly<Record<string, unknown>>, credential?: Readonly<Record<string, unknown>>): Promise<string>
  /** What the Secret of a task holds; `undefined` while there is none. */
  given(task: string): Promise<Given | undefined>
  /** The same, once the task is Active. */
  active(task: string): Promise<Given>
  /** Names of all roles of the operator that can log in. */
  alive(): Promise<readonly string[]>
  /** Names of all roles of the operator, dead ones too. */
  roles(): Promise<readonly string[]>
  /** Whether the server lets it in. */
  works(given: Given): Promise<boolean>
  /** States of the ledger's rows of one task, by handle. */
  rows(task: string): Promise<Readonly<Record<string, string>>>
  /** Handles of rows whose time of sending is not over by the true clock. */
  awaited(): Promise<readonly string[]>
  close(): Promise<void>
}

export const setUp = (version: number, password: string): string => `
create role taskbound login createrole password '${password}';
create role app_read nologin;
create schema app;
create table app.orders(id int);
insert into app.orders values (42);
grant usage on schema app to app_read;
grant select on app.orders to app_read;
${version > 15 ? 'grant app_read to taskbound with admin option, inherit false, set false;' : ''}`

/** Where the operator reaches a server, and which addresses it may find there. */
export interface Reached {
  readonly host: string
  readonly port: number
  readonly addresses: readonly string[]
  /** of who stands in between */
  readonly ca?: string
}

const onLoopback = (port: number): Reached => ({ host: 'localhost', port, addresses: ['127.0.0.0/8', '::1'] })

/** @param through where the operator is to reach the server, or at which port of loopback, where something stands in between */
export async function createDatabase(
  scenario: Scenario,
  options: PostgresOptions = {},
  through: (server: Postgres) => Promise<number | Reached> = async ({ port }) => port,
): Promise<Database> {
  const { kube } = scenario
  const server = await startPostgres(options)
  const password = randomBytes(18).toString('base64url')
  await server.query(setUp(server.version, password))
  const way = await through(server)
  const { host, port, addresses, ca = server.ca } = typeof way === 'number' ? onLoopback(way) : way
  const name = `${scenario.name}-db`
  await kube.must('POST', `/api/v1/namespaces/${operatorNamespace}/secrets`, {
    metadata: { name, annotations: { 'taskbound.dev/origin': `${host}:${port}` } },
    stringData: { username: 'taskbound', password },
  })
  const provider = {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec: {
      type: 'postgres',
      namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
      allowedAddresses: addresses,
      postgres: {
        host,
        port,
        databases: ['postgres'],
        groups: ['app_read'],
        caBundle: ca,
        loginSecretRef: { name },
        ...(server.standbyPort === undefined ? {} : { endpoints: [{ host: 'localhost', port: server.standbyPort }] }),
      },
    },
  }
  await kube.must('POST', `${api}/clustercredentialproviders`, provider)
  await kube.must('POST', `${api}/clusteragentpolicies`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterAgentPolicy',
    metadata: { name },
    spec: {
      cedar: `@id("db") permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${name}");`,
    },
  })
  const text = (data: Record<string, string>, key: string): string => Buffer.from(data[key] ?? '', 'base64').toString()

  const database: Database = {
    server,
    name,
    credential: { name: 'db', providerRef: { kind: 'ClusterCredentialProvider', name }, audience: undefined, scopes: ['app_read'] },
    task: (task, spec = {}, credential = {}) =>
      scenario.task({
        ...(task === undefined ? {} : { name: task }),
        spec,
        credential: { ...database.credential, ...credential },
      }),
    async given(task) {
      const { status, body } = await kube.request('GET', scenario.path('secrets', `taskbound-${task}`))
      const data = (body?.data ?? {}) as Record<string, string>
      if (status === 404 || data['db.username'] === undefined) return undefined
      return { username: text(data, 'db.username'), password: text(data, 'db.password'), url: text(data, 'db.url') }
    },
    async active(task) {
      await scenario.until(task, 'Active')
      const given = await database.given(task)
      if (given === undefined) throw new Error(`task ${task} is Active and has no Secret`)
      return given
    },
    alive: async () =>
      (await server.query(`select rolname from pg_roles where rolname ~ '^tb[a-z2-7]{36}$' and rolcanlogin`)).map((r) =>
        String(r['rolname']),
      ),
    roles: async () =>
      (await server.query(`select rolname from pg_roles where rolname ~ '^tb[a-z2-7]{36}$'`)).map((r) => String(r['rolname'])),
    async works({ username, password: secret }) {
      const client = await server.login(username, secret).catch(() => undefined)
      const answer = await client?.query('select id from app.orders').catch(() => undefined)
      await client?.end()
      return answer?.rows[0]?.id === 42
    },
    async awaited() {
      const { items } = await kube.must('GET', rowsPath)
      return (items as { spec: { handle: string; effectBy: string } }[])
        .filter(({ spec }) => Date.parse(spec.effectBy) >= Date.now() - 1000)
        .map(({ spec }) => spec.handle)
    },
    async rows(task) {
      const { items } = await kube.must('GET', rowsPath)
      return Object.fromEntries(
        (items as { metadata: { name: string }; spec: { task: { name: string; namespace: string } }; status?: { state: string } }[])
          .filter(({ spec }) => spec.task.name === task && spec.task.namespace === scenario.namespace)
          .map(({ metadata, status }) => [metadata.name, status?.state ?? 'Intended']),
      )
    },
    async close() {
      await removeRows(kube, (spec) => spec.provider.name === name)
      for (const plural of ['clusteragentpolicies', 'clustercredentialproviders']) await kube.request('DELETE', `${api}/${plural}/${name}`)
      await kube.request('DELETE', `/api/v1/namespaces/${operatorNamespace}/secrets/${name}`)
      await server.stop()
    },
  }
  return database
}

/** Waits until these roles, and no others, can log in. */
export async function onlyAlive(database: Database, ...usernames: readonly string[]): Promise<void> {
  const wanted = [...usernames].sort().join(', ')
  await eventually(
    async () => {
      const alive = [...(await database.alive())].sort().join(', ')
      if (alive !== wanted) throw new Error(`alive are: ${alive || 'none'}; wanted: ${wanted || 'none'}`)
    },
    { timeoutMs: 20_000, everyMs: 100 },
  )
}
