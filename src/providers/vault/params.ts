// What a `vault` provider's block means, and whether one request fits it. Pure; the block was checked by the API server's schema already,
// and is checked again where a mistake would show a token to somebody or read what is no credential.

import type { VaultProviderSpec } from '../../api/generated.ts'
import { type Duration, endless, seconds } from '../../lib/instant.ts'
import { judgeNetworks } from '../../outbound/addresses.ts'
import { judgeCaBundle } from '../../outbound/certificates.ts'
import { judgeMaxTtl, judgeTtl, minTtl } from '../../ports/lives.ts'
import type { CredentialRequest, Failure, Promises } from '../../ports/provider.ts'

export type VaultParams = VaultProviderSpec & { readonly allowedAddresses?: readonly string[] }

/** From the confirmation on nothing works; what was under way at the source has ended by then. */
const bound: Duration = seconds(5)

export const maxTtl = ({ maxTTLSeconds }: VaultParams): Duration => seconds(maxTTLSeconds)
export const isStatic = ({ paths }: VaultParams): boolean => paths.some(({ kind }) => kind === 'Static')

/** A value that was there before is there afterwards: nobody here can tell how long. */
export function promises(params: VaultParams): Promises {
  const common = { minTtl, maxTtl: maxTtl(params), leastLife: seconds(1) }
  return isStatic(params) ? { ...common, revocation: 'ExpireOnly', bound: endless } : { ...common, revocation: 'Immediate', bound }
}

const address = /^https:\/\/[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[0-9]{1,5})?$/
const mount = /^[a-zA-Z0-9_-]+(\/[a-zA-Z0-9_-]+)*$/
const role = /^[a-zA-Z0-9_-]+$/
const path = /^[a-zA-Z0-9_][a-zA-Z0-9_.-]*(\/[a-zA-Z0-9_][a-zA-Z0-9_.-]*)+$/
const notCredentials: readonly string[] = ['auth', 'cubbyhole', 'identity', 'sys']

/** Why the block cannot be used, or `undefined` when it can. */
export function judgeParams(params: VaultParams): Failure | undefined {
  const invalid = (message: string): Failure => ({ reason: 'ProviderConfigInvalid', message })
  if (!address.test(params.address)) return invalid('`address` must be `https://<host>:<port>` and nothing more')
  if (!mount.test(params.authMount)) return invalid('`authMount` may hold letters, digits, `_`, `-` and `/` only')
  if (params.vaultNamespace !== undefined && !mount.test(params.vaultNamespace))
    return invalid('`vaultNamespace` may hold letters, digits, `_`, `-` and `/` only')
  if (!role.test(params.role) || !role.test(params.operatorRole))
    return invalid('`role` and `operatorRole` may hold letters, digits, `_` and `-` only')
  if (params.role === params.operatorRole)
    return invalid('`role` and `operatorRole` must differ: a task must not be able to end what is of others')
  if (params.audience === '') return invalid('`audience` is empty: it is what the login tokens are for')
  if (params.paths.length === 0) return invalid('`paths` lists nothing: name each path that a task may ask for')
  const odd = params.paths.find((entry) => !path.test(entry.path) || notCredentials.includes(entry.path.split('/')[0] ?? ''))
  if (odd !== undefined)
    return invalid(`\`paths\` holds \`${odd.path}\`, which is no path of a credential such as \`database/creds/readonly\``)
  if (params.paths.some(({ kind }) => kind !== params.paths[0]?.kind))
    return invalid('all `paths` must be of one `kind`: what dies with its task and what does not are two providers')
  const wrong = judgeCaBundle(params.caBundle) ?? judgeNetworks(params.allowedAddresses) ?? judgeMaxTtl(maxTtl(params))
  return wrong === undefined ? undefined : invalid(wrong)
}

/** Judges a request against the closed list. Compares exactly. */
export function judgeRequest(params: VaultParams, { name: credential, audience, scopes, ttl }: CredentialRequest): Failure | undefined {
  const no = (reason: Failure['reason'], message: string): Failure => ({ reason, message: `credential \`${credential}\` ${message}` })
  if (audience !== undefined) return no('AudienceNotListed', 'names an audience, which what a Vault gives does not have: remove it')
  if (!scopes.every((scope) => params.paths.some((entry) => entry.path === scope)))
    return no('ScopeNotListed', 'asks for a path that the provider does not list')
  if (scopes.length !== 1) return no('ScopeNotListed', 'must ask for one path: set `scopes` to one that the provider lists')
  return judgeTtl({ name: credential, ttl }, maxTtl(params))
}
