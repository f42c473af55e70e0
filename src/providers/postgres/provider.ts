// A login role of its own for each task, at a PostgreSQL server. Decides nothing about policy; what it says to the server is in sql.ts.

import { type Duration, earliest, formatTime, type Instant, milliseconds, plus, seconds, wholeSecond } from '../../lib/instant.ts'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { Failure, Issued, Lease, Order, Provider, Reservation } from '../../ports/provider.ts'
import { clean } from './clean.ts'
import { describeFault, type GroupFault } from './groups.ts'
import { createLogins, type ReadLogin } from './logins.ts'
import { outputs } from './outputs.ts'
import { judgeParams, judgeRequest, maxTtl, minTtl, type PostgresParams, primary, promises, standbys } from './params.ts'
import { judgeServer } from './ready.ts'
import { scramVerifier } from './scram.ts'
import { closeRole, createRole, cutSessionsAfter, listRoles, position, prolongRole, states } from './sql.ts'
import type { Place, Wire, WireFailure } from './wire.ts'

export interface PostgresDependencies {
  readonly wire: Wire
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'bytes'>
  readonly readLogin: ReadLogin
  /** the password of a handle: always the same, of [A-Za-z0-9_-] */
  readonly password: (handle: string) => Material
  /** what all handles of this installation begin with */
  readonly prefix: string
}

