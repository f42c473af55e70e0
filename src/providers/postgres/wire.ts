// Talks to PostgreSQL, and is the only file that does: few kept connections a server, TLS always verified, every option said so that no
// environment variable means anything, every wait bounded. What a server answers is told by its SQLSTATE alone.

import pg from 'pg'
import { fail, ok, type Result } from '../../lib/result.ts'
import { createGuard, type Guard } from '../../outbound/addresses.ts'
import { bounded } from '../../outbound/bounded.ts'
import { guardedSocket, Refused } from '../../outbound/dial.ts'
import type { Endpoint, PostgresParams } from './params.ts'
import { states } from './sql.ts'

export interface Login {
  readonly username: string
  readonly password: string
}

/** One database of one server, as one login. */
export interface Place extends Endpoint {
  readonly database: string
  readonly caBundle: string | undefined
  /** networks that may be connected to though they would be refused */
  readonly allowedAddresses: readonly string[] | undefined
  readonly login: Login
  /** connections that are not shared with those of another lane */
  readonly lane?: string
}

/** Why a statement did not succeed. `state` is the SQLSTATE where the server answered. */
export interface WireFailure {
  readonly state: string | undefined
  readonly sentence: string
}

/** One that is sent often: a connection that knows its name has it planned already. */
export interface Statement {
  readonly name: string
  readonly text: string
  readonly values: readonly unknown[]
}
export type Sql = string | Statement

export type Row = Readonly<Record<string, unknown>>

export interface Wire {
  /**
   * The rows of one statement.
   * @param limit milliseconds after which no answer is waited for; as a function it is asked once there is a connection, as the last step
   * before the statement is sent, and nothing is sent where nothing is left
   */
  query(place: Place, sql: Sql, limit: number | (() => number)): Promise<Result<readonly Row[], WireFailure>>
  /** Several statements in one session of its own. Stops at the first that fails. */
  session<T>(place: Place, limit: number, work: (run: (sql: Sql) => Promise<readonly Row[]>) => Promise<T>): Promise<Result<T, WireFailure>>
  close(): Promise<void>
}

/** The first of its databases, at one of its servers. */
export const placeOf = (params: PostgresParams, { host, port }: Endpoint, login: Login): Place => ({
  host,
  port,
  database: params.databases[0] ?? 'postgres',
  caBundle: params.caBundle,
  allowedAddresses: params.allowedAddresses,
  login,
})

const connecting = 5_000
/** A list of fifty thousand roles is five megabytes. */
const bounds = { most: 16 << 20, period: 30_000 }
/** connections to one database of one server */
const width = 4
/** places whose connections are kept; the least used go first */
const places = 64

const sentences: Readonly<Record<string, string>> = {
  '28P01': 'the server refuses the password of the login',
  '28000': 'the server refuses the login: look at pg_hba.conf, which must let it in by hostssl with scram-sha-256',
  '3D000': 'the database does not exist',
  '42501': 'the login lacks a right that it needs',
  '42710': 'a role of that name exists already',
  '42704': 'a role does not exist',
  '53300': 'the server has no connection left',
  '55P03': 'somebody holds a lock that is needed',
  '57014': 'the server took too long',
  '57P01': 'the server is shutting down',
  '57P03': 'the server is starting up or shutting down',
  '2BP01': 'objects of others depend on it',
  [states.tooLate]: 'the call came too late by the clock of the server, or that clock is ahead; nothing was made',
  [states.standby]: 'the server is a standby: `host` must be the primary',
  [states.notAlive]: 'the role is not alive',
  ECONNREFUSED: 'the server refuses the connection: is it up, and do `host` and `port` fit?',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'the name of the server cannot be resolved',
  EAI_AGAIN: 'the name of the server cannot be resolved at the moment',
  ETIMEDOUT: 'the server does not answer',
  EHOSTUNREACH: 'the server cannot be reached',
  ENETUNREACH: 'the server cannot be reached',
  CERT_HAS_EXPIRED: 'the certificate of the server has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate of the server is signed by itself: put its authority into `caBundle`',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate of the server is from an authority that is not known: put it into `caBundle`',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate of the server is from an authority that is not known: put it into `caBundle`',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate of the server is from an authority that is not known: put it into `caBundle`',
  ERR_TOO_LONG: 'the server sends more than it was asked for',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the server does not name `host`',
}

function failure(error: unknown): WireFailure {
  const { code, message } = error as { code?: unknown; message?: unknown }
  const known = typeof code === 'string' ? code : undefined
  const state = known !== undefined && error instanceof pg.DatabaseError ? known : undefined
  const text = String(message ?? '')
  if (error instanceof Refused) return { state: undefined, sentence: text }
  const noTls = text.includes('does not support SSL')
  const timeout = /timeout/i.test(text)
  const sentence =
    (known === undefined ? undefined : sentences[known]) ??
    (noTls ? 'the server does not speak TLS: turn `ssl` on' : undefined) ??
    (timeout ? 'the server does not answer' : undefined) ??
    (state === undefined ? 'the connection failed' : `the server answers with SQLSTATE ${state}`)
  return { state, sentence }
}

