// A login role of its own for each task, at a PostgreSQL server. Decides nothing about policy; what it says to the server is in sql.ts.

import { type Duration, formatTime, seconds } from '../../lib/instant.ts'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import { createOutsideProvider, type Making, type Row } from '../../ports/outside.ts'
import type { Failure, Issued, Order, Provider } from '../../ports/provider.ts'
import { clean, rollBackPrepared } from './clean.ts'
import { describeFault, type GroupFault, groupFaults } from './groups.ts'
import { createLogins, type ReadLogin } from './logins.ts'
import { outputs } from './outputs.ts'
import { handed, judgeParams, judgeRequest, type PostgresParams, primary, promises, standbys } from './params.ts'
import { judgeServer } from './ready.ts'
import { scramVerifier } from './scram.ts'
import { closeRole, createRole, cutSessions, cutSessionsAfter, listRoles, position, prolongRole, sightsOf } from './sql.ts'
import { type Place, placeOf, type Wire, type WireFailure } from './wire.ts'

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
/** A closing that takes longer than that is waiting for somebody. */
const obstacle = 40
/** Somebody was faster, or held a lock: a role or a tuple that came to be or changed in between. */
const contested = new Set(['42710', '23505', '55P03', 'XX000', '40P01'])
/** Between two looks for sessions, while there are any. */
const pause = 5
/** A login that was let in when its role was closed shows itself by then, unless a lock holds it up; the others wait for their client. */
const arrival = 500

