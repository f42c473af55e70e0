// Access tokens of somebody else's authorization server: the operator is a client there, and asks for each task. A token is ended only by
// showing it, so it is kept until it is dead; that it was revoked is believed only from introspection.

import { isHandleOf } from '../../core/lease.ts'
import { earliest, formatTime, type Instant, milliseconds, plus, seconds, wholeSecond } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import { lifeEnd } from '../../ports/lives.ts'
import type { ClientAssertions, Logins } from '../../ports/login.ts'
import type { Failure, Issued, Lease, Order, Provider, Reservation } from '../../ports/provider.ts'
import { type Asked, accessTokenType, judgeFresh, lifeOf, readGrant, tokensOf } from './answers.ts'
import { createOauthClient, knock, textOf } from './client.ts'
import { createDiscovery, grantName } from './endpoints.ts'
import type { Keeper } from './kept.ts'
import {
  audienceOf,
  deadAfter,
  isChecked,
  judgeParams,
  judgeRequest,
  leeway,
  maxTtl,
  type OauthParams,
  promises,
  targetOf,
} from './params.ts'
import { type Entry, nextNumber, readReference, writeReference } from './reference.ts'
import type { Json, OauthWire } from './wire.ts'

export interface OauthDependencies {
  readonly wire: OauthWire
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'uuid'>
  readonly logins: Pick<Logins, 'task'>
  readonly assertions: ClientAssertions
  readonly keeper: Keeper
  /** what all handles of this installation begin with */
  readonly prefix: string
}

const patience = 5_000
/** What was sent in time has been done by then. */
const settling = seconds(30)
/** Renewals that failed one after the other leave a row with so many tokens, until they have expired. */
const mostEntries = 16

