// What a `jwt` provider's block means, and whether one request fits it. Pure; the block was checked by the API server's schema already,
// and is checked again where a mistake would give somebody a token.

import type { JwtProviderSpec } from '../../api/generated.ts'
import { type Duration, seconds } from '../../lib/instant.ts'
import { judgeMaxTtl, judgeTtl } from '../../ports/lives.ts'
import type { CredentialRequest, Failure } from '../../ports/provider.ts'

export type JwtParams = JwtProviderSpec

const maxSvidTtl: Duration = seconds(300)

/** The longest life of a token of this provider. */
export function maxTtl(params: JwtParams): Duration {
  const configured = seconds(params.maxTTLSeconds)
  return params.profile === 'JWTSVID' && configured > maxSvidTtl ? maxSvidTtl : configured
}

// RFC 6749, scope-token; a space in one would be read as two scopes.
const scopePattern = /^[\x21\x23-\x5b\x5d-\x7e]+$/
// Visible ASCII: an audience is compared by code unit, so nothing that only looks the same may be in it.
const audiencePattern = /^[\x21-\x7e]+$/

/** Why the block cannot be used, or `undefined` when it can. */
export function judgeParams(params: JwtParams): Failure | undefined {
  const invalid = (message: string): Failure => ({ reason: 'ProviderConfigInvalid', message })
  const scopes = params.scopes ?? []
  if (params.audiences.length === 0) return invalid('`audiences` lists nothing: name each audience that may be asked for')
  if (!params.audiences.every((audience) => audiencePattern.test(audience))) {
    return invalid('`audiences` holds an entry with a space or a character outside of ASCII: write it as its verifier compares it')
  }
  if (!scopes.every((scope) => scopePattern.test(scope))) {
    return invalid('`scopes` holds an entry that is not an OAuth scope: use visible ASCII without spaces, quotes and backslashes')
  }
  if (params.profile === 'JWTSVID' && scopes.length > 0) return invalid('`scopes` has no meaning in a JWT-SVID: remove it')
  const short = judgeMaxTtl(maxTtl(params))
  return short === undefined ? undefined : invalid(short)
}

/** Judges a request against the closed lists. Compares exactly. */
export function judgeRequest(params: JwtParams, request: CredentialRequest): Failure | undefined {
  const { audience, scopes, ttl } = request
  const no = (reason: Failure['reason'], message: string): Failure => ({ reason, message: `credential \`${request.name}\` ${message}` })
  if (audience === undefined) return no('AudienceMissing', 'names no audience: set `audience` to one that the provider lists')
  if (!params.audiences.includes(audience)) return no('AudienceNotListed', 'asks for an audience that the provider does not list')
  if (params.profile === 'JWTSVID' && scopes.length > 0) return no('ScopeNotListed', 'asks for scopes, which a JWT-SVID does not have')
  if (!scopes.every((scope) => params.scopes?.includes(scope)))
    return no('ScopeNotListed', 'asks for a scope that the provider does not list')
  return judgeTtl({ name: request.name, ttl }, maxTtl(params))
}
