// What a `static` provider's block means, and whether one request fits it. Pure; the block was checked by the API server's schema already,
// and is checked again where a mistake would hand out what nobody meant to.

import type { StaticProviderSpec } from '../../api/generated.ts'
import { type Duration, endless, seconds } from '../../lib/instant.ts'
import { judgeMaxTtl, judgeTtl, minTtl } from '../../ports/lives.ts'
import type { CredentialRequest, Failure, Promises } from '../../ports/provider.ts'

export type StaticParams = StaticProviderSpec

export const maxTtl = ({ maxTTLSeconds }: StaticParams): Duration => seconds(maxTTLSeconds)

/** The value was there before and is there afterwards: nobody here can tell how long, so only who names it may permit it. */
export const promises = (params: StaticParams): Promises => ({
  revocation: 'ExpireOnly',
  bound: endless,
  minTtl,
  maxTtl: maxTtl(params),
  leastLife: seconds(1),
  byName: true,
})

const fieldName = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/

/** Why the block cannot be used, or `undefined` when it can. */
export function judgeParams(params: StaticParams): Failure | undefined {
  const invalid = (message: string): Failure => ({ reason: 'ProviderConfigInvalid', message })
  if (params.keys.length === 0) return invalid('`keys` lists nothing: name each key of the Secret that a task is given')
  if (!params.keys.every((key) => fieldName.test(key))) return invalid('`keys` holds one that cannot be a field of a credential')
  const wrong = judgeMaxTtl(maxTtl(params))
  return wrong === undefined ? undefined : invalid(wrong)
}

/** There is nothing to choose from. */
export function judgeRequest(params: StaticParams, { name: credential, audience, scopes, ttl }: CredentialRequest): Failure | undefined {
  const no = (reason: Failure['reason'], message: string): Failure => ({ reason, message: `credential \`${credential}\` ${message}` })
  if (audience !== undefined)
    return no('AudienceNotListed', 'names an audience, which a value that exists already does not have: remove it')
  if (scopes.length > 0) return no('ScopeNotListed', 'asks for scopes, and a value that exists already cannot be narrowed: remove `scopes`')
  return judgeTtl({ name: credential, ttl }, maxTtl(params))
}
