// HTTPS to the sources of providers: the only way out that is not SQL. No redirect is followed, nothing of the environment has a say, TLS is
// always verified, and every wait and every answer is bounded. What a source answers is handed on as it is, and believed by nobody here.

import type { ClientRequest, IncomingHttpHeaders } from 'node:http'
import { Agent, type AgentOptions, request } from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { createGuard, type Guard } from './addresses.ts'
import { guardedLookup, Refused, refuseLiteral } from './dial.ts'

/** By what a source that asks for it knows the operator. */
export interface ClientIdentity {
  /** PEM */
  readonly certificate: string
  readonly key: Material
}

/** Where a source is, and who may speak for it. */
export interface Target {
  /** `https:`, without a user */
  readonly url: string
  /** PEM; instead of the authorities that Node knows */
  readonly caBundle?: string | undefined
  /** networks that may be connected to though they would be refused */
  readonly allowedAddresses?: readonly string[] | undefined
  readonly identity?: ClientIdentity | undefined
}

export interface HttpCall extends Target {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /**
   * Milliseconds that all of it may take. As a function it is asked once there is a connection, as the last step before anything is sent,
   * and nothing is sent where nothing is left.
   */
  readonly limit: number | (() => number)
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** UTF-8, at most a megabyte */
  readonly body: string
}

/** Why there is no answer. `sent`: the source may have got it, and may do it yet. */
export interface HttpFailure {
  readonly sentence: string
  readonly sent: boolean
}

export interface Http {
  call(call: HttpCall): Promise<Result<HttpAnswer, HttpFailure>>
  close(): void
}

const connecting = 5_000
const mostBytes = 1 << 20
/** targets whose connections are kept; the least used go first */
const targets = 64

const sentences: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection is refused: is it up, and does the URL fit?',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOTFOUND: 'its name cannot be resolved',
  EAI_AGAIN: 'its name cannot be resolved at the moment',
  ETIMEDOUT: 'it does not answer in time',
  EHOSTUNREACH: 'it cannot be reached',
  ENETUNREACH: 'it cannot be reached',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself: put its authority into `caBundle`',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is from an authority that is not known: put it into `caBundle`',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is from an authority that is not known: put it into `caBundle`',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is from an authority that is not known: put it into `caBundle`',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate does not name the host of the URL',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it asks for a client certificate',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not accept the client certificate',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
  HPE_HEADER_OVERFLOW: 'the headers of its answer are too long',
  ERR_TOO_LONG: 'its answer is longer than a megabyte',
  ERR_TOO_LATE: 'there was no time left to send it',
}

/** Says it in our words: an error from outside may quote what was sent. */
function sentenceOf(error: unknown): string {
  if (error instanceof Refused) return error.message
  const { code } = error as { code?: unknown }
  return (typeof code === 'string' ? sentences[code] : undefined) ?? 'the connection failed'
}

const coded = (code: string): Error => Object.assign(new Error(code), { code })

/**
 * @param inside networks of the cluster, which are connected to only where a provider lists them
 * @param only guards all connections, whatever providers list
 */
export function createHttp(inside: readonly string[] = [], only?: Guard): Http {
  const agents = new Map<string, Agent>()

  function agentOf({ url, caBundle, allowedAddresses = [], identity }: Target): Agent {
    const key = JSON.stringify([new URL(url).origin, caBundle, allowedAddresses, identity?.certificate])
    const known = agents.get(key)
    if (known !== undefined) {
      // the order of a map is that of insertion: what is used is young again
      agents.delete(key)
      agents.set(key, known)
      return known
    }
    const options: AgentOptions = {
      keepAlive: true,
      // more than all bulkheads let through at a time: who waits for a socket is timed out as if the source were silent
      maxSockets: 64,
      maxFreeSockets: 4,
      timeout: 60_000,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      lookup: guardedLookup(only ?? createGuard(inside, allowedAddresses)),
      ...(caBundle === undefined ? {} : { ca: caBundle }),
      ...(identity === undefined ? {} : { cert: identity.certificate, key: new TextDecoder().decode(identity.key.reveal()) }),
    }
    const made = new Agent(options)
    agents.set(key, made)
    const [oldest] = agents.keys()
    if (agents.size > targets && oldest !== undefined) {
      agents.get(oldest)?.destroy()
      agents.delete(oldest)
    }
    return made
  }

  async function call(asked: HttpCall): Promise<Result<HttpAnswer, HttpFailure>> {
    const url = new URL(asked.url)
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const refused = refuseLiteral(only ?? createGuard(inside, asked.allowedAddresses ?? []), host)
    if (url.protocol !== 'https:' || url.username !== '' || url.password !== '')
      return fail({ sentence: 'the URL must begin with `https://` and hold no user', sent: false })
    if (refused !== undefined) return fail({ sentence: refused.message, sent: false })
    let sent = false
    try {
      const { method, headers, body } = asked
      const sending = request(url, {
        method,
        agent: agentOf(asked),
        headers: {
          'user-agent': 'taskbound',
          accept: 'application/json',
          ...headers,
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        },
      })
      return ok(
        await exchange(sending, asked, () => {
          sent = true
        }),
      )
    } catch (error) {
      return fail({ sentence: sentenceOf(error), sent })
    }
  }

  return {
    call,
    close() {
      for (const agent of agents.values()) agent.destroy()
      agents.clear()
    },
  }
}

/** Sends once there is a verified connection, and reads the whole answer. Rejects with what ended it. */
function exchange(sending: ClientRequest, { body, limit }: HttpCall, sends: () => void): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>()
  // what is destroyed shows as a cut connection: the reason is told first
  const give = (code: string): void => {
    reject(coded(code))
    sending.destroy()
  }
  let timer = setTimeout(() => give('ETIMEDOUT'), connecting)
  sending.on('error', reject)
  sending.on('socket', (socket: Socket) => {
    const go = (): void => {
      clearTimeout(timer)
      const left = typeof limit === 'number' ? limit : limit()
      if (left <= 0) give('ERR_TOO_LATE')
      else {
        timer = setTimeout(() => give('ETIMEDOUT'), left)
        sends()
        sending.end(body)
      }
    }
    const verified = socket instanceof TLSSocket && socket.authorized
    if (verified) go()
    else socket.once('secureConnect', go)
  })
  sending.on('response', (answer) => {
    const chunks: Buffer[] = []
    let size = 0
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > mostBytes) return give('ERR_TOO_LONG')
      chunks.push(chunk)
    })
    answer.on('error', reject)
    answer.on('end', () => {
      if (!answer.complete) return reject(coded('ECONNRESET'))
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() })
    })
  })
  return promise.finally(() => clearTimeout(timer))
}
