// What an `oauth` provider's block means, and whether one request fits it. Pure; the block was checked by the API server's schema already,
// and is checked again where a mistake would show a login to somebody else.

import type { OauthProviderSpec } from '../../api/generated.ts'
import { type Duration, milliseconds, seconds, toSeconds } from '../../lib/instant.ts'
import { judgeNetworks } from '../../outbound/addresses.ts'
import { judgeCaBundle } from '../../outbound/certificates.ts'
import { judgeMaxTtl } from '../../ports/lives.ts'
import type { CredentialRequest, Failure, Promises } from '../../ports/provider.ts'

export type OauthParams = OauthProviderSpec & { readonly allowedAddresses?: readonly string[] }

/** Whoever asks at every call refuses from the confirmation on. */
const bound: Duration = seconds(5)
/** Clocks of resource servers may lag: what has expired is taken for dead only after it. */
export const leeway: Duration = seconds(60)

export const maxTtl = ({ maxTTLSeconds }: OauthParams): Duration => seconds(maxTTLSeconds)
/** Whatever became of it, a token is dead so long after it was given, if the server gives none for longer than it should. */
export const deadAfter = (params: OauthParams): Duration => milliseconds(maxTtl(params) + leeway)
/** What the assertions and logins are for. */
export const audienceOf = ({ audience, issuer }: OauthParams): string => audience ?? issuer
export const isChecked = ({ revocation }: OauthParams): boolean => revocation !== 'ExpireOnly'

/** What a token lives is the server's to say: a client cannot ask for less. */
export function promises(params: OauthParams): Promises {
  const life = maxTtl(params)
  const common = { minTtl: life, maxTtl: life, leastLife: life }
  return isChecked(params) ? { ...common, revocation: 'Checked', bound } : { ...common, revocation: 'ExpireOnly', bound: deadAfter(params) }
}

const visible = /^[\x21-\x7e]+$/
/** RFC 6749, section 3.3 */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** An https URL that names nobody and no part of a page. */
export function isEndpoint(text: string): boolean {
  const url = URL.canParse(text) && visible.test(text) ? new URL(text) : undefined
  return url?.protocol === 'https:' && url.username === '' && url.password === '' && !text.includes('#')
}

/** RFC 8707: an absolute URI without a fragment. */
const isResource = (text: string): boolean => visible.test(text) && URL.canParse(text) && !text.includes('#')

/** Why the block cannot be used, or `undefined` when it can. */
export function judgeParams(params: OauthParams): Failure | undefined {
  const invalid = (message: string): Failure => ({ reason: 'ProviderConfigInvalid', message })
  const { issuer, tokenEndpoint, revocationEndpoint, introspectionEndpoint, scopes, audiences = [], resources = [] } = params
  if (!isEndpoint(issuer) || issuer.includes('?'))
    return invalid('`issuer` must begin with `https://` and hold no user, no query and no fragment')
  const endpoints = { tokenEndpoint, revocationEndpoint, introspectionEndpoint }
  for (const [name, url] of Object.entries(endpoints))
    if (url !== undefined && !isEndpoint(url)) return invalid(`\`${name}\` must begin with \`https://\` and hold no user and no fragment`)
  if (tokenEndpoint === undefined && (revocationEndpoint !== undefined || introspectionEndpoint !== undefined))
    return invalid('`revocationEndpoint` and `introspectionEndpoint` may only be set with `tokenEndpoint`: without it all are discovered')
  if (tokenEndpoint !== undefined && isChecked(params) && (revocationEndpoint === undefined || introspectionEndpoint === undefined))
    return invalid(
      '`revocationEndpoint` and `introspectionEndpoint` must be set with `tokenEndpoint` where `revocation` is `Checked`: what is not asked for cannot be confirmed',
    )
  if (!visible.test(params.clientId)) return invalid('`clientId` must be of visible ASCII characters')
  if (!visible.test(audienceOf(params))) return invalid('`audience` must be of visible ASCII characters')
  if (scopes.length === 0) return invalid('`scopes` lists nothing: name each scope that a task may ask for')
  if (!scopes.every((scope) => scopeToken.test(scope))) return invalid('`scopes` holds an entry that is no scope of OAuth')
  if (!audiences.every((entry) => visible.test(entry))) return invalid('`audiences` holds an entry that is not of visible ASCII characters')
  const odd = resources.find((entry) => !isResource(entry))
  if (odd !== undefined) return invalid('`resources` holds an entry that is no absolute URI without a fragment')
  if (audiences.some((entry) => resources.includes(entry)))
    return invalid('`audiences` and `resources` hold the same entry: which of both is sent would be chance')
  const wrong = judgeCaBundle(params.caBundle) ?? judgeNetworks(params.allowedAddresses) ?? judgeMaxTtl(maxTtl(params))
  return wrong === undefined ? undefined : invalid(wrong)
}

/** Judges a request against the closed lists. Compares exactly. */
export function judgeRequest(params: OauthParams, { name: credential, audience, scopes, ttl }: CredentialRequest): Failure | undefined {
  const no = (reason: Failure['reason'], message: string): Failure => ({ reason, message: `credential \`${credential}\` ${message}` })
  const targets = [...(params.audiences ?? []), ...(params.resources ?? [])]
  if (audience === undefined && targets.length > 0)
    return no('AudienceMissing', 'names no audience: set `audience` to one that the provider lists in `audiences` or `resources`')
  if (audience !== undefined && !targets.includes(audience))
    return no('AudienceNotListed', 'asks for an audience that the provider does not list')
  if (scopes.length === 0) return no('ScopeNotListed', 'asks for no scope: set `scopes` to some that the provider lists')
  if (!scopes.every((scope) => params.scopes.includes(scope)))
    return no('ScopeNotListed', 'asks for a scope that the provider does not list')
  return ttl === maxTtl(params)
    ? undefined
    : no(
        'TtlOutOfRange',
        `asks for a life of ${toSeconds(ttl)} seconds, which the server alone decides: set \`ttlSeconds\` to ${params.maxTTLSeconds}`,
      )
}

/** How a target is named to the server. */
export const targetOf = (params: OauthParams, audience: string | undefined): Readonly<Record<string, string>> => {
  if (audience === undefined) return {}
  return params.resources?.includes(audience) === true ? { resource: audience } : { audience }
}
