// What a `postgres` provider's block means, and whether one request fits it. Pure; the block was checked by the API server's schema
// already, and is checked again where a mistake would give somebody a role.

import type { PostgresProviderSpec } from '../../api/generated.ts'
import { type Duration, seconds } from '../../lib/instant.ts'
import { judgeNetworks } from '../../outbound/addresses.ts'
import { judgeCaBundle } from '../../outbound/certificates.ts'
import type { Handed, Home } from '../../ports/handed.ts'
import { judgeMaxTtl, judgeTtl, minTtl } from '../../ports/lives.ts'
import type { CredentialRequest, Failure, Promises } from '../../ports/provider.ts'

export type PostgresParams = PostgresProviderSpec & {
  readonly allowedAddresses?: readonly string[]
  /** where the provider is of a namespace */
  readonly home?: Home
}

/** Where one server listens. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** A login that was under way when its role was closed is cut when the sessions are looked at for the last time. */
const bound: Duration = seconds(5)

export const maxTtl = (params: PostgresParams): Duration => seconds(params.maxTTLSeconds)
export const primary = ({ host, port }: PostgresParams): Endpoint => ({ host, port })
export const standbys = (params: PostgresParams): readonly Endpoint[] => params.endpoints ?? []

const originOf = ({ host, port }: Endpoint): string => `${host}:${port}`
/** Everybody who is shown the login, the primary first. */
export const origins = (params: PostgresParams): readonly string[] => [primary(params), ...standbys(params)].map(originOf)

export const handed = (params: PostgresParams): Handed => ({
  secret: params.loginSecretRef.name,
  keys: ['username', 'password'],
  origins: origins(params),
})

export function promises(params: PostgresParams): Promises {
  return { revocation: 'Immediate', bound, minTtl, maxTtl: maxTtl(params), leastLife: seconds(1) }
}

const name = /^[a-zA-Z_][a-zA-Z0-9_-]{0,62}$/

/** Why the block cannot be used, or `undefined` when it can. */
export function judgeParams(params: PostgresParams): Failure | undefined {
  const invalid = (message: string): Failure => ({ reason: 'ProviderConfigInvalid', message })
  const { databases, groups } = params
  if (databases.length === 0) return invalid('`databases` lists nothing: name the database that the credentials are for')
  if (groups.length === 0) return invalid('`groups` lists nothing: name each group role that a task may ask for')
  const odd = [...databases, ...groups].find((entry) => !name.test(entry))
  if (odd !== undefined) return invalid('`databases` and `groups` may hold names of letters, digits, `_` and `-` only')
  const predefined = groups.find((group) => group.startsWith('pg_'))
  if (predefined !== undefined)
    return invalid(`\`groups\` holds \`${predefined}\`: make a group of your own with the rights that are needed`)
  const wrong = judgeCaBundle(params.caBundle) ?? judgeNetworks(params.allowedAddresses) ?? judgeMaxTtl(maxTtl(params))
  return wrong === undefined ? undefined : invalid(wrong)
}

/** Judges a request against the closed lists. Compares exactly. */
export function judgeRequest(params: PostgresParams, { name: credential, audience, scopes, ttl }: CredentialRequest): Failure | undefined {
  const no = (reason: Failure['reason'], message: string): Failure => ({ reason, message: `credential \`${credential}\` ${message}` })
  if (audience !== undefined) return no('AudienceNotListed', 'names an audience, which a database role does not have: remove it')
  if (scopes.length === 0) return no('ScopeNotListed', 'asks for no group: set `scopes` to groups that the provider lists')
  if (!scopes.every((scope) => params.groups.includes(scope)))
    return no('ScopeNotListed', 'asks for a group that the provider does not list')
  return judgeTtl({ name: credential, ttl }, maxTtl(params))
}
