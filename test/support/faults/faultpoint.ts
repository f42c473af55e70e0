// Loaded before the operator (`--import`): at one chosen request of its own to the API server the process kills or stops itself, or loses
// the answer. FAULTPOINT is JSON: {"match": "PUT .*/secrets/x$", "nth": 1, "when": "before" | "after", "what": "SIGKILL" | "SIGSTOP" | "drop"}.
// The operator has no part in it: only Node's HTTP/2 client is wrapped.

import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import { syncBuiltinESMExports } from 'node:module'

interface Fault {
  readonly match: string
  /** counted only after such a request was seen */
  readonly since?: string
  readonly nth: number
  readonly when: 'before' | 'after'
  readonly what: 'SIGKILL' | 'SIGSTOP' | 'drop'
}

const fault = JSON.parse(process.env['FAULTPOINT'] ?? 'null') as Fault | null
if (fault !== null) {
  const pattern = new RegExp(fault.match)
  const connect = http2.connect
  const since = fault.since === undefined ? undefined : new RegExp(fault.since)
  let armed = since === undefined
  let seen = 0

  const strike = (stream: ClientHttp2Stream | undefined): void => {
    process.stderr.write(`fault ${fault.what} ${fault.when} ${fault.match}\n`)
    if (fault.what === 'drop') stream?.destroy(new Error('the answer is lost'))
    else process.kill(process.pid, fault.what)
  }

  const wrap = (session: ClientHttp2Session): ClientHttp2Session => {
    const request = session.request.bind(session)
    session.request = (headers, options) => {
      const { ':method': method, ':path': path } = (headers ?? {}) as OutgoingHttpHeaders
      const called = `${method} ${path}`
      const counts = armed && pattern.test(called)
      if (since?.test(called) === true) armed = true
      if (!counts) return request(headers, options)
      seen += 1
      const mine = seen === fault.nth
      if (mine && fault.when === 'before') strike(undefined)
      const stream = request(headers, options)
      // the server has acted once it answers; nobody has read the answer yet
      if (mine && fault.when === 'after') stream.prependOnceListener('response', () => strike(stream))
      return stream
    }
    return session
  }
  http2.connect = ((...args: Parameters<typeof connect>) => wrap(connect(...args))) as typeof connect
  syncBuiltinESMExports()
}
