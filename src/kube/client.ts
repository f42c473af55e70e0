// The only way to the API server: requests and watch streams over a few shared HTTP/2 sessions.
// It obeys 429 and Retry-After, never opens a connection for a request, and never logs what it carries.

import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { type Duration, milliseconds, seconds } from '../lib/instant.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Meter } from '../ports/meter.ts'
import type { KubeConnection } from './connection.ts'
import { type ApiError, httpError, transportError } from './errors.ts'
import { exchange, type RawAnswer } from './exchange.ts'
import { createLanes, type Priority } from './lanes.ts'
import { retryDelay } from './retry.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { openWatch, type WatchOptions, type WatchStream } from './stream.ts'
import { realTimers, sleep, type Timers } from './timers.ts'

export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface RequestOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** begins with a slash, without query */
  readonly path: string
  readonly query?: Query
  /** made into JSON; a Buffer is sent as it is */
  readonly body?: unknown
  readonly contentType?: string
  readonly accept?: string
  /** from the call to the answer, waiting and retries included; default 15 s */
  readonly timeout?: Duration
  /** `end` overtakes everything else */
  readonly priority?: Priority
  readonly signal?: AbortSignal
}

export interface Answer<T> {
  readonly status: number
  readonly body: T
  readonly headers: IncomingHttpHeaders
}

export interface KubeClient {
  /** Answers with the parsed JSON of a 2xx answer, or a tagged error; never throws. A body that is no JSON is a string. */
  request<T = unknown>(options: RequestOptions): Promise<Result<Answer<T>, ApiError>>
  /** Opens a watch; the lines come in batches, each line the bytes of one JSON event. */
  stream(options: WatchOptions): Promise<Result<WatchStream, ApiError>>
  /** Breaks every connection; what is in flight fails. */
  close(): void
  /** connections opened since the start, requests in flight and waiting */
  counts(): { readonly connections: number; readonly inFlight: number; readonly waiting: number }
}

export interface ClientDeps {
  readonly connection: KubeConnection
  readonly userAgent: string
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'unit'>
  readonly meter?: Pick<Meter, 'apiRequest'>
  /** the header by which the API server's own spans join ours */
  readonly traceparent?: () => string | undefined
  readonly timers?: Timers
  /** `Impersonate-User`; goes before what the connection's configuration says */
  readonly impersonate?: string
  /** requests in flight at most; default 32, of which an eighth are kept for `end` */
  readonly inFlight?: number
}

interface HeaderSource {
  readonly method: string
  readonly path: string
  readonly query?: Query
  readonly accept?: string
}

const usualTimeout = seconds(15)

