// Client assertions: by them the operator is a client of an authorization server. Builds claims; signs nothing.

import { type Duration, type Instant, plus, seconds } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Claims } from '../../ports/signer.ts'
import { numericDate } from './numeric-date.ts'

/** As long as one call may take, and some. */
const life: Duration = seconds(60)

export interface ClientAssertionFacts {
  /** as the authorization server registered it */
  readonly clientId: string
  /** the issuer identifier of that server, and nothing else that it may be called */
  readonly audience: string
  readonly tokenId: string
  readonly now: Instant
}

/** RFC 7523, section 3, as draft-ietf-oauth-rfc7523bis tightens it: `iss` and `sub` are the client, `aud` is one string. */
export function clientAssertionClaims({ clientId, audience, tokenId, now }: ClientAssertionFacts): Result<Claims, string> {
  if (clientId === '') return fail('a client assertion needs a client')
  if (audience === '') return fail('a client assertion needs an audience')
  return ok({ iss: clientId, sub: clientId, aud: audience, iat: numericDate(now), exp: numericDate(plus(now, life)), jti: tokenId })
}
