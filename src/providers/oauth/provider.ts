// Access tokens of somebody else's authorization server: the operator is a client there, and asks for each task. A token is ended only by
// showing it, so it is kept until it is dead; that it was revoked is believed only from introspection.

import { earliest, formatTime, type Instant, milliseconds, plus, seconds, wholeSecond } from '../../lib/instant.ts'
import type { Json } from '../../lib/json.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { ClientAssertions, Logins } from '../../ports/login.ts'
import { createOutsideProvider, type Making, type Row } from '../../ports/outside.ts'
import type { Failure, Issued, Keep, Lease, Order, Provider, Unrevoked } from '../../ports/provider.ts'
import { type Asked, accessTokenType, type Grant, judgeFresh, lifeOf, readGrant, tokensOf } from './answers.ts'
import { createOauthClient, knock, textOf } from './client.ts'
import { createDiscovery, grantName } from './endpoints.ts'
import { type KeptTokens, originOf, readKept, writeKept } from './kept.ts'
import { audienceOf, deadAfter, isChecked, judgeParams, judgeRequest, leeway, type OauthParams, promises, targetOf } from './params.ts'
import { type Entry, nextNumber, readReference, writeReference } from './reference.ts'
import type { OauthWire } from './wire.ts'

export interface OauthDependencies {
  readonly wire: OauthWire
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'uuid'>
  readonly logins: Pick<Logins, 'task'>
  readonly assertions: ClientAssertions
  /** what all handles of this installation begin with */
  readonly prefix: string
}

const patience = 5_000
/** What was sent in time has been done by then. */
const settling = seconds(30)
/** Why something that can be ended no further may work yet. */
interface Wait {
  readonly why: string
  readonly until: Instant
}

/** Renewals that failed one after the other leave a row with so many tokens, until they have expired. */
const mostEntries = 16

