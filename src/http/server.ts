// A small HTTP server for documents: GET and HEAD on fixed paths, with limits on everything a client can make long or slow.
// Ignores the Host header and every forwarded one; takes no request body.

import { createServer as createPlain, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTls, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Log } from '../ports/log.ts'
import { findRoute, type Route } from './route.ts'

/** PEM */
export interface TlsMaterial {
  readonly cert: string
  readonly key: string
}

export interface HttpServerOptions {
  /** for the log */
  readonly name: string
  /** absent: all interfaces, of both address families where there are both */
  readonly host?: string
  /** 0: any free one */
  readonly port: number
  readonly routes: readonly Route[]
  /** absent: plain HTTP */
  readonly tls?: TlsMaterial
  readonly log: Log
}

export interface HttpServer {
  /** Answers the port that it listens on. */
  start(): Promise<number>
  /** Stops listening, lets running requests end for a moment, then cuts what is left. */
  stop(): Promise<void>
  /** Serves new connections with another certificate; running ones go on. */
  reload(tls: TlsMaterial): void
}

const limits = {
  maxHeaderSize: 16_384,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 15_000,
  connectionsCheckingInterval: 2_000,
}
const maxConnections = 2_048
const maxPath = 512
const graceMilliseconds = 3_000
const common = { 'x-content-type-options': 'nosniff' }

export function createHttpServer({ name, host, port, routes, tls, log }: HttpServerOptions): HttpServer {
  const listener = (request: IncomingMessage, response: ServerResponse): void => void serve(request, response)
  const secure: TlsServer | undefined = tls && createTls({ ...limits, minVersion: 'TLSv1.2', ...tls }, listener)
  const server: Server = secure ?? createPlain(limits, listener)
  server.maxConnections = maxConnections
  server.maxRequestsPerSocket = 10_000

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await answer(request, response)
    } catch (error) {
      log.error('http request failed', { server: name, error: error instanceof Error ? error : undefined })
      if (!response.headersSent) send(request, response, { status: 500, body: 'internal error\n' })
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (hasBody(request)) return refuse(request, response, 413, 'no request body is taken here\n')
    const target = request.url ?? ''
    // An absolute or asterisk form names a host of the client's choice; there is none to choose here.
    if (!target.startsWith('/') || target.length > maxPath) return refuse(request, response, 400, 'bad request\n')
    const question = target.indexOf('?')
    const path = question < 0 ? target : target.slice(0, question)
    const found = findRoute(routes, path)
    if (found === undefined) return send(request, response, { status: 404, body: 'not found\n' })
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return send(request, response, { status: 405, headers: { allow: 'GET, HEAD' }, body: 'method not allowed\n' })
    }
    const query = new URLSearchParams(question < 0 ? '' : target.slice(question))
    send(request, response, await found.handle({ parameter: found.parameter, query, header: (key) => single(request.headers[key]) }))
  }

  return {
    start: () =>
      new Promise((done, refused) => {
        server.once('error', refused)
        server.listen(port, host, () => {
          server.off('error', refused)
          server.on('error', (error) => log.error('http server failed', { server: name, error }))
          done((server.address() as AddressInfo).port)
        })
      }),
    stop: () =>
      new Promise((done) => {
        const cut = setTimeout(() => server.closeAllConnections(), graceMilliseconds)
        server.close(() => {
          clearTimeout(cut)
          done()
        })
        server.closeIdleConnections()
      }),
    reload: (next) => secure?.setSecureContext({ minVersion: 'TLSv1.2', ...next }),
  }
}

interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

function send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
  const bytes = Buffer.from(body)
  const type = { 'content-type': 'text/plain; charset=utf-8' }
  response.writeHead(status, { ...common, ...type, ...headers, ...(status === 304 ? {} : { 'content-length': String(bytes.length) }) })
  response.end(request.method === 'HEAD' || status === 304 ? undefined : bytes)
}

/** Answers and closes the connection, so that what the client still sends is not read as its next request. */
function refuse(request: IncomingMessage, response: ServerResponse, status: number, body: string): void {
  response.once('finish', () => request.socket.destroySoon())
  send(request, response, { status, headers: { connection: 'close' }, body })
}

const hasBody = (request: IncomingMessage): boolean =>
  request.headers['transfer-encoding'] !== undefined || (request.headers['content-length'] ?? '0') !== '0'

const single = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value)
