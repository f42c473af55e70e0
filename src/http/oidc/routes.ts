// What the issuer serves: discovery, keys, the SPIFFE bundle and the status lists, the same from every replica.
// Every URL in an answer comes from configuration; nothing here depends on who asks.

import { createHash } from 'node:crypto'
import { bundleDocument, discoveryDocument, loginClaimNames, paths } from '../../issuer/discovery.ts'
import type { Keyring } from '../../issuer/keyring.ts'
import type { Published } from '../../issuer/statuslist/handed-on.ts'
import { statusListUri } from '../../issuer/statuslist/statuslist.ts'
import { seconds, toSeconds } from '../../lib/instant.ts'
import type { IssuerIdentity } from '../../ports/signer.ts'
import type { HttpAnswer, HttpRequest, Route } from '../route.ts'

export interface OidcDependencies {
  readonly identity: IssuerIdentity
  readonly keyring: () => Keyring
  /** the issuer of logins */
  readonly logins: { readonly identity: IssuerIdentity; readonly keyring: () => Keyring }
  /** the keys by which this installation is a client of authorization servers */
  readonly clientKeyring?: () => Keyring
  /** as `StatusLists` */
  readonly statuses: {
    publish(uri: string): Promise<Published>
    publishHere(uri: string): Promise<Published>
  }
}

/** Set by a replica that asks its leader; whoever reads it asks nobody further. */
export const hereHeader = 'taskbound-here'

/** New keys are published this long before their first use at the least, so a verifier that follows it never meets an unknown one. */
const keyLife = seconds(300)
const idPattern = /^[0-9a-f]{32}$/
// Verifiers in browsers may read these too: they are public.
const open = { 'access-control-allow-origin': '*' }

/** Routes below the path of the issuer's URL. */
export function oidcRoutes({ identity, keyring, logins, clientKeyring, statuses }: OidcDependencies): readonly Route[] {
  const base = baseOf(identity)

  async function statusList(request: HttpRequest): Promise<HttpAnswer> {
    if (!idPattern.test(request.parameter)) return { status: 404, headers: open, body: 'no such status list\n' }
    const uri = statusListUri(identity, request.parameter)
    const published = await (request.header(hereHeader) === undefined ? statuses.publish(uri) : statuses.publishHere(uri))
    const fresh = { ...open, 'cache-control': 'no-cache' }
    if (published === 'unknown') return { status: 404, headers: fresh, body: 'no such status list\n' }
    if (published === 'unavailable') return { status: 503, headers: { ...fresh, 'retry-after': '1' }, body: 'try again\n' }
    // The token's own `ttl` says how long to keep it: a cache on the way would add its time to that.
    return tagged(request, { 'content-type': 'application/statuslist+jwt', 'cache-control': 'no-cache' }, published.token)
  }

  return [
    ...issuerDocuments(identity, keyring, (keys) => discoveryDocument(identity, keys)),
    ...issuerDocuments(logins.identity, logins.keyring, (keys) => discoveryDocument(logins.identity, keys, loginClaimNames)),
    ...(clientKeyring === undefined ? [] : [{ path: base + paths.clientKeys, handle: keysOf(clientKeyring) }]),
    {
      path: base + paths.bundle,
      handle: document('application/json', () => bundleDocument(keyring().spiffeKeys(), keyring().revision, keyLife)),
    },
    { path: `${base}${paths.statusLists}/*`, handle: statusList },
  ]
}

const baseOf = ({ url }: IssuerIdentity): string => new URL(url).pathname.replace(/\/$/, '')

const document = (type: string, make: () => unknown) => (request: HttpRequest) =>
  tagged(request, { 'content-type': type, 'cache-control': `public, max-age=${toSeconds(keyLife)}` }, JSON.stringify(make()))

const keysOf = (keyring: () => Keyring) => document('application/jwk-set+json', () => keyring().jwks())

function issuerDocuments(
  identity: IssuerIdentity,
  keyring: () => Keyring,
  discover: (keys: ReturnType<Keyring['jwks']>) => unknown,
): readonly Route[] {
  const base = baseOf(identity)
  return [
    { path: base + paths.discovery, handle: document('application/json', () => discover(keyring().jwks())) },
    { path: base + paths.keys, handle: keysOf(keyring) },
  ]
}

function tagged(request: HttpRequest, headers: Readonly<Record<string, string>>, body: string): HttpAnswer {
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
  const all = { ...open, ...headers, etag }
  return request.header('if-none-match') === etag ? { status: 304, headers: all, body: '' } : { status: 200, headers: all, body }
}
