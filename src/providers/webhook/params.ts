// What a `webhook` provider's block means, and whether one request fits it. Pure; the block was checked by the API server's schema already,
// and is checked again where a mistake would show a login to somebody else.

import type { WebhookProviderSpec } from '../../api/generated.ts'
import { type Duration, seconds } from '../../lib/instant.ts'
import { judgeNetworks } from '../../outbound/addresses.ts'
import { judgeMaxTtl, judgeTtl, minTtl } from '../../ports/lives.ts'
import type { CredentialRequest, Failure, Promises } from '../../ports/provider.ts'

export type WebhookParams = WebhookProviderSpec & { readonly allowedAddresses?: readonly string[] }

export const maxTtl = (params: WebhookParams): Duration => seconds(params.maxTTLSeconds)

export function promises(params: WebhookParams): Promises {
  return {
    revocation: 'Immediate',
    bound: seconds(params.revocationBoundSeconds),
    minTtl,
    maxTtl: maxTtl(params),
    leastLife: seconds(1),
  }
}

const visible = /^[\x21-\x7e]+$/

/** Why the block cannot be used, or `undefined` when it can. */
export function judgeParams(params: WebhookParams): Failure | undefined {
  const invalid = (message: string): Failure => ({ reason: 'ProviderConfigInvalid', message })
  const url = URL.canParse(params.url) ? new URL(params.url) : undefined
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return invalid('`url` must begin with `https://` and hold no user, no query and no fragment')
  if (!visible.test(params.audience)) return invalid('`audience` must be of visible ASCII characters')
  if (params.scopes.length === 0) return invalid('`scopes` lists nothing: name each scope that a task may ask for')
  if (!params.scopes.every((scope) => visible.test(scope)))
    return invalid('`scopes` holds an entry that is not of visible ASCII characters')
  const wrong = judgeNetworks(params.allowedAddresses) ?? judgeMaxTtl(maxTtl(params))
  return wrong === undefined ? undefined : invalid(wrong)
}

/** Judges a request against the closed list. Compares exactly. */
export function judgeRequest(params: WebhookParams, { name: credential, audience, scopes, ttl }: CredentialRequest): Failure | undefined {
  const no = (reason: Failure['reason'], message: string): Failure => ({ reason, message: `credential \`${credential}\` ${message}` })
  if (audience !== undefined) return no('AudienceNotListed', 'names an audience, which a webhook does not take: remove it and use `scopes`')
  if (scopes.length === 0) return no('ScopeNotListed', 'asks for no scope: set `scopes` to some that the provider lists')
  if (!scopes.every((scope) => params.scopes.includes(scope)))
    return no('ScopeNotListed', 'asks for a scope that the provider does not list')
  return judgeTtl({ name: credential, ttl }, maxTtl(params))
}
