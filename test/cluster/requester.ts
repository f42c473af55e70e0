// Plain JSON requests to one API server over kept-alive connections: for tests and for what waits until a server is up.
// Must not be used by the operator, which has a transport of its own, so that a fault in that one cannot hide itself.
import type { OutgoingHttpHeaders } from 'node:http'
import { Agent, request as send } from 'node:https'

export interface Endpoint {
  /** `https://host:port`, maybe with a path. */
  readonly server: string
  /** PEM. Absent: the system's own authorities. */
  readonly ca?: string
  readonly certificate?: string
  readonly key?: string
  readonly token?: string
}

export interface RequestOptions {
  /** Impersonated user, for example `system:serviceaccount:default:agent`. */
  readonly as?: string
  readonly groups?: readonly string[]
  readonly uid?: string
  /** Extra of the impersonated user, for example `authentication.kubernetes.io/pod-uid`. */
  readonly extra?: Readonly<Record<string, string>>
  /** Asks with this bearer token and without the client certificate, which would win over it. */
  readonly token?: string
  /** Default `application/json`; a PATCH defaults to `application/merge-patch+json`. */
  readonly contentType?: string
  readonly timeoutMs?: number
}

export interface Reply {
  readonly status: number
  /** Parsed JSON, or the text when it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever the server sent
  readonly body: any
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

export interface Requester {
  /** Any status is an answer; rejects only when no answer came. A string body is sent as it is, everything else as JSON. */
  request(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<Reply>
  close(): void
}

export function createRequester(endpoint: Endpoint): Requester {
  const { server, ca, certificate, key, token } = endpoint
  const trust = { keepAlive: true, ...(ca === undefined ? {} : { ca }) }
  const asOwner = new Agent({
    ...trust,
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
  })
  const asNobody = new Agent(trust)

  function request(method: string, path: string, body?: unknown, options: RequestOptions = {}): Promise<Reply> {
    const bearer = options.token ?? token
    const usual = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    const headers: OutgoingHttpHeaders = { accept: 'application/json' }
    if (body !== undefined) headers['content-type'] = options.contentType ?? usual
    if (bearer !== undefined) headers['authorization'] = `Bearer ${bearer}`
    if (options.as !== undefined) headers['impersonate-user'] = options.as
    if (options.groups !== undefined) headers['impersonate-group'] = [...options.groups]
    if (options.uid !== undefined) headers['impersonate-uid'] = options.uid
    for (const [name, value] of Object.entries(options.extra ?? {})) headers[`impersonate-extra-${encodeURIComponent(name)}`] = value
    const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
    // without it Node sends the body of a DELETE unframed, and the server takes it for the next request
    if (payload !== undefined) headers['content-length'] = Buffer.byteLength(payload)
    const url = server.replace(/\/$/, '') + path
    return new Promise((resolve, reject) => {
      const agent = options.token === undefined ? asOwner : asNobody
      const outgoing = send(url, { method, headers, agent }, (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({ status: incoming.statusCode ?? 0, body: parsed(text), headers: incoming.headers })
        })
      })
      const timeoutMs = options.timeoutMs ?? 30_000
      outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error(`${method} ${path}: no answer in ${timeoutMs} ms`)))
      outgoing.on('error', reject)
      outgoing.end(payload)
    })
  }

  return {
    request,
    close: () => {
      asOwner.destroy()
      asNobody.destroy()
    },
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
