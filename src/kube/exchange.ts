// One request and its whole answer over one HTTP/2 session. Knows nothing of Kubernetes but JSON.
// Its main duty is `sent`: whether a request without an answer may have been acted on.

import { type ClientHttp2Session, type ClientHttp2Stream, constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { fail, ok, type Result } from '../lib/result.ts'
import { type TransportError, transportError } from './errors.ts'
import type { Lent } from './sessions.ts'

/** Larger answers are refused: no page of a list comes near it. */
const largestBody = 1 << 28

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** What the reason of an aborted signal must be. */
export type Ending = 'timeout' | 'aborted'

/**
 * Opens a stream. A session that refuses at once has sent nothing, which is what the failure says.
 * Aborting `signal` closes the stream.
 */
export function openStream(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: Buffer | undefined,
): Result<ClientHttp2Stream, TransportError> {
  try {
    const stream = session.request(headers, { endStream: body === undefined })
    if (body !== undefined) stream.end(body)
    return ok(stream)
  } catch (error) {
    return fail(transportError('connection', error instanceof Error ? error.message : 'the session is closed', false))
  }
}

/** Whether a stream that broke without an answer may have been acted on. A refused stream was not (RFC 9113, section 8.7). */
export function maybeActedOn(stream: ClientHttp2Stream): boolean {
  return stream.id !== undefined && stream.rstCode !== constants.NGHTTP2_REFUSED_STREAM
}

/** Ends a stream here and now: a peer that no longer reads must not hold up whoever gives up on it. */
export function cutStream(stream: ClientHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL)
  stream.destroy()
}

/** Sends and collects. Never throws. The lent place is given back when the stream has closed. */
export function exchange(
  lent: Lent,
  headers: OutgoingHttpHeaders,
  body: Buffer | undefined,
  signal: AbortSignal,
): Promise<Result<RawAnswer, TransportError>> {
  const opened: Result<ClientHttp2Stream, TransportError> = signal.aborted
    ? fail(transportError(signal.reason as Ending, 'not sent', false))
    : openStream(lent.session, headers, body)
  if (!opened.ok) {
    lent.release()
    return Promise.resolve(opened)
  }
  const stream = opened.value
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    let answer: IncomingHttpHeaders | undefined
    let whole = false
    let problem = 'the stream was closed without an answer'
    const stop = (): void => cutStream(stream)
    signal.addEventListener('abort', stop, { once: true })
    stream.on('response', (received) => {
      answer = received
    })
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= largestBody) chunks.push(chunk)
      else {
        problem = 'the answer is too large'
        stop()
      }
    })
    stream.on('end', () => {
      whole = true
    })
    stream.on('error', (error) => {
      problem = error.message
    })
    stream.once('close', () => {
      lent.release()
      signal.removeEventListener('abort', stop)
      if (answer !== undefined && whole && !stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR) {
        resolve(
          ok({
            status: Number(answer[':status']),
            headers: answer,
            body: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks),
          }),
        )
      } else if (signal.aborted) {
        resolve(fail(transportError(signal.reason as Ending, 'no answer in time', maybeActedOn(stream))))
      } else {
        resolve(fail(transportError('connection', problem, maybeActedOn(stream))))
      }
    })
  })
}
