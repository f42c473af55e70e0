// The provider `webhook` against the reference server of examples/webhook over TLS, and against a server that answers as a test wants.

import { createServer } from 'node:https'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { createLocalJWKSet } from 'jose'
import { createWebhookServer, type WebhookServer } from '../../../examples/webhook/webhook-server.ts'
import { generateKeyDocument } from '../../../src/issuer/key-document.ts'
import { createKeyring } from '../../../src/issuer/keyring.ts'
import { createLogins, loginIdentity } from '../../../src/issuer/logins.ts'
import { at, type Instant, milliseconds } from '../../../src/lib/instant.ts'
import { createHttp } from '../../../src/outbound/http.ts'
import type { Logins } from '../../../src/ports/login.ts'
import type { Lease, Order, Provider } from '../../../src/ports/provider.ts'
import type { WebhookParams } from '../../../src/providers/webhook/params.ts'
import type { ReadKey } from '../../../src/providers/webhook/proofs.ts'
import { createWebhookProvider } from '../../../src/providers/webhook/provider.ts'
import { createWebhookWire } from '../../../src/providers/webhook/wire.ts'
import { entropy, identity, makeOrder } from '../../issuer/world.ts'
import { ownCertificate } from '../../support/certificate.ts'
import { listening } from '../../support/listening.ts'
import { createRows } from '../rows.ts'

export const audience = 'https://keys.corp.example'
export const now = (): Instant => at(Date.now())
export const clock = { now, monotonic: () => milliseconds(performance.now()) }

const { cert, key, ca } = ownCertificate()
export const caBundle = ca
export const tls = { cert, key }

const made = await createKeyring(await generateKeyDocument(now(), 'ES256', ['Login']))
if (!made.ok) throw new Error(made.failure)
const keyring = made.value
export const loginKeys = keyring.jwks()
export const logins = createLogins({ signer: keyring, identity, clock, entropy })

/** One call to a service, with a login of the caller's choice. */
export async function callWith(params: WebhookParams, name: string, login: string, body: object) {
  const http = createHttp()
  const { url, caBundle, allowedAddresses } = params
  const answer = await http.call({
    method: 'POST',
    url: `${url}/v1/${name}`,
    caBundle,
    allowedAddresses,
    headers: { authorization: `Bearer ${login}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    limit: 5_000,
  })
  http.close()
  if (!answer.ok) throw new Error(answer.failure.sentence)
  return { status: answer.value.status, body: JSON.parse(answer.value.body || '{}') as Readonly<Record<string, unknown>> }
}

export interface World {
  readonly provider: Provider<WebhookParams>
  readonly params: WebhookParams
  readonly prefix: string
  lease(change?: Partial<Lease>): Lease
  order(change?: Partial<Order>): Order
  close(): Promise<void>
}

const noKeys: ReadKey = async (name) => ({ ok: false, failure: `Secret \`${name}\` does not exist` })

/** A provider at any service, with handles of an installation of its own. */
export function makeWorld(params: WebhookParams, signedBy: Logins, closing: () => Promise<void>, readKey: ReadKey = noKeys): World {
  const rows = createRows()
  const { prefix } = rows
  const http = createHttp()
  return {
    prefix,
    params,
    provider: rows.under(createWebhookProvider({ wire: createWebhookWire(http), logins: signedBy, readKey, clock, prefix })),
    lease: rows.lease,
    order: (other) =>
      makeOrder({
        credential: 'orders',
        audience: undefined,
        scopes: params.scopes.slice(0, 1),
        issuedAt: at(Math.floor(Date.now() / 1000) * 1000),
        expiresAt: at(Math.floor(Date.now() / 1000) * 1000 + 600_000),
        deadline: performance.now() + 25_000,
        ...other,
      }),
    async close() {
      http.close()
      await closing()
    },
  }
}

const paramsAt = (port: number, change: Partial<WebhookParams>): WebhookParams => ({
  url: `https://localhost:${port}`,
  audience,
  scopes: ['orders:read', 'orders:write'],
  caBundle,
  allowedAddresses: ['127.0.0.0/8', '::1'],
  revocationBoundSeconds: 5,
  maxTTLSeconds: 3600,
  ...change,
})

/** At the reference server. */
export async function referenceWorld(change: Partial<WebhookParams> = {}): Promise<World & { readonly server: WebhookServer }> {
  const server = createWebhookServer({ tls, issuer: loginIdentity(identity).url, audience, keys: createLocalJWKSet(loginKeys) })
  return { ...makeWorld(paramsAt(await server.listen(), change), logins, server.close), server }
}

export interface Asked {
  readonly call: string
  readonly authorization: string
  /** fingerprint of the client's certificate */
  readonly client: string | undefined
  readonly body: Readonly<Record<string, unknown>>
}
export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** sent as it is if it is text */
  readonly body: unknown
}

/** At a server that answers each call as it is told. */
export async function fakeWorld(answer: (asked: Asked) => Reply, change: Partial<WebhookParams> = {}, readKey = noKeys) {
  const asked: Asked[] = []
  const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: false }, async (request, response) => {
    const one = {
      call: `${request.method} ${request.url}`,
      authorization: request.headers.authorization ?? '',
      client: (request.socket as TLSSocket).getPeerCertificate().fingerprint256,
      body: JSON.parse(await text(request)) as Asked['body'],
    }
    asked.push(one)
    const { status = 200, headers = {}, body } = answer(one)
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  const port = await listening(server)
  const close = async () => {
    server.closeAllConnections()
    server.close()
  }
  return { ...makeWorld(paramsAt(port, change), logins, close, readKey), asked }
}