export function createOauthProvider(deps: OauthDependencies): Provider<OauthParams> {
  const { clock, logins } = deps
  const discovery = createDiscovery(deps.wire, clock)
  const client = createOauthClient({ ...deps, discovery })

  async function make(params: OauthParams, order: Order, making: Making): Promise<Result<Issued, string | Failure>> {
    const { lease, record, keep, first, end } = making
    if (keep === undefined) return fail('it has no row in the ledger')
    const before = readReference(lease.reference)
    if (!before.ok) return before
    if (first !== (before.value.length === 0))
      return fail(first ? 'something was issued under its row already' : 'nothing was issued under its row')
    const alive = before.value.filter(({ until }) => until > clock.now())
    if (alive.length >= mostEntries) return fail('too many tokens of earlier renewals have not expired yet')

    const number = nextNumber(before.value)
    const waits = plus(lastSent(lease), deadAfter(params))
    const noted = await record(writeReference([...alive, { number, until: waits }]))
    if (!noted.ok) return noted
    // nothing of it is waited for; its number is not used again, since something may be kept under it that nobody heard of
    const forget = (): Promise<unknown> => record(writeReference([...alive, { number, until: clock.now() }]))
    const begun = clock.now()
    const asked: Asked = {
      scopes: order.scopes,
      audience: order.audience,
      grant: params.grant,
      life: Math.ceil((end - order.issuedAt) / 1000),
    }
    const answer = await ask(params, order, lease)
    if (!answer.ok) {
      // it said no, so there is nothing; where that cannot be written down, the row waits
      if (!answer.failure.sent) await forget()
      return fail(answer.failure.sentence)
    }
    const life = lifeOf(answer.value)
    const until = plus(clock.now(), life === undefined ? deadAfter(params) : milliseconds(life * 1000 + leeway))
    // a server that gives more than it should has given it: the row waits for that
    if (until > waits) await record(writeReference([...alive, { number, until }]))
    const given = { number, tokens: tokensOf(answer.value), until }
    const taken = await take(params, keep, given, answer.value, asked, forget)
    if (!taken.ok) return taken
    const { token } = taken.value
    return ok({ fields: { token }, expiresAt: earliest(end, wholeSecond(plus(begun, seconds(taken.value.life)))) ?? end })
  }

  /** By then all that may have been asked for under a row has been done. */
  const lastSent = ({ effectBy }: Lease): Instant => plus(clock.now() > effectBy ? clock.now() : effectBy, settling)

  async function ask(params: OauthParams, order: Order, { handle }: Lease): Promise<Result<Json, { sentence: string; sent: boolean }>> {
    const form: Record<string, string> = {
      grant_type: grantName(params),
      scope: order.scopes.join(' '),
      ...targetOf(params, order.audience),
    }
    if (params.grant === 'TokenExchange') {
      const login = await logins.task(order, audienceOf(params), handle)
      if (!login.ok) return fail({ sentence: login.failure, sent: false })
      form['subject_token'] = textOf(login.value)
      form['subject_token_type'] = 'urn:ietf:params:oauth:token-type:jwt'
      form['requested_token_type'] = accessTokenType
    }
    const answer = await client.call(params, 'token', form, () => Math.min(patience, order.deadline - clock.monotonic()))
    return answer ?? fail({ sentence: 'the server has no token endpoint', sent: false })
  }

  /**
   * Keeps what was given before anything of it is judged, and gives it back where it is not what was asked for, or nobody could end it later.
   * @param forget what is not kept and nevertheless known to be dead is not waited for
   */
  async function take(
    params: OauthParams,
    keep: Keep,
    given: KeptTokens,
    answer: Json,
    asked: Asked,
    forget: () => Promise<unknown>,
  ): Promise<Result<Grant, string | Failure>> {
    const kept = given.tokens.length === 0 ? ok(undefined) : await keep(writeKept(given), given.until)
    const read = await judged(params, answer, asked)
    if (kept.ok && read.ok) return read
    const ends: Result<string | undefined, string>[] = []
    // what is not heard is repeated by whoever works off the row
    for (const token of given.tokens) ends.push(await client.end(params, token))
    // that it is not active says something only where it was called active before
    if (!kept.ok && read.ok && ends.every((end) => end.ok && end.value === undefined)) await forget()
    return kept.ok ? read : kept
  }

  async function judged(params: OauthParams, answer: Json, asked: Asked): Promise<Result<Grant, string>> {
    const read = readGrant(answer, asked)
    if (!read.ok || !isChecked(params)) return read
    const said = await client.call(params, 'introspection', { token: textOf(read.value.token) })
    if (said === undefined || !said.ok) return fail(`introspection: ${said?.failure.sentence ?? 'there is no endpoint'}`)
    const wrong = judgeFresh(said.value, asked, Math.floor(clock.now() / 1000))
    return wrong === undefined ? read : fail(wrong)
  }

  /** What is left to wait for, once all that can be done to end one entry was done. A failure is a sentence. */
  async function end(
    params: OauthParams,
    { number, until }: Entry,
    kept: readonly KeptTokens[],
  ): Promise<Result<Wait | undefined, string>> {
    const mine = kept.find((one) => one.number === number)
    const dead = mine?.until ?? until
    if (dead <= clock.now()) return ok(undefined)
    const wait = (why: string): Result<Wait, string> => ok({ why: `${why}; it will have expired by ${formatTime(dead)}`, until: dead })
    if (mine === undefined) return wait('the answer that brought it was lost, so nobody holds it')
    const ends = await Promise.all(mine.tokens.map((token) => client.end(params, token)))
    const failed = ends.find((one) => !one.ok)
    if (failed?.ok === false) return fail(`${failed.failure}; it will have expired by ${formatTime(dead)}`)
    const unseen = ends.flatMap((one) => (one.ok && one.value !== undefined ? [one.value] : []))[0]
    return unseen === undefined ? ok(undefined) : wait(unseen)
  }

  async function revoke(params: OauthParams, { lease, kept }: Row): Promise<Result<undefined, string | Unrevoked>> {
    const entries = readReference(lease.reference)
    if (!entries.ok) return entries
    // nothing was asked for, or all of it has expired
    const alive = entries.value.filter(({ until }) => until > clock.now())
    if (alive.length === 0) return ok(undefined)
    const values = (await kept?.()) ?? ok([])
    if (!values.ok) return values
    const known = values.value.map(readKept)
    const ends = await Promise.all(alive.map((entry) => end(params, entry, known)))
    const where = `token \`${lease.handle}\` of ${new URL(params.issuer).host}`
    const failed = ends.find((one) => !one.ok)
    if (failed?.ok === false) return fail(`${where}: ${failed.failure}`)
    const waits = ends.flatMap((one) => (one.ok && one.value !== undefined ? [one.value] : [])).sort((a, b) => b.until - a.until)
    const [longest] = waits
    if (longest === undefined) return ok(undefined)
    // who sent it in time may have an answer yet, and keeps it then
    const underWay = longest.until > plus(plus(clock.now(), settling), deadAfter(params))
    const message = `${where}: ${longest.why}`
    return fail({ reason: 'RevocationUnconfirmed', message, ...(underWay ? {} : { until: longest.until }) })
  }

  return createOutsideProvider(deps.prefix, {
    type: 'oauth',
    promises,
    judge: judgeParams,
    check: judgeRequest,
    async ready(params) {
      const { host } = new URL(params.issuer)
      const found = await discovery.find(params, true)
      if (!found.ok)
        return fail({
          reason: found.failure.config ? 'ProviderConfigInvalid' : 'ProviderUnreachable',
          message: `${host}: ${found.failure.sentence}`,
        })
      const taken = await knock(client, params, deps.entropy.uuid())
      return taken.ok ? ok(undefined) : fail({ reason: 'ProviderUnreachable', message: `${host}: ${taken.failure}` })
    },
    make,
    revoke,
    outside: {
      settling,
      renewal: 'Successor',
      keeps: { origin: originOf },
    },
  })
}