/**
 * @param inside networks of the cluster, which are connected to only where a provider lists them
 * @param only guards all connections, whatever providers list
 */
export function createWire(inside: readonly string[] = [], only?: Guard): Wire {
  const pools = new Map<string, pg.Pool>()

  function options({ host, port, database, caBundle, allowedAddresses = [], login }: Place): pg.ClientConfig {
    const guard = only ?? createGuard(inside, allowedAddresses)
    return {
      stream: () => bounded(guardedSocket(guard), bounds),
      host,
      port,
      database,
      user: login.username,
      password: login.password,
      // the name in the certificate is checked against `host` by the client
      ssl: { ...(caBundle === undefined ? {} : { ca: caBundle }), rejectUnauthorized: true, minVersion: 'TLSv1.2' },
      // set, so that PGOPTIONS is not read, and so that no schema but the system's is looked into
      options: '-c search_path=pg_catalog -c plan_cache_mode=force_generic_plan',
      application_name: 'taskbound',
      fallback_application_name: 'taskbound',
      client_encoding: 'UTF8',
      // the same for PGREPLICATION and PGSSLNEGOTIATION
      replication: 'false',
      sslnegotiation: 'postgres',
      connectionTimeoutMillis: connecting,
      keepAlive: true,
      statement_timeout: 30_000,
      lock_timeout: 5_000,
      idle_in_transaction_session_timeout: 30_000,
    } as pg.ClientConfig
  }

  function poolOf(place: Place): pg.Pool {
    const key = JSON.stringify([place.host, place.port, place.database, place.caBundle, place.allowedAddresses, place.login, place.lane])
    const known = pools.get(key)
    if (known !== undefined) {
      // the order of a map is that of insertion: what is used is young again
      pools.delete(key)
      pools.set(key, known)
      return known
    }
    const made = new pg.Pool({ ...options(place), max: width, idleTimeoutMillis: 120_000, allowExitOnIdle: true })
    // an idle connection that the server ends
    made.on('error', () => undefined)
    // one in use that is cut: whoever uses it is told by its query, and nobody else would hear it but the process, which would end
    made.on('connect', (client) => void client.on('error', () => undefined))
    pools.set(key, made)
    const [oldest] = pools.keys()
    if (pools.size > places && oldest !== undefined) {
      void pools.get(oldest)?.end()
      pools.delete(oldest)
    }
    return made
  }

  async function query(place: Place, sql: Sql, limit: number | (() => number)): Promise<Result<readonly Row[], WireFailure>> {
    const pool = poolOf(place)
    let client: pg.PoolClient | undefined
    try {
      client = await pool.connect()
      const left = typeof limit === 'number' ? limit : limit()
      if (left <= 0) {
        client.release()
        return fail({ state: states.tooLate, sentence: 'there was no time left to send it' })
      }
      const answer = await within(left, client.query(asked(sql)))
      client.release()
      return ok(answer.rows as Row[])
    } catch (error) {
      // whatever it still does there, nobody will read its answer
      const answered = failure(error).state !== undefined
      client?.release(!answered)
      // what the network did to one connection it did to the others, and each would have to be waited for in its turn
      if (!answered) discard(pool)
      return fail(failure(error))
    }
  }

  function discard(pool: pg.Pool): void {
    for (const [key, known] of pools) {
      if (known !== pool) continue
      pools.delete(key)
      void pool.end()
    }
  }

  async function session<T>(
    place: Place,
    limit: number,
    work: (run: (sql: Sql) => Promise<readonly Row[]>) => Promise<T>,
  ): Promise<Result<T, WireFailure>> {
    const client = new pg.Client(options(place))
    client.on('error', () => undefined)
    try {
      await client.connect()
      return ok(
        await within(
          limit,
          work(async (sql) => (await client.query(asked(sql))).rows as Row[]),
        ),
      )
    } catch (error) {
      return fail(failure(error))
    } finally {
      client.end().catch(() => undefined)
    }
  }

  return {
    query,
    session,
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.end()))
      pools.clear()
    },
  }
}

const asked = (sql: Sql): pg.QueryConfig => (typeof sql === 'string' ? { text: sql } : { ...sql, values: [...sql.values] })

/** Rejects as a connection does that timed out. */
function within<T>(limit: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })), Math.max(1, limit))
  })
  // an answer that comes after the limit is nobody's error
  work.catch(() => undefined)
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
