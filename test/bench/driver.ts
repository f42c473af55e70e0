// The ruler of the benchmark: one HTTP/2 connection for requests, one for its own watch of Secrets. It times and does not help.

import { once } from 'node:events'
import http2, { type ClientHttp2Session } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Endpoint } from '../cluster/requester.ts'

export interface Driver {
  /** Answers the parsed body; anything but 2xx is an error. */
  call(method: string, path: string, body?: unknown, options?: { readonly type?: string; readonly as?: string }): Promise<Answer>
  /** Watches a collection from now on; the answer ends it. */
  follow(path: string, take: (type: string, object: Answer, at: number) => void): Promise<() => void>
  /** Follows the Secrets of a namespace: when each was first seen with data, and when it was gone. */
  watch(namespace: string): Promise<Seen>
  close(): void
}

export interface Answer {
  readonly metadata: Metadata
  readonly status?: Readonly<Record<string, unknown>>
  readonly data?: Readonly<Record<string, string>>
}

export interface Metadata {
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly object[]
}

export interface Seen {
  readonly made: Map<string, number>
  readonly gone: Map<string, number>
  /** Resolves once a Secret was seen, at once when it was already. */
  wait(which: 'made' | 'gone', name: string): Promise<void>
  stop(): void
}

export function createDriver({ server, ca, certificate, key }: Endpoint): Driver {
  const open = (): ClientHttp2Session => {
    const session = http2.connect(server, {
      ...(ca === undefined ? {} : { ca }),
      ...(certificate === undefined ? {} : { cert: certificate }),
      ...(key === undefined ? {} : { key }),
    })
    session.on('error', () => undefined)
    return session
  }
  let session = open()
  const watching: ClientHttp2Session[] = []

  const call: Driver['call'] = async (method, path, body, { type = 'application/json', as } = {}) => {
    if (session.closed || session.destroyed) session = open()
    const headers = {
      ':method': method,
      ':path': path,
      'content-type': type,
      accept: 'application/json',
      ...(as === undefined ? {} : { 'impersonate-user': as }),
    }
    // Node would end a DELETE at once, without its body
    const stream = session.request(headers, { endStream: body === undefined })
    const chunks: Buffer[] = []
    let status = 0
    stream.on('response', (answer) => {
      status = Number(answer[':status'])
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    if (body !== undefined) stream.end(JSON.stringify(body))
    await once(stream, 'end')
    const text = Buffer.concat(chunks).toString()
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`)
    return JSON.parse(text) as Answer
  }

  const follow: Driver['follow'] = async (path, take) => {
    const { metadata } = await call('GET', `${path}?limit=1`)
    const own = open()
    watching.push(own)
    const stream = own.request({ ':path': `${path}?watch=1&resourceVersion=${metadata.resourceVersion}`, accept: 'application/json' })
    let rest = ''
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      const at = performance.now()
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const { type, object } = JSON.parse(line) as { type: string; object: Answer }
        take(type, object, at)
      }
    })
    return () => own.destroy()
  }

  return {
    call,
    follow,
    async watch(namespace) {
      const seen = { made: new Map<string, number>(), gone: new Map<string, number>() }
      const waiting = new Map<string, () => void>()
      const note = (which: 'made' | 'gone', name: string, at: number): void => {
        if (seen[which].has(name)) return
        seen[which].set(name, at)
        waiting.get(`${which} ${name}`)?.()
      }
      const stop = await follow(`/api/v1/namespaces/${namespace}/secrets`, (type, { metadata, data }, at) => {
        if (type === 'DELETED') note('gone', metadata.name, at)
        else if (data !== undefined) note('made', metadata.name, at)
      })
      const wait: Seen['wait'] = (which, name) =>
        seen[which].has(name) ? Promise.resolve() : new Promise((resolve) => waiting.set(`${which} ${name}`, resolve))
      return { ...seen, wait, stop }
    },
    close() {
      session.close()
      for (const one of watching) one.destroy()
    },
  }
}

/** Runs `work` for each index: at a rate (open loop), or so many at a time. */
export async function drive(
  count: number,
  load: { readonly rate: number } | { readonly inFlight: number },
  work: (i: number) => Promise<void>,
): Promise<void> {
  if ('rate' in load) {
    const start = performance.now()
    const running: Promise<void>[] = []
    for (let i = 0; i < count; i += 1) {
      const wait = start + (i * 1000) / load.rate - performance.now()
      if (wait > 0) await sleep(wait)
      running.push(work(i))
    }
    await Promise.all(running)
    return
  }
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1
      await work(next - 1)
    }
  }
  await Promise.all(Array.from({ length: load.inFlight }, lane))
}

export async function until(test: () => boolean, timeoutMs: number): Promise<void> {
  for (const begun = performance.now(); !test(); await sleep(10)) {
    if (performance.now() - begun > timeoutMs) throw new Error(`not within ${timeoutMs} ms`)
  }
}

export interface Spread {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Of the times between two moments of each name, in milliseconds. */
export function spread(from: ReadonlyMap<string, number>, to: ReadonlyMap<string, number>): Spread {
  const times = [...from].flatMap(([name, at]) => (to.has(name) ? [(to.get(name) ?? 0) - at] : [])).sort((a, b) => a - b)
  const at = (q: number): number => times[Math.min(times.length - 1, Math.ceil(q * times.length) - 1)] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

export const perSecond = (times: ReadonlyMap<string, number>, from: number): number =>
  (times.size * 1000) / (Math.max(...times.values()) - from)

export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