interface Look {
  readonly closed: boolean
  readonly cut: number
  readonly arriving: readonly number[]
  readonly held: boolean
}

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
      if (!login.ok) return fail({ state: undefined, sentence: login.failure })
      const place = placeOf(params, primary(params), login.value)
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

  /** What is wrong with one of the groups, if anything: Ready has looked some seconds ago, and everywhere. */
  async function faultOf(place: Place, groups: readonly string[]): Promise<Result<GroupFault | undefined, WireFailure>> {
    const looked = await wire.query(place, groupFaults(groups), patience)
    return looked.ok ? ok((looked.value as unknown as readonly GroupFault[])[0]) : looked
  }

  async function make(params: PostgresParams, order: Order, making: Making): Promise<Result<Issued, string | Failure>> {
    const { lease, first, end: expiresAt } = making
    const password = deps.password(lease.handle)
    const verifying = first ? scramVerifier(password, deps.entropy.bytes(16)) : Promise.resolve('')
    const times = { validUntil: formatTime(expiresAt), effectBy: new Date(lease.effectBy).toISOString() }
    let fault: GroupFault | undefined
    const done = await at(params, async (place, modern) => {
      const { handle } = lease
      // connections of its own: whatever holds up what is made must not hold up what is ended
      const mine = { ...place, lane: 'make' }
      const [looked, verifier] = await Promise.all([first ? faultOf(mine, order.scopes) : ok(undefined), verifying])
      if (!looked.ok) return looked
      fault = looked.value
      if (fault !== undefined) return ok([])
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
      return wire.query(mine, sql, () => Math.min(patience, order.deadline - clock.monotonic()))
    })
    if (!done.ok) return fail(done.failure.sentence)
    if (fault !== undefined)
      return fail({
        reason: 'GroupCanOutliveTask',
        message: `credential \`${order.credential}\`: ${describeFault(fault, params.databases[0] ?? '')}`,
      })
    return ok({ fields: outputs(params, lease.handle, password), expiresAt })
  }

  async function close(params: PostgresParams, handle: string): Promise<Result<string, WireFailure>> {
    return at(params, async (place, modern) => {
      const until = clock.monotonic() + cutting
      const who = { handle, groups: params.groups, modern }
      let closed = await closeOnce(place, who)
      while (!closed.ok && contested.has(closed.failure.state ?? '') && clock.monotonic() < until) closed = await closeOnce(place, who)
      if (!closed.ok) return closed
      const asked = await wire.query(place, position, patience)
      return asked.ok ? ok(String(asked.value[0]?.['lsn'])) : asked
    })
  }

  /**
   * Closes it, and meanwhile takes away what the role itself can put in the way: a change of its own password, in a transaction that a
   * session holds open or that is prepared. The closing waits in line for it, so that nothing of the role gets in between.
   */
  async function closeOnce(place: Place, who: Parameters<typeof rollBackPrepared>[2]): Promise<Result<unknown, WireFailure>> {
    let waits = true
    const closing = wire.query(place, closeRole(who.handle, who.modern), patience).finally(() => {
      waits = false
    })
    while (waits) {
      await Promise.race([closing, sleep(obstacle)])
      if (!waits) break
      await wire.query({ ...place, lane: 'clear' }, cutSessions(who.handle), patience)
      await rollBackPrepared(wire, { ...place, lane: 'clear' }, who)
    }
    return closing
  }

  /** Cuts until nobody is left who is or was about to be in, and looks once more. Answers a sentence when there is no end of it. */
  async function cut(
    params: PostgresParams,
    handle: string,
    lsn: string,
    endpoint: { host: string; port: number },
  ): Promise<string | undefined> {
    const login = await logins.of(params)
    if (!login.ok) return login.failure
    const place = placeOf(params, endpoint, login.value)
    const until = clock.monotonic() + cutting
    const where = `${endpoint.host}:${endpoint.port}`
    const arrived = clock.monotonic() + arrival
    let first: readonly number[] | undefined
    for (let quiet = 0; quiet < 2; ) {
      const looked = await wire.query(place, cutSessionsAfter(handle, lsn), patience)
      if (!looked.ok) return `${where}: ${looked.failure.sentence}`
      const { closed, cut: sessions, arriving, held } = looked.value[0] as unknown as Look
      // who began later than the role was closed is refused
      if (closed) first ??= arriving
      const awaited = first?.some((pid) => arriving.includes(pid)) === true && (held || clock.monotonic() < arrived)
      quiet = closed && sessions === 0 && !awaited ? quiet + 1 : 0
      if (quiet > 0) continue
      if (clock.monotonic() >= until)
        return closed ? `${where}: ${sessions} sessions do not end` : `${where}: the standby is behind and may still let it log in`
      await sleep(pause)
    }
    return undefined
  }

  async function revoke(params: PostgresParams, { lease }: Row): Promise<Result<undefined, string>> {
    const closed = await close(params, lease.handle)
    if (!closed.ok) return fail(`role \`${lease.handle}\`: ${closed.failure.sentence}`)
    const servers = [primary(params), ...standbys(params)]
    const left = await Promise.all(servers.map((server) => cut(params, lease.handle, closed.value, server)))
    const problem = left.find((text) => text !== undefined)
    return problem === undefined ? ok(undefined) : fail(`role \`${lease.handle}\` is closed, but not all its sessions: ${problem}`)
  }

  return createOutsideProvider(deps.prefix, {
    type: 'postgres',
    handed,
    promises,
    judge: judgeParams,
    check: judgeRequest,
    async ready(params) {
      logins.forget(params)
      const login = await logins.of(params)
      if (!login.ok) return fail({ reason: 'ProviderConfigInvalid', message: login.failure })
      const judged = await judgeServer(wire, params, login.value)
      if (judged.ok) versions.set(`${params.host}:${params.port}`, judged.value)
      return judged.ok ? ok(undefined) : judged
    },
    make,
    revoke,
    outside: {
      settling,
      renewal: 'InPlace',
      async clean(params, { handle, effectBy }) {
        const done = await at(params, (place, modern) =>
          clean(wire, place, { handle, notBefore: new Date(effectBy).toISOString(), groups: params.groups, prefix: deps.prefix, modern }),
        )
        return done.ok ? ok(undefined) : fail(`role \`${handle}\`: ${done.failure.sentence}`)
      },
      async list(params, prefix) {
        const listed = await at(params, (place) => wire.query(place, listRoles(prefix), patience))
        if (!listed.ok) return fail({ reason: 'ProviderUnreachable', message: listed.failure.sentence })
        return ok(listed.value.map(({ name }) => String(name)))
      },
      inspection: {
        batch: 500,
        async look(params, leases) {
          const asked = sightsOf(leases.map(({ handle }) => handle))
          // connections of its own: nothing that makes or ends something waits for a look
          const looked = await at(params, (place) => wire.query({ ...place, lane: 'look' }, asked, patience))
          const rows = looked.ok ? looked.value : []
          return leases.map((_, i) => {
            const { alive, standby } = rows[i] ?? {}
            if (standby !== false) return 'Unknown'
            return alive === false ? 'Dead' : 'Alive'
          })
        },
      },
    },
  })
}

/** What the server began in time it ends in time: its statement timeout. */
const settling: Duration = seconds(30)
