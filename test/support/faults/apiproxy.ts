// Before the API server: hands requests and watches on, does with each write what the gate says, and can refuse writes as an API server does
// that is overloaded or has seen another writer. It reads what the operator writes, so that a test knows whatever was ever delivered.

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import {
  type ClientHttp2Session,
  connect,
  constants,
  createSecureServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { ownCertificate } from '../certificate.ts'
import { listening } from '../listening.ts'
import type { Call, Gate } from './gate.ts'

export interface ApiProxy {
  /** path of a kubeconfig that goes through the proxy */
  readonly kubeconfig: string
  /** Answers a write with this status instead of handing it on; `undefined` hands it on. */
  refuse: (call: Call) => 409 | 429 | 500 | undefined
  /** what was written into Secrets so far, and taken, in order */
  delivered(): readonly { readonly task: string; readonly data: Readonly<Record<string, string>> }[]
  /** the task of each row of the ledger that was written, by handle */
  handles(): ReadonlyMap<string, string>
  /** every token of a ServiceAccount that was ever made, with the name of what it is bound to, whoever got the answer */
  requested(): ReadonlyMap<string, string>
  close(): Promise<void>
}

interface Written {
  readonly metadata?: { readonly name?: string }
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: {
    readonly task?: { readonly name?: string }
    readonly boundObjectRef?: { readonly name?: string }
    readonly token?: string
  }
}

const reasons = { 409: 'Conflict', 429: 'TooManyRequests', 500: 'InternalError' } as const
const dropped = new Set(['host', 'connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'http2-settings'])

/** @param copy where to write the kubeconfig */
export async function startApiProxy(gate: Gate, kubeconfig: string, copy: string): Promise<ApiProxy> {
  const config = JSON.parse(readFileSync(kubeconfig, 'utf8'))
  const { cluster } = config.clusters[0]
  const { user } = config.users[0]
  const pem = (data: string | undefined): Buffer | undefined => (data === undefined ? undefined : Buffer.from(data, 'base64'))
  const tls = {
    ca: pem(cluster['certificate-authority-data']),
    cert: pem(user['client-certificate-data']),
    key: pem(user['client-key-data']),
  }
  const target = new URL(cluster.server)
  const own = ownCertificate()
  const handles = new Map<string, string>()
  const requested = new Map<string, string>()
  const delivered: { readonly task: string; readonly data: Readonly<Record<string, string>> }[] = []
  const sessions = new Map<ServerHttp2Session, ClientHttp2Session>()

  function upstreamOf(session: ServerHttp2Session): ClientHttp2Session {
    const known = sessions.get(session)
    if (known !== undefined && !known.destroyed && !known.closed) return known
    const made = connect(target.origin, tls)
    made.on('error', () => undefined)
    made.once('close', () => {
      if (sessions.get(session) === made) session.destroy()
    })
    session.once('close', () => {
      sessions.delete(session)
      // what is held still arrives
      made.close()
    })
    sessions.set(session, made)
    return made
  }

  /** Whose it is: a row names its task only where it is made, and what is kept or made for a row names only the row. */
  function callOf(method: string, path: string, body: Written): Call {
    const { boundObjectRef, token = '' } = body.spec ?? {}
    const said = body.metadata?.name ?? boundObjectRef?.name ?? requested.get(token)
    const name = said ?? /\/secrets\/([^/?]+)/.exec(path)?.[1]
    if (method === 'POST' && path.endsWith('/credentialleases')) handles.set(name ?? '', body.spec?.task?.name ?? '')
    const row = handles.get(/tb[a-z2-7]{36}/.exec(`${path} ${name}`)?.[0] ?? '')
    const given = /\/secrets(\/|$)/.test(path) ? name?.replace(/^taskbound-/, '') : undefined
    const task = row ?? /\/agenttasks\/([^/?]+)/.exec(path)?.[1] ?? given
    return { to: 'kube', what: `${method} ${path.split('?')[0]}`, task, name }
  }

  async function pass(near: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const method = headers[':method'] ?? 'GET'
    const path = headers[':path'] ?? '/'
    near.on('error', () => undefined)
    const session = near.session as ServerHttp2Session
    const writes = method !== 'GET'
    const body = writes ? Buffer.concat(await near.toArray()) : Buffer.alloc(0)
    const json = (body.length === 0 ? {} : JSON.parse(body.toString())) as Written
    const call = callOf(method, path, json)
    const cut = (): void => void (near.destroyed || near.close(constants.NGHTTP2_INTERNAL_ERROR))
    const refused = writes ? proxy.refuse(call) : undefined
    if (refused !== undefined) {
      const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: reasons[refused], code: refused, message: 'injected' }
      if (near.destroyed) return
      near.respond({ ':status': refused, 'content-type': 'application/json', ...(refused === 429 ? { 'retry-after': '1' } : {}) })
      return void near.end(JSON.stringify(status))
    }
    if (writes && (await gate.before(call)) === 'cut') return cut()
    const kept = Object.entries(headers).filter(([name]) => !name.startsWith(':') && !dropped.has(name))
    const asked: OutgoingHttpHeaders = { ...Object.fromEntries(kept), ':method': method, ':path': path, ':authority': target.host }
    const far = upstreamOf(session).request(asked, { endStream: body.length === 0 })
    if (body.length > 0) far.end(body)
    far.on('error', cut)
    const makesToken = /\/serviceaccounts\/[^/]+\/token$/.test(call.what)
    // what is made is known here, also where nobody waits for it any more
    if (!makesToken) near.once('close', () => far.close())
    const [answer] = (await once(far, 'response')) as [IncomingHttpHeaders]
    const ok = Number(answer[':status']) < 300
    const text = makesToken ? Buffer.concat(await far.toArray()).toString() : undefined
    if (ok && text !== undefined) requested.set(JSON.parse(text).status.token, call.name ?? '')
    const given = /^(POST|PUT) .*\/secrets(\/|$)/.test(call.what) && call.name === `taskbound-${call.task}`
    // one without data is written by who wants to withdraw it
    const { data = {} } = json
    if (ok && call.task !== undefined && given && Object.keys(data).length > 0) delivered.push({ task: call.task, data })
    if (writes && (await gate.after(call)) === 'cut') return cut()
    if (near.destroyed) return
    near.respond(answer as OutgoingHttpHeaders)
    if (text === undefined) far.pipe(near)
    else near.end(text)
  }

  const server = createSecureServer({ cert: own.cert, key: own.key })
  server.on('session', (session) => void session.on('error', () => undefined))
  server.on('stream', (near, headers) => {
    void pass(near, headers).catch(() => void (near.destroyed || near.close(constants.NGHTTP2_INTERNAL_ERROR)))
  })
  const through = `https://127.0.0.1:${await listening(server)}`
  const authority = { server: through, 'certificate-authority-data': Buffer.from(own.ca).toString('base64') }
  writeFileSync(copy, JSON.stringify({ ...config, clusters: [{ ...config.clusters[0], cluster: authority }] }), { mode: 0o600 })

  const proxy: ApiProxy = {
    kubeconfig: copy,
    refuse: () => undefined,
    delivered: () => delivered,
    handles: () => handles,
    requested: () => requested,
    async close() {
      for (const [near, far] of sessions) {
        far.destroy()
        near.destroy()
      }
      server.close()
      await once(server, 'close')
    },
  }
  return proxy
}
