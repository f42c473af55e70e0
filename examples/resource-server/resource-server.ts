// A resource server that checks a Taskbound access token the way a real one would: discovery, keys, issuer, audience, type, scope,
// and the token status list. It refuses whatever it cannot check. Needs nothing but `jose`.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inflateSync } from 'node:zlib'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'

export interface ResourceServerOptions {
  /** the issuer's URL, as it stands in `iss` */
  readonly issuer: string
  /** what this server is called in `aud` */
  readonly audience: string
  /** the scope that a caller needs */
  readonly scope: string
}

export interface ResourceServer {
  /** Answers the claims, or throws an Error whose message says what is wrong. */
  check(token: string): Promise<JWTPayload>
  /** Serves HTTP, on loopback by default: 200 with the caller's task, or 401. Answers the port. */
  listen(port?: number, host?: string): Promise<number>
  close(): Promise<void>
}

interface CachedList {
  readonly bits: Uint8Array
  /** to be fetched again then */
  readonly until: number
}

const algorithms = ['ES256', 'RS256']
const timeout = () => AbortSignal.timeout(5_000)

export function createResourceServer({ issuer, audience, scope }: ResourceServerOptions): ResourceServer {
  let keys: ReturnType<typeof createRemoteJWKSet> | undefined
  const lists = new Map<string, CachedList>()

  async function discover(): Promise<ReturnType<typeof createRemoteJWKSet>> {
    if (keys !== undefined) return keys
    const reply = await fetch(`${issuer}/.well-known/openid-configuration`, { signal: timeout(), redirect: 'error' })
    const document = (await reply.json()) as { issuer?: string; jwks_uri?: string }
    if (document.issuer !== issuer || document.jwks_uri === undefined) throw new Error('the discovery document is of another issuer')
    keys = createRemoteJWKSet(new URL(document.jwks_uri))
    return keys
  }

  /** Fetches a status list and keeps it for its `ttl`, never past its `exp`. */
  async function statusList(uri: string): Promise<CachedList> {
    const cached = lists.get(uri)
    if (cached !== undefined && Date.now() < cached.until) return cached
    // The token was verified, but only our own issuer's lists may be asked for.
    if (!uri.startsWith(`${issuer}/`)) throw new Error('the status list is of another issuer')
    const reply = await fetch(uri, { signal: timeout(), redirect: 'error' })
    if (reply.status !== 200) throw new Error(`the status list cannot be had: ${reply.status}`)
    const { payload } = await jwtVerify(await reply.text(), await discover(), {
      algorithms,
      typ: 'statuslist+jwt',
      subject: uri,
      requiredClaims: ['iat', 'exp', 'ttl', 'status_list'],
    })
    const { bits, lst } = payload['status_list'] as { bits: number; lst: string }
    if (bits !== 1) throw new Error('the status list is of a kind that is not known here')
    const end = Math.min(Date.now() + Number(payload['ttl']) * 1000, (payload.exp ?? 0) * 1000)
    const list = { bits: inflateSync(Buffer.from(lst, 'base64url'), { maxOutputLength: 1 << 20 }), until: end }
    lists.set(uri, list)
    return list
  }

  async function check(token: string): Promise<JWTPayload> {
    const { payload } = await jwtVerify(token, await discover(), {
      issuer,
      audience,
      algorithms,
      typ: 'at+jwt',
      requiredClaims: ['exp', 'sub', 'client_id', 'iat', 'jti', 'status'],
    })
    if (
      !String(payload['scope'] ?? '')
        .split(' ')
        .includes(scope)
    )
      throw new Error('the token lacks the scope')
    const { uri, idx } = (payload['status'] as { status_list: { uri: string; idx: number } }).status_list
    const { bits } = await statusList(uri)
    if (!Number.isInteger(idx) || idx < 0 || idx >= bits.length * 8) throw new Error('the token has no place in the status list')
    if (((bits[idx >> 3] as number) >> (idx & 7)) & 1) throw new Error('the token was revoked')
    return payload
  }

  const server = createServer(async (request, response) => {
    try {
      const [scheme, token = ''] = (request.headers.authorization ?? '').split(' ')
      if (scheme !== 'Bearer') throw new Error('a Bearer token is needed')
      const { sub, taskbound } = await check(token)
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ sub, taskbound }))
    } catch (error) {
      response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end(`${(error as Error).message}\n`)
    }
  })

  return {
    check,
    listen: (port = 0, host = '127.0.0.1') =>
      new Promise((done) => {
        server.listen(port, host, () => done((server.address() as AddressInfo).port))
      }),
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}