export function createOauthProvider(deps: OauthDependencies): Provider<OauthParams> {
  const { clock, logins, keeper } = deps
  const discovery = createDiscovery(deps.wire, clock)
  const client = createOauthClient({ ...deps, discovery })
  const ours = (handle: string): boolean => isHandleOf(deps.prefix, handle)

  async function make(params: OauthParams, order: Order, reservation: Reservation, first: boolean): Promise<Result<Issued, Failure>> {
    const { lease, record } = reservation
    const failed = (message: string): Result<never, Failure> =>
      fail({ reason: 'IssueFailed', message: `credential \`${order.credential}\`: ${message}` })
    const problem = judgeParams(params) ?? judgeRequest(params, { ...order, name: order.credential, ttl: maxTtl(params) })
    if (problem !== undefined) return fail(problem)
    if (lease === undefined || record === undefined) return failed('it has no row in the ledger')
    if (!ours(lease.handle)) return failed('its row in the ledger has no handle of this installation')
    const end = lifeEnd(order, maxTtl(params))
    if (end <= order.issuedAt) return failed('it would be dead on arrival: its expiry is not after its issue')
    const before = readReference(lease.reference)
    if (!before.ok) return failed(before.failure)
    if (first !== (before.value.length === 0))
      return failed(first ? 'something was issued under its row already' : 'nothing was issued under its row')
    const alive = withoutDead(lease.handle, before.value)
    if (alive.length >= mostEntries) return failed('too many tokens of earlier renewals have not expired yet')

    const number = nextNumber(before.value)
    const noted = await record(writeReference([...alive, { number, until: plus(lastSent(lease), deadAfter(params)) }]))
    if (!noted.ok) return noted
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
      if (!answer.failure.sent) await record(writeReference(alive))
      return failed(answer.failure.sentence)
    }
    const refusal = await take(params, lease.handle, number, answer.value, asked)
    if (!refusal.ok) return failed(refusal.failure)
    const { token, life } = refusal.value
    return ok({ fields: { token }, expiresAt: earliest(end, wholeSecond(plus(begun, seconds(life)))) ?? end })
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

  /** Keeps what was given before anything of it is judged, and gives it back where it is not what was asked for. */
  async function take(params: OauthParams, handle: string, number: number, answer: Json, asked: Asked): ReturnType<typeof judged> {
    const tokens = tokensOf(answer)
    const life = lifeOf(answer)
    const until = plus(clock.now(), life === undefined ? deadAfter(params) : milliseconds(life * 1000 + leeway))
    const kept = tokens.length === 0 ? ok(undefined) : await keeper.keep(handle, number, { tokens, until })
    const read = kept.ok ? await judged(params, answer, asked) : kept
    // what is not heard is repeated by whoever works off the row
    if (!read.ok) for (const token of tokens) await client.end(params, token)
    return read
  }

  async function judged(params: OauthParams, answer: Json, asked: Asked): Promise<ReturnType<typeof readGrant>> {
    const read = readGrant(answer, asked)
    if (!read.ok || !isChecked(params)) return read
    const said = await client.call(params, 'introspection', { token: textOf(read.value.token) })
    if (said === undefined || !said.ok) return fail(`introspection: ${said?.failure.sentence ?? 'there is no endpoint'}`)
    const wrong = judgeFresh(said.value, asked, Math.floor(clock.now() / 1000))
    return wrong === undefined ? read : fail(wrong)
  }

  function withoutDead(handle: string, entries: readonly Entry[]): readonly Entry[] {
    const dead = entries.filter(({ until }) => until <= clock.now())
    for (const { number } of dead) keeper.drop(handle, number)
    return entries.filter((entry) => !dead.includes(entry))
  }

  /** @returns `undefined` when it is dead, or why that is not known: a sentence */
  async function end(params: OauthParams, handle: string, { number, until }: Entry): Promise<string | undefined> {
    const kept = await keeper.kept(handle, number)
    if (!kept.ok) return kept.failure
    const dead = kept.value?.until ?? until
    if (dead <= clock.now()) return undefined
    if (kept.value === undefined) return `the answer that brought it was lost, so nobody holds it; it has expired at ${formatTime(until)}`
    let problem: string | undefined
    for (const token of kept.value.tokens) problem = (await client.end(params, token)) ?? problem
    return problem === undefined ? undefined : `${problem}; it has expired at ${formatTime(dead)}`
  }

  async function revoke(params: OauthParams | undefined, { lease }: Reservation): Promise<Result<undefined, Failure>> {
    const unconfirmed = (message: string): Result<never, Failure> => fail({ reason: 'RevocationUnconfirmed', message })
    if (lease === undefined) return ok(undefined)
    if (params === undefined) return unconfirmed('the settings of its provider are not known')
    if (!ours(lease.handle)) return unconfirmed('its row in the ledger has no handle of this installation')
    const entries = readReference(lease.reference)
    if (!entries.ok) return unconfirmed(entries.failure)
    const problems = await Promise.all(entries.value.map((entry) => end(params, lease.handle, entry)))
    const problem = problems.find((text) => text !== undefined)
    // what is kept stays until the row is closed: whoever comes back to it is to find the same
    if (problem !== undefined) return unconfirmed(`token \`${lease.handle}\` of ${new URL(params.issuer).host}: ${problem}`)
    return ok(undefined)
  }

  return {
    type: 'oauth',
    promises,
    async ready(params) {
      const problem = judgeParams(params)
      if (problem !== undefined) return fail(problem)
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
    check: judgeRequest,
    reserve: () => ok({}),
    issue: (params, order, reservation) => make(params, order, reservation, true),
    renew: (params, order, reservation) => make(params, order, reservation, false),
    revoke,
    outside: {
      settling,
      renewal: 'Successor',
      // nothing is left of what is dead, and nothing can be found without what was kept
      async clean(_params, { handle }) {
        if (!ours(handle)) return fail({ reason: 'RevocationUnconfirmed', message: 'it is no handle of this installation' })
        keeper.drop(handle)
        return ok(undefined)
      },
      list: async () => ok(undefined),
    },
  }
}
