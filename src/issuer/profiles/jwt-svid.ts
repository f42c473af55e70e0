// SPIFFE JWT-SVIDs: one audience, no issuer, no header but alg, kid and typ. Builds and verifies claims; signs nothing.

import type { JSONWebKeySet, JWTPayload } from 'jose'
import type { Instant } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { TokenFacts } from '../../ports/claims.ts'
import type { Claims } from '../../ports/signer.ts'
import { numericDate } from './numeric-date.ts'
import { taskId } from './spiffe-id.ts'
import { taskClaim } from './task-claim.ts'
import { verifyProfile } from './verify.ts'

/** An audience is required; `sub` is the SPIFFE ID of the agent at this one task. */
export function jwtSvidClaims(facts: TokenFacts): Result<Claims, string> {
  const { identity, order, tokenId } = facts
  if (order.audience === undefined) return fail('a JWT-SVID needs an audience')
  const subject = taskId(identity.trustDomain, order.task, order.agent, order.taskUid)
  if (!subject.ok) return subject
  return ok({
    sub: subject.value,
    aud: [order.audience],
    iat: numericDate(order.issuedAt),
    exp: numericDate(order.expiresAt),
    jti: tokenId,
    taskbound: taskClaim(order),
  })
}

export interface JwtSvidRules {
  readonly keys: JSONWebKeySet
  readonly trustDomain: string
  readonly audience: string
  readonly now: Instant
}

/** Verifies a JWT-SVID of one trust domain. */
export async function verifyJwtSvid(token: string, rules: JwtSvidRules): Promise<Result<JWTPayload, string>> {
  // By SPIFFE only `jwt-svid` keys count; `jose` knows that use only as one that is not `sig`.
  const keys = rules.keys.keys.filter((key) => key.use === 'jwt-svid').map(({ use: _use, ...key }) => key)
  const verified = await verifyProfile('JWTSVID', token, {
    keys: { keys },
    audience: rules.audience,
    now: rules.now,
    requiredClaims: ['sub', 'aud', 'exp'],
  })
  if (!verified.ok) return verified
  const { sub, aud, iss } = verified.value
  if (!sub?.startsWith(`spiffe://${rules.trustDomain}/`)) return fail('the subject is not of this trust domain')
  if (!Array.isArray(aud) || aud.length !== 1) return fail('the token is for more than one audience')
  return iss === undefined ? ok(verified.value) : fail('a JWT-SVID of this trust domain names no issuer')
}
