// What an authorization server answered, held against what was asked for: tokens, and what it says of them. Pure.

import type { Json } from '../../lib/json.ts'
import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { OauthParams } from './params.ts'

export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'

/** What was asked for. */
export interface Asked {
  readonly scopes: readonly string[]
  readonly audience: string | undefined
  /** seconds */
  readonly life: number
  readonly grant: OauthParams['grant']
}

export interface Grant {
  readonly token: Material
  /** seconds */
  readonly life: number
}

/** RFC 6750 section 2.1; longer than any header that a server would take */
const isToken = (value: unknown): value is string => typeof value === 'string' && /^[A-Za-z0-9._~+/-]{8,32768}=*$/.test(value)
const isLife = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0

/** What can be ended, whatever else is wrong with the answer; what makes new ones comes first. */
export const tokensOf = (answer: Json): readonly Material[] =>
  ['refresh_token', 'access_token']
    .map((name) => answer[name])
    .filter(isToken)
    .map((token) => new Material(token))

/** How long what it gave lives, in seconds; `undefined` where it does not say. */
export const lifeOf = ({ expires_in: life }: Json): number | undefined => (isLife(life) ? life : undefined)

const known = (text: unknown): readonly string[] => (typeof text === 'string' ? text.split(' ').filter((scope) => scope !== '') : [])
const more = (scope: unknown, asked: Asked): boolean => !known(scope).every((one) => asked.scopes.includes(one))
const broader = 'it gives scopes that were not asked for: take them from the default scopes of this client there'
const tooLong = (given: number, asked: number): string =>
  `it gives a token for ${given} seconds, and ${asked} are allowed: lower the life of access tokens of this client there, or raise \`maxTTLSeconds\``

/** An answer of the token endpoint (RFC 6749 section 5.1, RFC 8693 section 2.2.1). */
export function readGrant(answer: Json, asked: Asked): Result<Grant, string> {
  const { access_token: token, token_type: type, scope, refresh_token: refresh, issued_token_type: issued } = answer
  const life = lifeOf(answer)
  if (!isToken(token)) return fail('it answers without a token')
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') return fail('it gives a token that is not of type `Bearer`')
  if (refresh !== undefined)
    return fail('it gives a refresh token too, which outlives the task: turn refresh tokens off for this client there')
  if (life === undefined) return fail('it does not say how long its token lives')
  if (life > asked.life) return fail(tooLong(life, asked.life))
  if (scope !== undefined && typeof scope !== 'string') return fail('it says no scope that can be read')
  if (more(scope, asked)) return fail(broader)
  if (asked.grant === 'TokenExchange' && issued !== accessTokenType) return fail('what it gives is no access token')
  return ok({ token: new Material(token), life })
}

/** `undefined`: it does not say. */
export const readActive = ({ active }: Json): boolean | undefined => (typeof active === 'boolean' ? active : undefined)

/**
 * What introspection says of a token that was just given (RFC 7662 section 2.2).
 * @param now seconds since the epoch, by our clock
 * @returns why it is not delivered, or `undefined`
 */
export function judgeFresh(answer: Json, asked: Asked, now: number): string | undefined {
  const { scope, exp, aud } = answer
  // it says the same of a token that it will not tell us about, so a dead one could not be told from a living one
  if (readActive(answer) !== true)
    return 'introspection does not call a token active that was just given: let this client introspect its own tokens there'
  if (more(scope, asked)) return broader
  const skew = 60
  if (typeof exp === 'number' && exp - now > asked.life + skew) return tooLong(Math.round(exp - now), asked.life)
  const audiences = Array.isArray(aud) ? aud : aud === undefined ? [] : [aud]
  if (asked.audience === undefined || audiences.length === 0) return undefined
  if (!audiences.includes(asked.audience)) return 'it gives a token that is not for the audience that was asked for'
  if (audiences.some((one) => one !== asked.audience))
    return 'it gives a token that is for other audiences too: take them from this client and from its scopes there'
  return undefined
}
