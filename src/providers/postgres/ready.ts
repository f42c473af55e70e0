// Whether a server is set up so that roles can be made, given groups, closed and removed there, and so that no group outlives a task. Says
// what is wrong in words that its administrator understands.

import { fail, ok, type Result } from '../../lib/result.ts'
import type { Failure } from '../../ports/provider.ts'
import { describeFault, type GroupFault, groupFaults } from './groups.ts'
import { type PostgresParams, primary, standbys } from './params.ts'
import { setUp } from './sql.ts'
import { type Login, type Place, placeOf, type Wire, type WireFailure } from './wire.ts'

const patience = 5_000

interface SetUp {
  readonly version: number
  readonly standby: boolean
  readonly login: string
  readonly creates: boolean
  readonly missing: string | null
  readonly ungrantable: string | null
  readonly entered: readonly string[]
}

/** Answers the server's version, for example 180004. */
export async function judgeServer(wire: Wire, params: PostgresParams, login: Login): Promise<Result<number, Failure>> {
  const place = placeOf(params, primary(params), login)
  const asked = await wire.query(place, setUp(params.databases, params.groups), patience)
  if (!asked.ok) return unreachable(place, asked.failure)
  const [found] = asked.value as unknown as readonly SetUp[]
  const invalid = (message: string): Result<never, Failure> => fail({ reason: 'ProviderConfigInvalid', message })
  if (found === undefined) return invalid('the login does not exist')
  if (found.version < 150_000) return invalid('the server is older than PostgreSQL 15, which is the oldest that is known to work')
  if (found.standby) return invalid('the server is a standby: `host` must be the primary, and standbys go into `endpoints`')
  if (!found.creates) return invalid(`the login \`${found.login}\` may not make roles: \`ALTER ROLE ${found.login} CREATEROLE\``)
  if (found.missing !== null) return invalid(`database \`${found.missing}\` of \`databases\` does not exist or allows no connections`)
  const faulty = await judgeGroups(wire, place, params, found.entered)
  if (!faulty.ok) return faulty
  if (found.ungrantable !== null)
    return invalid(
      `the login \`${found.login}\` may not give group \`${found.ungrantable}\` away: \`GRANT ${found.ungrantable} TO ${found.login} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE\``,
    )
  const reached = await judgeStandbys(wire, place, params)
  return reached.ok ? ok(found.version) : reached
}

/** In every database that a group can enter, listed or not: what it can leave behind there outlives the task as well. */
async function judgeGroups(
  wire: Wire,
  place: Place,
  params: PostgresParams,
  entered: readonly string[],
): Promise<Result<undefined, Failure>> {
  const sql = groupFaults(params.groups)
  const first = await wire.query(place, sql, patience)
  if (!first.ok) return unreachable(place, first.failure)
  const seen = new Map([[place.database, first.value as unknown as readonly GroupFault[]]])
  for (const database of entered) {
    if (seen.has(database)) continue
    const looked = await wire.session({ ...place, database }, patience, (run) => run(sql))
    if (!looked.ok)
      return fail({
        reason: 'ProviderConfigInvalid',
        message: `database \`${database}\` can be entered by the groups and not by the login (${looked.failure.sentence}): \`REVOKE CONNECT ON DATABASE ${database} FROM PUBLIC\`, or grant it to the login`,
      })
    seen.set(database, looked.value as unknown as readonly GroupFault[])
  }
  for (const [database, [fault]] of seen)
    if (fault !== undefined) return fail({ reason: 'GroupCanOutliveTask', message: describeFault(fault, database) })
  return ok(undefined)
}

async function judgeStandbys(wire: Wire, place: Place, params: PostgresParams): Promise<Result<undefined, Failure>> {
  for (const endpoint of standbys(params)) {
    const asked = await wire.query({ ...place, ...endpoint }, 'select pg_is_in_recovery() as standby', patience)
    if (!asked.ok) return unreachable({ ...place, ...endpoint }, asked.failure)
  }
  return ok(undefined)
}

const unreachable = ({ host, port }: Place, { sentence }: WireFailure): Result<never, Failure> =>
  fail({ reason: 'ProviderUnreachable', message: `${host}:${port}: ${sentence}` })
