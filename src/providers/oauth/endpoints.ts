// Where the endpoints of an authorization server are: as its provider object says, or as its own metadata does. What a document says is
// believed only of the issuer that it was asked for.

import type { Json } from '../../lib/json.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import { isChecked, isEndpoint, type OauthParams } from './params.ts'
import type { OauthWire } from './wire.ts'

export interface Endpoints {
  readonly token: string
  readonly revocation: string | undefined
  readonly introspection: string | undefined
}

/** `config`: whoever runs the server or wrote the object has to change something. */
export interface NotFound {
  readonly sentence: string
  readonly config: boolean
}

export interface Discovery {
  /** @param fresh asks again, whatever is known */
  find(params: OauthParams, fresh?: boolean): Promise<Result<Endpoints, NotFound>>
}

const patience = 5_000
/** milliseconds */
const keeping = 600_000
const most = 256

/** RFC 8414 section 3.1, then OpenID Connect Discovery 1.0 section 4. */
export function documentsOf(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [`${origin}/.well-known/oauth-authorization-server${path}`, `${origin}${path}/.well-known/openid-configuration`]
}

const grantNames = { ClientCredentials: 'client_credentials', TokenExchange: 'urn:ietf:params:oauth:grant-type:token-exchange' } as const
export const grantName = ({ grant }: OauthParams): string => grantNames[grant ?? 'ClientCredentials']

/** @returns the endpoints, or what is wrong with the document: a sentence */
export function readMetadata(answer: Json, params: OauthParams): Result<Endpoints, string> {
  if (answer['issuer'] !== params.issuer) return fail('its metadata is of another issuer: `issuer` must be what it says, to the letter')
  const url = (name: string): string | undefined => {
    const value = answer[name]
    return typeof value === 'string' && value.length <= 2048 && isEndpoint(value) ? value : undefined
  }
  const lacks = (name: string, value: string): boolean => Array.isArray(answer[name]) && !answer[name].includes(value)
  const token = url('token_endpoint')
  if (token === undefined) return fail('its metadata names no `token_endpoint` with `https://`')
  if (lacks('token_endpoint_auth_methods_supported', 'private_key_jwt')) return fail('it does not take `private_key_jwt`')
  if (lacks('grant_types_supported', grantName(params))) return fail(`it does not know the grant \`${params.grant}\``)
  const [revocation, introspection] = [url('revocation_endpoint'), url('introspection_endpoint')]
  if (isChecked(params) && (revocation === undefined || introspection === undefined))
    return fail(
      'its metadata names no `revocation_endpoint` or no `introspection_endpoint` with `https://`, so nothing can be confirmed: set `revocation` to `ExpireOnly`',
    )
  return ok({ token, revocation, introspection })
}

export function createDiscovery(wire: OauthWire, clock: Pick<Clock, 'monotonic'>): Discovery {
  const known = new Map<string, { readonly endpoints: Endpoints; readonly until: number }>()

  async function discover(params: OauthParams): Promise<Result<Endpoints, NotFound>> {
    for (const url of documentsOf(params.issuer)) {
      const answer = await wire.get(params, url, patience)
      if (answer.ok) {
        const read = readMetadata(answer.value, params)
        return read.ok ? read : fail({ sentence: read.failure, config: true })
      }
      if (!answer.failure.absent) return fail({ sentence: `its metadata: ${answer.failure.sentence}`, config: false })
    }
    return fail({ sentence: 'it publishes no metadata for this `issuer`: set `tokenEndpoint` and the other endpoints', config: true })
  }

  return {
    async find(params, fresh = false) {
      const { tokenEndpoint, revocationEndpoint, introspectionEndpoint } = params
      if (tokenEndpoint !== undefined)
        return ok({ token: tokenEndpoint, revocation: revocationEndpoint, introspection: introspectionEndpoint })
      // a document is for everybody who asks with the same trust and for the same use
      const { issuer, caBundle, allowedAddresses, grant, revocation } = params
      const key = JSON.stringify([issuer, caBundle, allowedAddresses, grant, revocation])
      const kept = known.get(key)
      if (!fresh && kept !== undefined && clock.monotonic() < kept.until) return ok(kept.endpoints)
      const found = await discover(params)
      // what was known stays for those who have something to end
      if (!found.ok) return found
      if (known.size >= most) known.clear()
      known.set(key, { endpoints: found.value, until: clock.monotonic() + keeping })
      return found
    },
  }
}