export function createKubeClient(deps: ClientDeps): KubeClient {
  const { connection, clock, entropy } = deps
  const timers = deps.timers ?? realTimers
  const limit = deps.inFlight ?? 32
  const lanes = createLanes(limit, Math.max(1, Math.floor(limit / 8)))
  const sessions = createSessions({ connection, timers, limit: 2 })
  const watchSessions = createSessions({ connection, timers, limit: 2 })
  const prefix = new URL(connection.server).pathname.replace(/\/+$/, '')
  const impersonate = deps.impersonate ?? connection.impersonate

  async function headersOf(request: HeaderSource): Promise<Result<OutgoingHttpHeaders, ApiError>> {
    let authorization: string | undefined
    try {
      authorization = await connection.authorization()
    } catch (error) {
      return fail(transportError('connection', `no credentials: ${error instanceof Error ? error.message : 'unknown'}`, false))
    }
    const traceparent = deps.traceparent?.()
    return ok({
      [constants.HTTP2_HEADER_METHOD]: request.method,
      [constants.HTTP2_HEADER_PATH]: `${prefix}${request.path}${search(request.query)}`,
      accept: request.accept ?? 'application/json',
      'user-agent': deps.userAgent,
      ...(authorization === undefined ? {} : { authorization }),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(impersonate === undefined ? {} : { 'impersonate-user': impersonate }),
    })
  }

  async function once(options: RequestOptions, body: Buffer | undefined, signal: AbortSignal): Promise<Result<Answer<unknown>, ApiError>> {
    const leave = await lanes.enter(options.priority ?? 'normal', signal)
    if (leave === undefined) return fail(transportError(signal.reason, 'still waiting for its turn', false))
    try {
      const prepared = await headersOf(options)
      if (!prepared.ok) return prepared
      const headers = prepared.value
      if (body !== undefined) {
        headers['content-type'] = options.contentType ?? 'application/json'
        headers['content-length'] = body.length
      }
      const lent = await orAborted(sessions.lend(), signal)
      if (!lent.ok) return lent
      const raw = await exchange(lent.value, headers, body, signal)
      if (!raw.ok && raw.failure.kind === 'timeout') lent.value.suspect()
      return raw.ok ? readAnswer(raw.value) : raw
    } finally {
      leave()
    }
  }

  async function withRetries(options: RequestOptions, body: Buffer | undefined, signal: AbortSignal, until: Duration) {
    let refreshed = false
    for (let attempt = 1; ; attempt++) {
      const answer = await once(options, body, signal)
      if (answer.ok) return answer
      if (answer.failure.kind === 'http' && answer.failure.status === 401 && !refreshed) {
        refreshed = true
        connection.refresh()
        continue
      }
      const delay = retryDelay(answer.failure, options.method, attempt, entropy.unit())
      if (delay === undefined || clock.monotonic() + delay >= until) return answer
      await sleep(timers, delay, signal)
      if (signal.aborted) return answer
    }
  }

  return {
    async request<T>(options: RequestOptions) {
      const started = clock.monotonic()
      const timeout = options.timeout ?? usualTimeout
      const ending = new AbortController()
      const abort = (): void => ending.abort('aborted')
      const cancelTimer = timers.after(timeout, () => ending.abort('timeout'))
      if (options.signal?.aborted === true) abort()
      options.signal?.addEventListener('abort', abort)
      const answer = await withRetries(options, encode(options.body), ending.signal, milliseconds(started + timeout))
      cancelTimer()
      options.signal?.removeEventListener('abort', abort)
      const code = answer.ok ? answer.value.status : answer.failure.kind === 'http' ? answer.failure.status : 0
      deps.meter?.apiRequest(options.method, resourceIn(options.path), code, milliseconds(clock.monotonic() - started))
      return answer as Result<Answer<T>, ApiError>
    },
    async stream(options) {
      const prepared = await headersOf({ method: 'GET', ...options })
      if (!prepared.ok) return prepared
      const opened = await openOn(watchSessions, options, prepared.value)
      if (!opened.ok && opened.failure.kind === 'http' && opened.failure.status === 401) connection.refresh()
      return opened
    },
    close() {
      sessions.close()
      watchSessions.close()
    },
    counts: () => ({
      connections: sessions.opened() + watchSessions.opened(),
      inFlight: lanes.inFlight(),
      waiting: lanes.waiting(),
    }),
  }

  async function openOn(pool: Sessions, options: WatchOptions, headers: OutgoingHttpHeaders): Promise<Result<WatchStream, ApiError>> {
    const lent = await orAborted(pool.lend(), options.signal)
    return lent.ok ? openWatch(lent.value, headers, options, timers) : lent
  }
}

function encode(body: unknown): Buffer | undefined {
  return body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
}

function readAnswer(raw: RawAnswer): Result<Answer<unknown>, ApiError> {
  const { status, headers } = raw
  let body: unknown = raw.body.toString('utf8')
  if (headers['content-type']?.includes('json') === true) {
    try {
      body = JSON.parse(body as string)
    } catch {
      if (status < 300) return fail(transportError('connection', 'the answer is not the JSON that it says it is', true))
    }
  }
  return status >= 200 && status < 300 ? ok({ status, headers, body }) : fail(httpError(status, body, headers))
}

function search(query: Query | undefined): string {
  if (query === undefined) return ''
  const given = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.append(name, String(value))
  const text = given.toString()
  return text === '' ? '' : `?${text}`
}

/** The plural in a path, with its subresource: few enough values for a metric's label. */
export function resourceIn(path: string): string {
  const parts = path.split('/').slice(1)
  const rest = parts[0] === 'api' ? parts.slice(2) : parts[0] === 'apis' ? parts.slice(3) : undefined
  if (rest === undefined) return 'other'
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2 ? rest.slice(2) : rest
  return inNamespace[2] === undefined ? (inNamespace[0] ?? 'other') : `${inNamespace[0]}/${inNamespace[2]}`
}

/** A session is opened for whoever needs it next, so giving up on one wastes nothing; a place lent too late is given back. */
async function orAborted(lending: ReturnType<Sessions['lend']>, signal: AbortSignal): ReturnType<Sessions['lend']> {
  const ended = Promise.withResolvers<'ended'>()
  const end = (): void => ended.resolve('ended')
  if (signal.aborted) end()
  signal.addEventListener('abort', end)
  const first = await Promise.race([lending, ended.promise])
  signal.removeEventListener('abort', end)
  if (first !== 'ended') return first
  void lending.then((late) => late.ok && late.value.release())
  const kind = signal.reason === 'timeout' ? 'timeout' : 'aborted'
  return fail(transportError(kind, 'no connection in time', false))
}
