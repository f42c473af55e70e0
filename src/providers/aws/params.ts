// What an `aws` provider's block means, and whether one request fits it. Pure; the block was checked by the API server's schema already, and
// is checked again where a mistake would show a login to somebody or give more than was meant.

import type { AwsProviderSpec } from '../../api/generated.ts'
import { type Duration, seconds, toSeconds } from '../../lib/instant.ts'
import { judgeNetworks } from '../../outbound/addresses.ts'
import { judgeCaBundle } from '../../outbound/certificates.ts'
import { judgeTtl } from '../../ports/lives.ts'
import type { CredentialRequest, Failure, Promises } from '../../ports/provider.ts'

export type AwsParams = AwsProviderSpec & { readonly allowedAddresses?: readonly string[] }
export type Session = AwsParams['sessions'][number]

/** The shortest session that STS makes. */
export const shortest: Duration = seconds(900)
/** How long a request may take to arrive: by so much a session is asked to be shorter, so that it is dead when it was to be. */
export const arrival: Duration = seconds(15)
/** The shortest session, and a minute in which it is decided, recorded and asked for. */
export const leastLife: Duration = seconds(960)

export const maxTtl = ({ maxTTLSeconds }: AwsParams): Duration => seconds(maxTTLSeconds)

export const promises = (params: AwsParams): Promises => ({
  revocation: 'ExpireOnly',
  // issued a moment before the end of its task, it lives to its expiry
  bound: maxTtl(params),
  minTtl: shortest,
  maxTtl: maxTtl(params),
  leastLife,
})

/** Where STS is: that of the region, unless said otherwise. */
export const endpointOf = ({ endpoint, region }: AwsParams): string =>
  endpoint ?? `https://sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`

const role = /^arn:(aws[a-z-]*):iam::([0-9]{12}):role\/(?:[\x21-\x7e]+\/)?([\w+=,.@-]{1,64})$/

/** What a session of the role is called, but for its own name. */
export function assumedRole({ roleArn }: AwsParams): string | undefined {
  const [, partition, account, name] = role.exec(roleArn) ?? []
  return name === undefined ? undefined : `arn:${partition}:sts::${account}:assumed-role/${name}`
}

const address = /^https:\/\/[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[0-9]{1,5})?$/
const managed = /^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy\/[\x21-\x7e]+$/
const mostArns = 10
const mostText = 2048

/** Why the block cannot be used, or `undefined` when it can. */
export function judgeParams(params: AwsParams): Failure | undefined {
  const invalid = (message: string): Failure => ({ reason: 'ProviderConfigInvalid', message })
  if (assumedRole(params) === undefined) return invalid('`roleArn` must be `arn:aws:iam::<account>:role/<name>`')
  if (!/^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$/.test(params.region)) return invalid('`region` is no region such as `eu-central-1`')
  if (!address.test(endpointOf(params))) return invalid('`endpoint` must be `https://<host>:<port>` and nothing more')
  if (!/^[\x21-\x7e]{1,255}$/.test(params.audience)) return invalid('`audience` must be of visible ASCII characters, 255 at most')
  if (params.sessions.length === 0) return invalid('`sessions` lists nothing: name each kind of session that a task may ask for')
  for (const session of params.sessions) {
    const wrong = judgeSession(session)
    if (wrong !== undefined) return invalid(`session \`${session.name}\`: ${wrong}`)
  }
  if (maxTtl(params) < leastLife || maxTtl(params) > seconds(43_200))
    return invalid(`\`maxTTLSeconds\` must be from ${toSeconds(leastLife)} to 43200: STS makes no session of less than 15 minutes`)
  const wrong = judgeCaBundle(params.caBundle) ?? judgeNetworks(params.allowedAddresses)
  return wrong === undefined ? undefined : invalid(wrong)
}

function judgeSession({ policy, policyArns = [] }: Session): string | undefined {
  if (policy === undefined && policyArns.length === 0)
    return 'it has neither `policy` nor `policyArns`, so it could do all that the role can'
  if (policyArns.length > mostArns || !policyArns.every((arn) => managed.test(arn)))
    return `\`policyArns\` may hold ${mostArns} ARNs of managed policies, such as \`arn:aws:iam::123456789012:policy/name\``
  return policy === undefined || isPolicy(policy) ? undefined : `\`policy\` must be an IAM policy in JSON of ${mostText} characters at most`
}

function isPolicy(text: string): boolean {
  if (text.length > mostText || !/^[\t\n\r\x20-\xff]+$/.test(text)) return false
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) && 'Statement' in value
  } catch {
    return false
  }
}

/** The one that is asked for. Compares exactly. */
export const sessionOf = ({ sessions }: AwsParams, scopes: readonly string[]): Session | undefined =>
  scopes.length === 1 ? sessions.find(({ name }) => name === scopes[0]) : undefined

/** Judges a request against the closed list. */
export function judgeRequest(params: AwsParams, { name: credential, audience, scopes, ttl }: CredentialRequest): Failure | undefined {
  const no = (reason: Failure['reason'], message: string): Failure => ({ reason, message: `credential \`${credential}\` ${message}` })
  if (audience !== undefined) return no('AudienceNotListed', 'names an audience, which a session at AWS does not have: remove it')
  if (!scopes.every((scope) => params.sessions.some(({ name }) => name === scope)))
    return no('ScopeNotListed', 'asks for a session that the provider does not list')
  if (scopes.length !== 1) return no('ScopeNotListed', 'must ask for one session: set `scopes` to one that the provider lists')
  return judgeTtl({ name: credential, ttl }, maxTtl(params), shortest)
}
