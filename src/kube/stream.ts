// One watch: an HTTP/2 stream cut into lines, which ends with a reason and never with an exception.
// It does not know what a line means.

import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { type Duration, seconds } from '../lib/instant.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { type ApiError, httpError, transportError } from './errors.ts'
import { cutStream, maybeActedOn, openStream } from './exchange.ts'
import { createLineSplitter } from './lines.ts'
import type { Lent } from './sessions.ts'
import type { Timers } from './timers.ts'

/** An object of etcd is at most 1.5 MB by default; nothing honest comes near it. */
const longestLine = 1 << 26
const answerLimit = seconds(30)

export interface WatchOptions {
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly accept?: string
  readonly signal: AbortSignal
  /** the stream is cut when no byte came for this long */
  readonly idleTimeout: Duration
}

/** Why a stream is over: the server closed it, it broke, it fell silent, we closed it, or a line was too long. */
export interface StreamEnd {
  readonly kind: 'closed' | 'cut' | 'idle' | 'aborted' | 'garbage'
  readonly message: string
}

export interface WatchStream {
  /** Batches of lines as they arrive. To be read once; leaving the loop closes the stream. */
  readonly batches: AsyncIterable<readonly Buffer[]>
  /** Why it is over; `undefined` while it is not. */
  ended(): StreamEnd | undefined
}

/** Waits for the answer's headers. The lent place is given back when the stream has closed. */
export async function openWatch(
  lent: Lent,
  headers: OutgoingHttpHeaders,
  options: WatchOptions,
  timers: Timers,
): Promise<Result<WatchStream, ApiError>> {
  const opened = openStream(lent.session, headers, undefined)
  if (!opened.ok) {
    lent.release()
    return opened
  }
  const stream = opened.value
  stream.once('close', () => lent.release())
  const abort = (): void => cutStream(stream)
  options.signal.addEventListener('abort', abort)
  stream.once('close', () => options.signal.removeEventListener('abort', abort))
  if (options.signal.aborted) abort()

  const answer = await answered(stream, lent, timers)
  if (!answer.ok) return answer
  const status = Number(answer.value[':status'])
  if (status !== 200) return fail(await refusal(stream, status, answer.value, timers))
  return ok(readLines(stream, lent, options, timers))
}

function answered(stream: ClientHttp2Stream, lent: Lent, timers: Timers): Promise<Result<IncomingHttpHeaders, ApiError>> {
  return new Promise((resolve) => {
    let problem = 'the stream was closed without an answer'
    let kind: 'connection' | 'timeout' = 'connection'
    const cancel = timers.after(answerLimit, () => {
      kind = 'timeout'
      problem = 'no answer in time'
      lent.suspect()
      cutStream(stream)
    })
    stream.on('error', (error) => {
      problem = error.message
    })
    stream.once('response', (headers) => {
      cancel()
      resolve(ok(headers))
    })
    stream.once('close', () => {
      cancel()
      resolve(fail(transportError(kind, problem, maybeActedOn(stream))))
    })
  })
}

async function refusal(stream: ClientHttp2Stream, status: number, headers: IncomingHttpHeaders, timers: Timers): Promise<ApiError> {
  const cancel = timers.after(answerLimit, () => cutStream(stream))
  const chunks: Buffer[] = []
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer)
  } catch {
    // a refusal that broke off is still a refusal of that status
  } finally {
    cancel()
  }
  const text = Buffer.concat(chunks).toString('utf8')
  try {
    return httpError(status, JSON.parse(text), headers)
  } catch {
    return httpError(status, text, headers)
  }
}

function readLines(stream: ClientHttp2Stream, lent: Lent, options: WatchOptions, timers: Timers): WatchStream {
  let end: StreamEnd | undefined
  let cancelIdle = (): void => {}
  const expectSomething = (): void => {
    cancelIdle()
    cancelIdle = timers.after(options.idleTimeout, () => {
      end ??= { kind: 'idle', message: `nothing came for ${Math.round(options.idleTimeout / 1000)} s` }
      lent.suspect()
      cutStream(stream)
    })
  }

  async function* batches(): AsyncGenerator<readonly Buffer[]> {
    const splitter = createLineSplitter(longestLine)
    expectSomething()
    try {
      for await (const chunk of stream) {
        expectSomething()
        const lines = splitter.push(chunk as Buffer)
        if (lines === undefined) {
          end ??= { kind: 'garbage', message: 'a line is too long' }
          return
        }
        if (lines.length > 0) yield lines
      }
      if (options.signal.aborted) end ??= { kind: 'aborted', message: 'closed by us' }
      if (stream.aborted || (stream.rstCode ?? 0) !== constants.NGHTTP2_NO_ERROR) end ??= { kind: 'cut', message: 'the stream was reset' }
      end ??= { kind: 'closed', message: 'the server closed the stream' }
    } catch (error) {
      if (options.signal.aborted) end ??= { kind: 'aborted', message: 'closed by us' }
      end ??= { kind: 'cut', message: error instanceof Error ? error.message : 'the stream broke' }
    } finally {
      cancelIdle()
      end ??= { kind: 'aborted', message: 'closed by us' }
      if (!stream.destroyed) cutStream(stream)
    }
  }

  return { batches: batches(), ended: () => end }
}
