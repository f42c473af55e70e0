// A strict stand-in for somebody's server, over HTTPS at loopback, but for what it knows: a test may answer in its place, change what it
// answers, or cut the connection before it has done anything or after it.

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { ownCertificate } from './certificate.ts'
import { listening } from './listening.ts'

export interface Answer {
  readonly status: number
  /** a text as it is, everything else in JSON */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** milliseconds between single bytes */
  readonly drip?: number
}
type Fate = Answer | 'cut' | undefined

export interface StandIn<Request> {
  /** all of them, in order */
  readonly requests: Request[]
  /** answers in the place of the server, before it has done anything */
  before: ((request: Request) => Fate | Promise<Fate>) | undefined
  /** changes what was done into another answer, or cuts it */
  after: ((request: Request, answer: Answer) => Fate | Promise<Fate>) | undefined
  readonly port: number
  readonly caBundle: string
  close(): Promise<void>
}

/**
 * @param read what a test is told of a request
 * @param act what the server does
 * @param type of its answers
 */
export async function startStandIn<Request>(
  read: (incoming: IncomingMessage, text: string) => Request,
  act: (request: Request) => Answer | Promise<Answer>,
  type = 'application/json',
): Promise<StandIn<Request>> {
  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = read(incoming, (await incoming.toArray()).join(''))
    standIn.requests.push(request)
    const done = (await standIn.before?.(request)) ?? (await act(request))
    const answer = done === 'cut' ? 'cut' : ((await standIn.after?.(request, done)) ?? done)
    if (answer === 'cut') return void response.destroy()
    const { status, headers, body = '', drip } = answer
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    response.writeHead(status, { 'content-type': type, ...headers })
    if (drip === undefined) return void response.end(text)
    for (const byte of text) {
      if (response.destroyed) return
      response.write(byte)
      await sleep(drip)
    }
    response.end()
  }

  const { cert, key, ca } = ownCertificate()
  const server = createServer({ cert, key }, (incoming, response) => void serve(incoming, response))
  const standIn: StandIn<Request> = {
    requests: [],
    before: undefined,
    after: undefined,
    port: await listening(server),
    caBundle: ca,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return standIn
}
