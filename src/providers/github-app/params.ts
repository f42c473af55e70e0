// What a `githubApp` provider's block means, and whether one request fits it. Pure; the block was checked by the API server's schema already,
// and is checked again where a mistake would show something to somebody else or widen what a task gets.

import type { GithubAppProviderSpec } from '../../api/generated.ts'
import type { GithubAsk } from '../../core/observed.ts'
import { type Duration, seconds } from '../../lib/instant.ts'
import { judgeNetworks } from '../../outbound/addresses.ts'
import { judgeCaBundle } from '../../outbound/certificates.ts'
import type { Handed, Home } from '../../ports/handed.ts'
import { judgeMaxTtl, judgeTtl, minTtl } from '../../ports/lives.ts'
import type { CredentialRequest, Failure, Promises } from '../../ports/provider.ts'

export type GithubAppParams = GithubAppProviderSpec & {
  readonly allowedAddresses?: readonly string[]
  /** where the provider is of a namespace */
  readonly home?: Home
}

/** The key of the Secret that holds the App's private key. */
export const keyName = 'private-key.pem'

/** What GitHub gives every installation token. */
export const life: Duration = seconds(3600)
/** What is confirmed to be dead is refused from then on. */
const bound: Duration = seconds(5)

export const maxTtl = ({ maxTTLSeconds }: GithubAppParams): Duration => seconds(Math.min(maxTTLSeconds, 3600))

export const promises = (params: GithubAppParams): Promises => ({
  revocation: 'Immediate',
  bound,
  minTtl,
  maxTtl: maxTtl(params),
  leastLife: seconds(1),
})

const apiUrl = /^https:\/\/[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[0-9]{1,5})?(\/api\/v3)?$/
const repositoryName = /^[a-zA-Z0-9._-]{1,100}$/
const permissionName = /^[a-z][a-z_]{0,63}$/
const levels: readonly string[] = ['read', 'write', 'admin']

/** 1 to 3; 0 for what is no level, or not there. */
export const levelOf = (level: unknown): number => (typeof level === 'string' ? levels.indexOf(level) + 1 : 0)
/** A member of its own: what every object inherits is no permission. */
export const levelIn = (permissions: Readonly<Record<string, unknown>>, name: string): number =>
  Object.hasOwn(permissions, name) ? levelOf(permissions[name]) : 0

/** Scheme, host and port. */
export const originOf = (params: GithubAppParams): string => new URL(params.apiUrl).origin

/** `<host>:<port>`, as the annotation of the Secret says it. */
export function annotated(params: GithubAppParams): string {
  const { hostname, port } = new URL(params.apiUrl)
  return `${hostname}:${port || 443}`
}

export const handed = (params: GithubAppParams): Handed => ({
  secret: params.privateKeySecretRef.name,
  keys: [keyName],
  origins: [annotated(params)],
})

/** Where git finds the repositories: the API has a host of its own, or a path on that of an Enterprise Server. */
export function gitHost(params: GithubAppParams): string {
  const { host, pathname } = new URL(params.apiUrl)
  return pathname === '/' ? host.replace(/^api\./, '') : host
}

/** Why the block cannot be used, or `undefined` when it can. */
export function judgeParams(params: GithubAppParams): Failure | undefined {
  const invalid = (message: string): Failure => ({ reason: 'ProviderConfigInvalid', message })
  if (!apiUrl.test(params.apiUrl)) return invalid('`apiUrl` must be `https://<host>`, or `https://<host>/api/v3` of an Enterprise Server')
  if ((params.clientId === undefined) === (params.appId === undefined))
    return invalid('one of `clientId` and `appId` must be specified: both name the App')
  if (!Number.isSafeInteger(params.installationId) || params.installationId < 1)
    return invalid('`installationId` must be a number from 1: the last part of the URL of the settings of the installation')
  if (params.repositories.length === 0 || !params.repositories.every((name) => repositoryName.test(name)))
    return invalid('`repositories` must list names without the account, such as `ledger`')
  const permissions = Object.entries(params.permissions)
  if (permissions.length === 0 || !permissions.every(([name, level]) => permissionName.test(name) && levelOf(level) > 0))
    return invalid('`permissions` must say `read`, `write` or `admin` for each permission that a task may ask for')
  const wrong = judgeCaBundle(params.caBundle) ?? judgeNetworks(params.allowedAddresses) ?? judgeMaxTtl(maxTtl(params))
  return wrong === undefined ? undefined : invalid(wrong)
}

/** Judges a request against the closed lists. Compares exactly. */
export function judgeRequest(params: GithubAppParams, request: CredentialRequest): Failure | undefined {
  const { name: credential, audience, scopes, github, ttl } = request
  const no = (reason: Failure['reason'], message: string): Failure => ({ reason, message: `credential \`${credential}\` ${message}` })
  if (audience !== undefined) return no('AudienceNotListed', 'names an audience, which a token of GitHub does not have: remove it')
  if (scopes.length > 0)
    return no(
      'ScopeNotListed',
      'asks for scopes, which a GitHub App does not have: remove them and say what it is for in its block `github`',
    )
  return judgeAsk(params, github, no) ?? judgeTtl({ name: credential, ttl }, maxTtl(params))
}

function judgeAsk(
  params: GithubAppParams,
  ask: GithubAsk | undefined,
  no: (reason: Failure['reason'], message: string) => Failure,
): Failure | undefined {
  const permissions = Object.entries(ask?.permissions ?? {})
  if (ask === undefined || ask.repositories.length === 0 || permissions.length === 0)
    return no('ScopeNotListed', 'does not say what its token is for: name `repositories` and `permissions` in its block `github`')
  if (!ask.repositories.every((name) => params.repositories.includes(name)))
    return no('ScopeNotListed', 'asks for a repository that the provider does not list')
  if (!permissions.every(([name]) => levelIn(params.permissions, name) > 0))
    return no('ScopeNotListed', 'asks for a permission that the provider does not list')
  if (!permissions.every(([name, level]) => levelOf(level) > 0 && levelOf(level) <= levelIn(params.permissions, name)))
    return no('ScopeNotListed', 'asks for a higher level of a permission than the provider lists')
  return undefined
}
