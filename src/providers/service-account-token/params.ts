// What a `serviceAccountToken` provider's block means, and whether one request fits it. Pure; the block was checked by the API server's
// schema already, and is checked again where a mistake would let an agent into the API server.

import type { ServiceAccountTokenProviderSpec } from '../../api/generated.ts'
import { type Duration, seconds, toSeconds } from '../../lib/instant.ts'
import type { CredentialRequest, Failure, Order, Promises } from '../../ports/provider.ts'

export type ServiceAccountTokenParams = ServiceAccountTokenProviderSpec

/** The API server gives no token a shorter life. */
export const leastLife: Duration = seconds(600)
/** The API server remembers for ten seconds that it let a token in; the rest is for the way there. */
export const remembered: Duration = seconds(11)
/** A Secret that a finalizer keeps holds its tokens alive for a minute after its deletion, and then they are remembered as any other. */
const bound: Duration = seconds(70)
export const heldFor: Duration = seconds(71)

export const maxTtl = (params: ServiceAccountTokenParams): Duration => seconds(params.maxTTLSeconds)

export function promises(params: ServiceAccountTokenParams): Promises {
  return {
    revocation: params.verification === 'TokenReview' ? 'Immediate' : 'Checked',
    bound,
    minTtl: leastLife,
    maxTtl: maxTtl(params),
    leastLife,
  }
}

// Visible ASCII: an audience is compared by code unit, so nothing that only looks the same may be in it.
const visible = /^[\x21-\x7e]+$/

/** Why the block cannot be used, or `undefined` when it can. */
export function judgeParams(params: ServiceAccountTokenParams): Failure | undefined {
  const invalid = (message: string): Failure => ({ reason: 'ProviderConfigInvalid', message })
  if (params.audiences.length === 0) return invalid('`audiences` lists nothing: name each audience that may be asked for')
  if (!params.audiences.every((audience) => visible.test(audience)))
    return invalid('`audiences` holds an entry with a space or a character outside of ASCII: write it as its verifier compares it')
  if (maxTtl(params) < leastLife)
    return invalid(`\`maxTTLSeconds\` is below ${toSeconds(leastLife)}: the API server gives no token a shorter life`)
  return undefined
}

/** What must be said of a listed audience that lets its holder into the API server, unless the provider allows it. */
export const apiServerAudience = (audience: string): string =>
  `\`${audience}\` is an audience of the API server itself, so a token for it would be let in there: take it from \`audiences\`, or set \`allowApiServerAudience\` if that is meant`

/** Judges a request against the closed list. Compares exactly. */
export function judgeRequest(params: ServiceAccountTokenParams, request: CredentialRequest): Failure | undefined {
  const { audience, scopes, ttl } = request
  const no = (reason: Failure['reason'], message: string): Failure => ({ reason, message: `credential \`${request.name}\` ${message}` })
  if (audience === undefined) return no('AudienceMissing', 'names no audience: set `audience` to one that the provider lists')
  if (!params.audiences.includes(audience)) return no('AudienceNotListed', 'asks for an audience that the provider does not list')
  if (scopes.length > 0) return no('ScopeNotListed', 'asks for scopes, which a ServiceAccount\u2019s token does not have: remove them')
  if (ttl >= leastLife && ttl <= maxTtl(params)) return undefined
  const range = `${toSeconds(leastLife)} to ${toSeconds(maxTtl(params))}`
  return no('TtlOutOfRange', `asks for a life of ${toSeconds(ttl)} seconds: set \`ttlSeconds\` to a value from ${range}`)
}

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

/**
 * Whether tokens may be asked for there at all, whatever anybody allows; a sentence if not.
 * @param own the operator's namespace
 */
export function judgePlace(namespace: string, serviceAccount: Order['serviceAccount'], own: string): string | undefined {
  if (!label.test(namespace)) return 'its namespace has no name that Kubernetes knows'
  if (namespace.startsWith('kube-') || namespace === own) return `no tokens are given in namespace \`${namespace}\``
  if (!subdomain.test(serviceAccount)) return 'the ServiceAccount of its Agent is not known'
  return undefined
}
