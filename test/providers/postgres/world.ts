// A server set up by the very SQL of docs/how-to/postgresql.md, a provider at it, and what a task or an administrator does there.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import pg from 'pg'
import { at, type Instant, milliseconds, plus, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { fail, ok, type Result } from '../../../src/lib/result.ts'
import type { Failure, Issued, Lease, Order, Provider } from '../../../src/ports/provider.ts'
import type { PostgresParams } from '../../../src/providers/postgres/params.ts'
import { createPostgresProvider } from '../../../src/providers/postgres/provider.ts'
import { createWire, type Wire } from '../../../src/providers/postgres/wire.ts'
import { createPasswords } from '../../../src/runtime/ledger/passwords.ts'
import { entropy, makeOrder, text } from '../../issuer/world.ts'
import { type Postgres, type PostgresOptions, startPostgres, type Version } from '../../support/postgres/server.ts'
import { createRows, value } from '../rows.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/how-to/postgresql.md'), 'utf8')
/** The block of the page that is marked so. */
export function documented(mark: string): string {
  const found = page.match(new RegExp(`\`\`\`sql ${mark}\\n([\\s\\S]*?)\`\`\``))
  if (found?.[1] === undefined) throw new Error(`docs/how-to/postgresql.md has no block ${mark}`)
  return found[1]
}

export const documentedPassword = 'change-me'
const tables = `
create schema app; create table app.t (id int primary key, note text); insert into app.t values (42, 'secret');
create schema other; create table other.u (id int)`

/** One server with the documented set-up, a database `payroll` with the schema `app`, and another database `archive`. */
export async function startServer(options: PostgresOptions): Promise<Postgres> {
  const server = await startPostgres(options)
  for (const database of ['payroll', 'archive']) {
    await server.query(`create database ${database}`)
    await server.query(tables, database)
  }
  await server.query(documented('setup'))
  if (server.version >= 16) await server.query(documented('setup-16'))
  for (const database of ['payroll', 'archive']) await server.query(documented('setup-database'), database)
  await replayed(server)
  return server
}

/** Until the standby, if there is one, shows all that the primary has by now. */
export async function replayed(server: Postgres): Promise<void> {
  if (server.standbyPort === undefined) return
  const [{ lsn } = {}] = await server.query('select pg_current_wal_lsn()::text as lsn')
  const standby = await server.login(server.superuser.username, server.superuser.password, { port: server.standbyPort })
  try {
    for (const until = Date.now() + 60_000; ; ) {
      const { rows } = await standby.query(`select pg_sleep(0.01), pg_last_wal_replay_lsn() >= '${lsn}' as there`)
      if (rows[0]?.there === true) return
      if (Date.now() > until) throw new Error(`the standby did not reach ${lsn} within a minute:\n${server.log().slice(-2000)}`)
    }
  } finally {
    await standby.end()
  }
}

export interface World {
  readonly server: Postgres
  readonly provider: Provider<PostgresParams>
  readonly wire: Wire
  readonly params: PostgresParams
  readonly prefix: string
  /** what the Secret of the login says from now on; a change of it is noticed at once */
  login: { username: string; password: string; origin?: string } | string
  lease(change?: Partial<Lease>): Lease
  order(change?: Partial<Order>): Order
  /** Issues under a new handle. */
  issue(change?: Partial<Order>, params?: PostgresParams): Promise<Task>
  /** lets time pass for the provider's own clocks */
  pass(ms: number): void
  close(): Promise<void>
}

/** One issued credential and what can be done with it. */
export interface Task {
  readonly server: Postgres
  readonly lease: Lease
  readonly handle: string
  readonly issued: Issued
  readonly password: string
  /** a session, closed with the world */
  login(options?: { database?: string; port?: number }): Promise<pg.Client>
  revoke(params?: PostgresParams): Promise<Result<undefined, Failure>>
  clean(params?: PostgresParams): Promise<Result<undefined, Failure>>
}

export const now = (): Instant => at(Date.now())

export function makeWorld(server: Postgres, change: Partial<PostgresParams> = {}, wire: Wire = createWire()): World {
  const rows = createRows()
  const { prefix } = rows
  const password = createPasswords(new Material(randomBytes(32)))
  let passed = 0
  const sessions: pg.Client[] = []
  const params: PostgresParams = {
    host: server.host,
    port: server.port,
    databases: ['payroll', 'archive'],
    groups: ['payroll_read', 'payroll_write'],
    caBundle: server.ca,
    loginSecretRef: { name: 'db-login' },
    connectionLimit: 10,
    maxTTLSeconds: 3600,
    allowedAddresses: ['127.0.0.0/8', '::1'],
    ...(server.standbyPort === undefined ? {} : { endpoints: [{ host: server.host, port: server.standbyPort }] }),
    ...change,
  }
  const world: World = {
    server,
    wire,
    params,
    prefix,
    login: { username: 'taskbound', password: documentedPassword },
    provider: rows.under(
      createPostgresProvider({
        wire,
        clock: { now, monotonic: () => milliseconds(performance.now() + passed) },
        entropy,
        password,
        prefix,
        readLogin: async () => {
          if (typeof world.login === 'string') return fail(world.login)
          const { username, password: secret, origin = `${params.host}:${params.port}` } = world.login
          return ok({ username, password: new Material(secret), origin })
        },
      }),
    ),
    lease: rows.lease,
    order(other) {
      const issuedAt = now()
      return makeOrder({ audience: undefined, scopes: ['payroll_write'], issuedAt, expiresAt: plus(issuedAt, seconds(600)), ...other })
    },
    async issue(other, its = params) {
      const lease = world.lease()
      const issued = value(await world.provider.issue(its, world.order(other), { lease }))
      const { handle } = lease
      return {
        server,
        lease,
        handle,
        issued,
        password: text(password(handle)),
        async login(options) {
          const session = await server.login(handle, text(password(handle)), { database: 'payroll', ...options })
          sessions.push(session)
          return session
        },
        revoke: (theirs = its) => world.provider.revoke(theirs, { lease }),
        clean: async (theirs = its) => (await world.provider.outside?.clean(theirs, { handle, effectBy: at(0) })) ?? ok(undefined),
      }
    },
    pass(ms) {
      passed += ms
    },
    async close() {
      await Promise.all(sessions.map((session) => session.end().catch(() => undefined)))
      await wire.close()
    },
  }
  return world
}

export const done = { ok: true, value: undefined } as const

/** Whether the server lets these fields in now. */
export async function accepts(server: Postgres, { fields }: Issued): Promise<boolean> {
  const field = (name: string): string => text(fields[name] as Material)
  const client = new pg.Client({
    host: field('host'),
    port: Number(field('port')),
    database: field('database'),
    user: field('username'),
    password: field('password'),
    ssl: { ca: server.ca },
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query('select current_user as name, 1 as one from app.t')
    return rows[0]?.name === field('username')
  } catch {
    return false
  } finally {
    client.end().catch(() => undefined)
  }
}

export const versions: readonly Version[] = [15, 18]
