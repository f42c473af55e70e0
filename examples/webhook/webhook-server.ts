// A service of the kind that a provider of type `webhook` asks: it makes, renews and revokes API keys by the contract of
// docs/reference/webhook.openapi.yaml. It shows what the contract wants of a real one. Its keys are in memory; needs nothing but `jose`.

import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createRemoteJWKSet, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'

export interface WebhookServerOptions {
  /** PEM */
  readonly tls: { readonly cert: string; readonly key: string }
  /** URL of the issuer of logins: that of the installation, and `/login` */
  readonly issuer: string
  /** what this service is called in `aud` */
  readonly audience: string
  /** keys of logins, where they are not fetched from the issuer */
  readonly keys?: JWTVerifyGetKey
}

export interface WebhookServer {
  /** Answers the port, on loopback. */
  listen(port?: number): Promise<number>
  /** What an API that is guarded by these keys asks: the scopes of a key that works, or nothing. */
  scopesOf(key: string): readonly string[] | undefined
  /** handles of keys that work */
  alive(): readonly string[]
  close(): Promise<void>
}

interface Entry {
  state: 'Live' | 'Revoked'
  key: string
  scopes: readonly string[]
  expiresAt: number
}

interface Body {
  readonly handle?: string
  readonly effectBy?: string
  readonly expiresAt?: string
  readonly notBefore?: string
  readonly prefix?: string
  readonly scopes?: readonly string[]
  readonly task?: { readonly uid?: string; readonly namespace?: string; readonly name?: string }
}

/** A refusal with the status code that the contract has for it. */
class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export function createWebhookServer({ tls, issuer, audience, keys }: WebhookServerOptions): WebhookServer {
  const known = keys ?? createRemoteJWKSet(new URL(`${issuer}/keys`))
  const entries = new Map<string, Entry>()

  async function whoAsks(authorization: string | undefined): Promise<JWTPayload> {
    const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1] ?? ''
    try {
      const rules = { issuer, audience, typ: 'JWT', algorithms: ['ES256', 'RS256'], requiredClaims: ['exp', 'iat', 'sub', 'jti'] }
      return (await jwtVerify(token, known, rules)).payload
    } catch {
      throw new Refusal(401, 'the login is not valid')
    }
  }

  const isOperator = ({ sub, taskbound }: JWTPayload): boolean => taskbound === undefined && /^spiffe:\/\/[^/]+\/taskbound$/.test(sub ?? '')

  /** A task is asked for with a login of that very task. */
  function mustBeOf(caller: JWTPayload, task: Body['task']): void {
    const claimed = (caller['taskbound'] as { task?: Body['task'] } | undefined)?.task
    const same =
      claimed?.uid !== undefined && claimed.uid === task?.uid && claimed.namespace === task.namespace && claimed.name === task.name
    if (!same) throw new Refusal(403, 'the login is not of this task')
  }

  function inTime(effectBy: string | undefined): void {
    if (!(Date.now() <= Date.parse(effectBy ?? ''))) throw new Refusal(410, 'too late')
  }

  const alive = (entry: Entry | undefined): entry is Entry => entry?.state === 'Live' && Date.now() < entry.expiresAt

  const given = ({ key, expiresAt }: Entry) => ({ fields: { key }, expiresAt: new Date(expiresAt).toISOString() })

  const ofTasks: Readonly<Record<string, (handle: string, body: Body) => object>> = {
    issue(handle, { effectBy, expiresAt, scopes = [] }) {
      inTime(effectBy)
      // dead or alive: a handle is used once
      if (entries.has(handle)) throw new Refusal(409, 'the handle was used before')
      const entry: Entry = { state: 'Live', key: randomBytes(32).toString('base64url'), scopes, expiresAt: Date.parse(expiresAt ?? '') }
      entries.set(handle, entry)
      return given(entry)
    },
    renew(handle, { effectBy, expiresAt }) {
      inTime(effectBy)
      const entry = entries.get(handle)
      if (!alive(entry)) throw new Refusal(409, 'it is not alive')
      entry.expiresAt = Date.parse(expiresAt ?? '')
      return given(entry)
    },
  }

  const ofOperators: Readonly<Record<string, (handle: string, body: Body) => object>> = {
    ready: () => ({ contract: 'v1' }),
    revoke(handle) {
      // also what was never made: an issue that is still on its way finds the handle used
      entries.set(handle, { ...(entries.get(handle) ?? { key: '', scopes: [], expiresAt: 0 }), state: 'Revoked', key: '' })
      return {}
    },
    inspect: (handle) => ({ state: entries.get(handle)?.state ?? 'Unknown' }),
    forget(handle, { notBefore }) {
      if (!(Date.now() >= Date.parse(notBefore ?? ''))) throw new Refusal(409, 'too early by the clock here')
      if (entries.get(handle)?.state === 'Live') throw new Refusal(409, 'it is alive')
      entries.delete(handle)
      return {}
    },
    list: (_handle, { prefix }) => ({ handles: [...entries.keys()].filter((handle) => prefix !== undefined && handle.startsWith(prefix)) }),
  }

  async function answer(path: string, authorization: string | undefined, body: Body): Promise<object> {
    const caller = await whoAsks(authorization)
    const call = /^\/v1\/(\w+)$/.exec(path)?.[1] ?? ''
    const [forTask, forOperator] = [ofTasks[call], ofOperators[call]]
    if (forTask !== undefined) {
      mustBeOf(caller, body.task)
      return forTask(body.handle ?? '', body)
    }
    if (forOperator === undefined) throw new Refusal(404, 'no such call')
    if (!isOperator(caller)) throw new Refusal(403, 'only the operator may ask that')
    return forOperator(body.handle ?? '', body)
  }

  const server: Server = createServer(tls, async (request, response) => {
    const reply = (status: number, body: object): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    try {
      if (request.method !== 'POST') throw new Refusal(404, 'no such call')
      const body = JSON.parse(await text(request)) as Body
      reply(200, await answer(request.url ?? '', request.headers.authorization, body))
    } catch (error) {
      if (error instanceof Refusal) reply(error.status, { error: error.message })
      else reply(400, { error: 'malformed' })
    }
  })

  return {
    listen: (port = 0) =>
      new Promise((resolve) => {
        server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
      }),
    scopesOf: (key) => [...entries.values()].find((entry) => alive(entry) && entry.key === key)?.scopes,
    alive: () => [...entries].flatMap(([handle, entry]) => (alive(entry) ? [handle] : [])),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