/** How long one statement may take. */
const patience = 10_000
/** How long sessions are cut before it is said that they do not end. */
const cutting = 5_000
/** Between two looks for sessions: a login that was under way when the role was closed shows itself in between. */
const pause = 10

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export function createPostgresProvider(deps: PostgresDependencies): Provider<PostgresParams> {
  const { wire, clock } = deps
  const logins = createLogins(deps.readLogin, clock)
  const versions = new Map<string, number>()

  /** Runs work at the primary; a login that was refused is read again once, since it may have been changed. */
  async function at<T>(
    params: PostgresParams,
    work: (place: Place, modern: boolean) => Promise<Result<T, WireFailure>>,
  ): Promise<Result<T, WireFailure>> {
    for (let again = false; ; again = true) {
      const login = await logins.of(params)
      if (!login.ok) return fail({ state: undefined, own: undefined, sentence: login.failure })
      const { host, port } = primary(params)
      const place: Place = { host, port, database: params.databases[0] ?? 'postgres', caBundle: params.caBundle, login: login.value }
      const version = await versionOf(place)
      const done = version.ok ? await work(place, version.value >= 160_000) : version
      if (done.ok || again || done.failure.state !== '28P01') return done
      logins.forget(params)
    }
  }

  /** Asked once a server: an upgrade restarts it, and what is remembered of another version only grows. */
  async function versionOf(place: Place): Promise<Result<number, WireFailure>> {
    const key = `${place.host}:${place.port}`
    const known = versions.get(key)
    if (known !== undefined) return ok(known)
    const asked = await wire.query(place, "select current_setting('server_version_num')::int as version", patience)
    if (!asked.ok) return asked
    const version = Number(asked.value[0]?.['version'] ?? 0)
    versions.set(key, version)
    return ok(version)
  }

  const said = (where: string, { state, sentence, own }: WireFailure): Failure => {
    if (state === states.badGroup && own !== undefined) {
      const fault = JSON.parse(own) as GroupFault
      return { reason: 'GroupCanOutliveTask', message: `${where}${describeFault(fault, 'the first of `databases`')}` }
    }
    return { reason: 'IssueFailed', message: `${where}${sentence}` }
  }

  async function make(params: PostgresParams, order: Order, lease: Lease | undefined, first: boolean): Promise<Result<Issued, Failure>> {
    const where = `credential \`${order.credential}\`: `
    const failed = (message: string): Result<never, Failure> => fail({ reason: 'IssueFailed', message: `${where}${message}` })
    const problem = judgeParams(params) ?? judgeRequest(params, { ...order, name: order.credential, ttl: minTtl })
    if (problem !== undefined) return fail(problem)
    if (lease === undefined) return failed('it has no row in the ledger')
    const expiresAt = lifeEnd(params, order)
    if (expiresAt <= order.issuedAt) return failed('it would be dead on arrival: its expiry is not after its issue')
    const password = deps.password(lease.handle)
    const verifier = first ? await scramVerifier(password, deps.entropy.bytes(16)) : ''
    const times = { validUntil: formatTime(expiresAt), effectBy: new Date(lease.effectBy).toISOString() }
    const done = await at(params, (place, modern) => {
      const { handle } = lease
      const sql = first
        ? createRole({
            ...times,
            handle,
            verifier,
            groups: order.scopes,
            connectionLimit: params.connectionLimit,
            statementTimeoutSeconds: params.statementTimeoutSeconds,
            modern,
          })
        : prolongRole(handle, times.validUntil, times.effectBy)
      // the last synchronous step before it is sent
      const left = order.deadline - clock.monotonic()
      if (left <= 0) return Promise.resolve(fail({ state: states.tooLate, own: undefined, sentence: 'there was no time left to send it' }))
      return wire.query(place, sql, Math.min(patience, left))
    })
    if (!done.ok) return fail(said(where, done.failure))
    return ok({ fields: outputs(params, lease.handle, password), expiresAt })
  }

  async function close(params: PostgresParams, handle: string): Promise<Result<string, WireFailure>> {
    return at(params, async (place, modern) => {
      let closed = await wire.query(place, closeRole(handle, modern), patience)
      // it came to be between the look and the creation: now it is there
      if (!closed.ok && closed.failure.state === '42710') closed = await wire.query(place, closeRole(handle, modern), patience)
      if (!closed.ok) return closed
      const asked = await wire.query(place, position, patience)
      return asked.ok ? ok(String(asked.value[0]?.['lsn'])) : asked
    })
  }

  /** Cuts until nobody is left, and once more: twice nobody, with time in between for a login that was under way. */
  async function cut(
    params: PostgresParams,
    handle: string,
    lsn: string,
    endpoint: { host: string; port: number },
  ): Promise<string | undefined> {
    const login = await logins.of(params)
    if (!login.ok) return login.failure
    const place: Place = { ...endpoint, database: params.databases[0] ?? 'postgres', caBundle: params.caBundle, login: login.value }
    const until = clock.monotonic() + cutting
    const where = `${endpoint.host}:${endpoint.port}`
    for (let quiet = 0; quiet < 2; ) {
      const looked = await wire.query(place, cutSessionsAfter(handle, lsn), patience)
      if (!looked.ok) return `${where}: ${looked.failure.sentence}`
      const { replayed, cut: sessions } = looked.value[0] as { replayed: boolean; cut: number }
      quiet = replayed && sessions === 0 ? quiet + 1 : 0
      if (quiet === 2) break
      if (clock.monotonic() >= until)
        return replayed ? `${where}: ${sessions} sessions do not end` : `${where}: the standby is behind and may still let it log in`
      await sleep(pause)
    }
    return undefined
  }

  async function revoke(params: PostgresParams | undefined, { lease }: Reservation): Promise<Result<undefined, Failure>> {
    const unconfirmed = (message: string): Result<never, Failure> => fail({ reason: 'RevocationUnconfirmed', message })
    if (lease === undefined) return ok(undefined)
    if (params === undefined) return unconfirmed('the settings of its provider are not known')
    const closed = await close(params, lease.handle)
    if (!closed.ok) return unconfirmed(`role \`${lease.handle}\`: ${closed.failure.sentence}`)
    const servers = [primary(params), ...standbys(params)]
    const left = await Promise.all(servers.map((server) => cut(params, lease.handle, closed.value, server)))
    const problem = left.find((text) => text !== undefined)
    return problem === undefined ? ok(undefined) : unconfirmed(`role \`${lease.handle}\` is closed, but not all its sessions: ${problem}`)
  }

  return {
    type: 'postgres',
    promises,
    async ready(params) {
      const problem = judgeParams(params)
      if (problem !== undefined) return fail(problem)
      logins.forget(params)
      const login = await logins.of(params)
      if (!login.ok) return fail({ reason: 'ProviderConfigInvalid', message: login.failure })
      const judged = await judgeServer(wire, params, login.value)
      if (judged.ok) versions.set(`${params.host}:${params.port}`, judged.value)
      return judged.ok ? ok(undefined) : judged
    },
    check: judgeRequest,
    reserve: () => ok({}),
    issue: (params, order, { lease }) => make(params, order, lease, true),
    renew: (params, order, { lease }) => make(params, order, lease, false),
    revoke,
    outside: {
      settling,
      renewal: 'InPlace',
      async clean(params, handle) {
        const done = await at(params, (place, modern) => clean(wire, place, handle, deps.prefix, modern))
        return done.ok ? ok(undefined) : fail({ reason: 'RevocationUnconfirmed', message: `role \`${handle}\`: ${done.failure.sentence}` })
      },
      async list(params, prefix) {
        const listed = await at(params, (place) => wire.query(place, listRoles(prefix), patience))
        if (!listed.ok) return fail({ reason: 'ProviderUnreachable', message: listed.failure.sentence })
        return ok(listed.value.map(({ name }) => String(name)))
      },
    },
  }
}

/** What the server began in time it ends in time: its statement timeout. */
const settling: Duration = seconds(30)

/** In whole seconds; never beyond what the provider may give. */
function lifeEnd(params: PostgresParams, order: Order): Instant {
  return wholeSecond(earliest(order.expiresAt, plus(order.issuedAt, milliseconds(maxTtl(params)))) ?? order.expiresAt)
}
