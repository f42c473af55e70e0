// OAuth 2.0 access tokens by RFC 9068, with a place in a token status list. Builds and verifies claims; signs nothing.

import type { JSONWebKeySet, JWTPayload } from 'jose'
import type { Instant } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { TokenFacts } from '../../ports/claims.ts'
import type { Claims, StatusRef } from '../../ports/signer.ts'
import { numericDate } from './numeric-date.ts'
import { agentId } from './spiffe-id.ts'
import { taskClaim } from './task-claim.ts'
import { verifyProfile } from './verify.ts'

/** An audience is required; `sub` and `client_id` are the agent's SPIFFE ID, because no resource owner stands behind it. */
export function accessTokenClaims(facts: TokenFacts & { readonly status: StatusRef }): Result<Claims, string> {
  const { identity, order, tokenId, status } = facts
  if (order.audience === undefined) return fail('an access token needs an audience')
  const agent = agentId(identity.trustDomain, order.task, order.agent)
  if (!agent.ok) return agent
  return ok({
    iss: identity.url,
    sub: agent.value,
    client_id: agent.value,
    aud: order.audience,
    iat: numericDate(order.issuedAt),
    exp: numericDate(order.expiresAt),
    jti: tokenId,
    ...(order.scopes.length === 0 ? {} : { scope: order.scopes.join(' ') }),
    status: { status_list: { uri: status.uri, idx: status.index } },
    taskbound: taskClaim(order),
  })
}

export interface AccessTokenRules {
  readonly keys: JSONWebKeySet
  readonly issuer: string
  readonly audience: string
  readonly now: Instant
}

/** Verifies an access token but for its place in the status list, which it hands back. */
export async function verifyAccessToken(
  token: string,
  rules: AccessTokenRules,
): Promise<Result<{ readonly claims: JWTPayload; readonly status: StatusRef }, string>> {
  const verified = await verifyProfile('AccessToken', token, {
    ...rules,
    requiredClaims: ['iss', 'sub', 'aud', 'client_id', 'exp', 'iat', 'jti'],
  })
  if (!verified.ok) return verified
  if (verified.value.aud !== rules.audience) return fail('the token is for more than one audience')
  const status = readStatus(verified.value['status'])
  return status === undefined ? fail('the token has no place in a status list') : ok({ claims: verified.value, status })
}

function readStatus(claim: unknown): StatusRef | undefined {
  const list = (claim as { status_list?: { uri?: unknown; idx?: unknown } } | undefined)?.status_list
  if (typeof list?.uri !== 'string' || !Number.isSafeInteger(list.idx) || (list.idx as number) < 0) return undefined
  return { uri: list.uri, index: list.idx as number }
}
