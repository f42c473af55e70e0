// A small and hostile API server for tests: TLS and HTTP/2, lists with pages, watches with history, and faults by script.
// It is strict: what a careful client would never send is refused and kept in `violations`.

import { execFileSync } from 'node:child_process'
import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { KubeConnection } from '../../src/kube/connection.ts'

export interface FakeRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** What happens instead of, or around, the honest answer. */
export type Fault =
  | {
      readonly kind: 'status'
      readonly status: number
      readonly reason?: string
      readonly retryAfter?: number
      readonly causes?: readonly string[]
    }
  /** the honest answer, later */
  | { readonly kind: 'slow'; readonly milliseconds: number }
  /** the request is acted on and its connection is cut instead of an answer */
  | { readonly kind: 'lostReply' }
  /** the connection is cut before anything is done */
  | { readonly kind: 'reset' }
  /** the stream is refused, as by a server that goes away */
  | { readonly kind: 'refused' }
  /** nothing is done and nothing answered */
  | { readonly kind: 'silence' }
  /** GOAWAY, and then the honest answer */
  | { readonly kind: 'goaway' }

export interface FakeObject {
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Record<string, string>
    [field: string]: unknown
  }
  [field: string]: unknown
}

interface Stored {
  readonly collection: string
  readonly namespace: string | undefined
  readonly object: FakeObject
}

interface Happening {
  readonly revision: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly stored: Stored
}

/** A watch that is open now. */
export interface FakeWatch {
  readonly collection: string
  readonly query: URLSearchParams
  /** Sends these bytes as they are. */
  write(text: string): void
  /** Ends it as a timeout does. */
  end(): void
  /** Cuts its connection, after half an event. */
  cutMidLine(): void
  /** Sends a 410 as an event and ends. */
  expire(): void
  /** Says nothing more and stays open. */
  silence(): void
}

export interface FakeApiServer {
  readonly connection: KubeConnection
  readonly requests: FakeRequest[]
  /** requests that a careful client would never send */
  readonly violations: string[]
  /** TLS connections accepted so far */
  connections(): number
  revision(): number
  /** Creates or replaces, as some other client; answers the stored object. */
  put(collection: string, object: FakeObject): FakeObject
  remove(collection: string, namespace: string | undefined, name: string): void
  stored(collection: string): readonly FakeObject[]
  watches(): readonly FakeWatch[]
  /** A bookmark on every watch. */
  bookmark(): void
  /** Forgets the history, so that older resourceVersions and continue tokens answer 410. */
  compact(): void
  /** Goes back to an earlier state and revision, as an etcd restored from a backup. */
  rewind(to: FakeBackup): void
  backup(): FakeBackup
  /** The next `times` requests that match meet the fault. */
  fault(match: (request: FakeRequest) => boolean, fault: Fault, times?: number): void
  /** Whether streaming lists are known; default true. */
  streaming(known: boolean): void
  /** Cuts all connections and refuses new ones until `resume`. */
  pause(): Promise<void>
  resume(): Promise<void>
  close(): Promise<void>
}

export interface FakeBackup {
  readonly revision: number
  readonly objects: ReadonlyMap<string, Stored>
}

const known: Readonly<Record<string, ReadonlySet<string>>> = {
  list: new Set(['labelSelector', 'limit', 'continue']),
  watch: new Set(['watch', 'labelSelector', 'resourceVersion', 'allowWatchBookmarks', 'timeoutSeconds']),
  streamingList: new Set(['watch', 'labelSelector', 'sendInitialEvents', 'resourceVersionMatch', 'allowWatchBookmarks', 'timeoutSeconds']),
  write: new Set(['dryRun']),
}

export async function startFakeApiServer(options: { readonly maxStreams?: number } = {}): Promise<FakeApiServer> {
  const { key, cert } = selfSigned()
  const requests: FakeRequest[] = []
  const violations: string[] = []
  const objects = new Map<string, Stored>()
  const sessions = new Set<ServerHttp2Session>()
  const watches = new Map<ServerHttp2Stream, FakeWatch & { readonly send: (happening: Happening) => void }>()
  const snapshots = new Map<number, readonly Stored[]>()
  let faults: { readonly match: (request: FakeRequest) => boolean; readonly fault: Fault; times: number }[] = []
  let history: Happening[] = []
  let revision = 1000
  let compacted = 0
  let uids = 0
  let accepted = 0
  let knowsStreaming = true
  let port = 0
  let server = await listen()

  async function listen(): Promise<Http2SecureServer> {
    const made = createSecureServer({ key, cert, settings: { maxConcurrentStreams: options.maxStreams ?? 100 } })
    made.on('session', (session) => {
      accepted += 1
      sessions.add(session)
      session.on('error', () => {})
      session.once('close', () => sessions.delete(session))
    })
    made.on('stream', (stream, headers) => {
      stream.on('error', () => {})
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.once('end', () => receive(stream, headers, Buffer.concat(chunks).toString('utf8')))
    })
    await new Promise<void>((resolve) => made.listen(port, '127.0.0.1', resolve))
    port = (made.address() as AddressInfo).port
    return made
  }

  function receive(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, body: string) {
    const url = new URL(String(headers[':path']), 'https://fake')
    const request: FakeRequest = { method: String(headers[':method']), path: url.pathname, query: url.searchParams, headers, body }
    requests.push(request)
    const planned = faults.find((one) => one.match(request))
    if (planned === undefined) return act(stream, request)
    planned.times -= 1
    if (planned.times <= 0) faults = faults.filter((one) => one !== planned)
    meet(planned.fault, stream, request)
  }

  function meet(fault: Fault, stream: ServerHttp2Stream, request: FakeRequest) {
    switch (fault.kind) {
      case 'status': {
        const causes = fault.causes?.map((reason) => ({ reason }))
        const details = causes === undefined ? {} : { details: { causes } }
        const more: Record<string, string> = fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) }
        return answer(
          stream,
          fault.status,
          { kind: 'Status', code: fault.status, reason: fault.reason, message: 'as told', ...details },
          more,
        )
      }
      case 'slow':
        setTimeout(() => act(stream, request), fault.milliseconds)
        return
      case 'lostReply':
        act(undefined, request)
        stream.session?.destroy()
        return
      case 'reset':
        stream.session?.destroy()
        return
      case 'refused':
        stream.close(7)
        return
      case 'silence':
        return
      case 'goaway':
        stream.session?.goaway(0)
        return act(stream, request)
    }
  }

  function answer(stream: ServerHttp2Stream | undefined, status: number, body: unknown, more: Record<string, string> = {}): void {
    if (stream === undefined || stream.destroyed) return
    stream.respond({ ':status': status, 'content-type': 'application/json', ...more })
    stream.end(JSON.stringify(body))
  }

  const refuse = (stream: ServerHttp2Stream | undefined, status: number, reason: string, message = reason): void =>
    answer(stream, status, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, reason, message })

  /** `violation` is something that must never be sent, and fails the test at its end. */
  function violate(stream: ServerHttp2Stream | undefined, message: string): void {
    violations.push(message)
    refuse(stream, 400, 'BadRequest', message)
  }

  function act(stream: ServerHttp2Stream | undefined, request: FakeRequest) {
    const at = place(request.path)
    if (at === undefined) return refuse(stream, 404, 'NotFound')
    const { query, method } = request
    const watch = query.get('watch') === 'true'
    const shape =
      method !== 'GET' || at.name !== undefined ? 'write' : watch ? (query.has('sendInitialEvents') ? 'streamingList' : 'watch') : 'list'
    for (const name of query.keys())
      if (known[shape]?.has(name) !== true) return violate(stream, `${shape} with ${name}=${query.get(name)}`)
    if (shape === 'list') return list(stream, at.collection, at.namespace, query)
    if (shape === 'write') return write(stream, request, at)
    if (stream === undefined) return
    if (shape === 'streamingList') return streamList(stream, at.collection, at.namespace, query)
    const from = query.get('resourceVersion')
    if (from === null || from === '0') return violate(stream, `watch from ${from}`)
    if (query.get('allowWatchBookmarks') !== 'true') return violate(stream, 'watch without bookmarks')
    const limit = Number(query.get('timeoutSeconds'))
    if (!(limit >= 300 && limit <= 600)) return violate(stream, `watch with timeoutSeconds=${limit}`)
    if (Number(from) < compacted) return refuse(stream, 410, 'Expired')
    openWatch(stream, at.collection, at.namespace, query, Number(from))
  }

  const inView = (stored: Stored, collection: string, namespace: string | undefined, query: URLSearchParams): boolean => {
    if (stored.collection !== collection || (namespace !== undefined && stored.namespace !== namespace)) return false
    const [name, value] = query.get('labelSelector')?.split('=') ?? []
    return (
      name === undefined ||
      (value === undefined ? stored.object.metadata.labels?.[name] !== undefined : stored.object.metadata.labels?.[name] === value)
    )
  }

  function list(stream: ServerHttp2Stream | undefined, collection: string, namespace: string | undefined, query: URLSearchParams) {
    const token = query.get('continue')
    const [at, from] = token === null ? [revision, 0] : token.split('.').map(Number)
    if (at === undefined || from === undefined || (token !== null && (at < compacted || !snapshots.has(at))))
      return refuse(stream, 410, 'Expired')
    const all = (token === null ? [...objects.values()] : (snapshots.get(at) ?? [])).filter((one) =>
      inView(one, collection, namespace, query),
    )
    const limit = Number(query.get('limit') ?? all.length)
    const page = all.slice(from, from + limit)
    const more = from + limit < all.length
    if (more && !snapshots.has(at)) snapshots.set(at, [...objects.values()])
    const metadata = { resourceVersion: String(at), ...(more ? { continue: `${at}.${from + limit}` } : {}) }
    answer(stream, 200, { kind: 'List', metadata, items: page.map((one) => one.object) })
  }

  function streamList(stream: ServerHttp2Stream, collection: string, namespace: string | undefined, query: URLSearchParams) {
    if (!knowsStreaming) return refuse(stream, 422, 'Invalid', 'sendInitialEvents is forbidden')
    if (query.get('resourceVersionMatch') !== 'NotOlderThan') return violate(stream, 'streaming list without resourceVersionMatch')
    stream.respond({ ':status': 200, 'content-type': 'application/json' })
    for (const one of objects.values()) {
      if (inView(one, collection, namespace, query)) stream.write(line('ADDED', one.object))
    }
    const annotations = { 'k8s.io/initial-events-end': 'true' }
    stream.write(line('BOOKMARK', { metadata: { resourceVersion: String(revision), annotations } }))
  }

  function openWatch(
    stream: ServerHttp2Stream,
    collection: string,
    namespace: string | undefined,
    query: URLSearchParams,
    from: number,
  ): void {
    let silent = false
    const write = (text: string): void => {
      if (!silent && !stream.destroyed) stream.write(text)
    }
    const watch = {
      collection,
      query,
      write,
      end: () => void stream.end(),
      cutMidLine() {
        write('{"type":"MODIFIED","object":{"meta')
        silent = true
        setTimeout(() => stream.session?.destroy(), 5)
      },
      expire() {
        write(line('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }))
        stream.end()
      },
      silence() {
        silent = true
      },
      send(happening: Happening) {
        if (inView(happening.stored, collection, namespace, query)) write(line(happening.type, happening.stored.object))
      },
    }
    stream.respond({ ':status': 200, 'content-type': 'application/json' })
    watches.set(stream, watch)
    stream.once('close', () => watches.delete(stream))
    for (const happening of history) if (happening.revision > from) watch.send(happening)
  }

  function happen(type: Happening['type'], stored: Stored): void {
    const happening = { revision, type, stored }
    history.push(happening)
    for (const watch of watches.values()) watch.send(happening)
  }

  function put(collection: string, given: FakeObject): FakeObject {
    const key = keyIn(collection, given.metadata.namespace, given.metadata.name)
    const before = objects.get(key)
    revision += 1
    const uid = before?.object.metadata['uid'] ?? `uid-${++uids}`
    const object: FakeObject = { ...given, metadata: { ...given.metadata, uid, resourceVersion: String(revision) } }
    const stored = { collection, namespace: given.metadata.namespace, object }
    objects.set(key, stored)
    happen(before === undefined ? 'ADDED' : 'MODIFIED', stored)
    return object
  }

  function remove(key: string): void {
    const stored = objects.get(key)
    if (stored === undefined) return
    objects.delete(key)
    revision += 1
    const object = { ...stored.object, metadata: { ...stored.object.metadata, resourceVersion: String(revision) } }
    happen('DELETED', { ...stored, object })
  }

  function write(stream: ServerHttp2Stream | undefined, request: FakeRequest, at: Place) {
    const body = request.body === '' ? undefined : JSON.parse(request.body)
    const name = at.name ?? body?.metadata?.name
    const key = keyIn(at.collection, at.namespace, name)
    const held = objects.get(key)?.object
    const asked = body?.metadata?.resourceVersion
    if (request.method === 'POST') {
      if (held !== undefined) return refuse(stream, 409, 'AlreadyExists')
      const metadata = { ...body.metadata, ...(at.namespace === undefined ? {} : { namespace: at.namespace }) }
      return answer(stream, 201, put(at.collection, { ...body, metadata }))
    }
    if (held === undefined) return refuse(stream, 404, 'NotFound')
    if (asked !== undefined && asked !== held.metadata['resourceVersion']) return refuse(stream, 409, 'Conflict')
    switch (request.method) {
      case 'GET':
        return answer(stream, 200, held)
      case 'PUT':
        return answer(stream, 200, put(at.collection, { ...body, metadata: { ...held.metadata, ...body.metadata } }))
      case 'PATCH':
        if (request.headers['content-type'] !== 'application/merge-patch+json') return violate(stream, 'a patch that is no merge patch')
        if (at.subresource !== 'status' || asked === undefined) return violate(stream, 'a patch that is no compare-and-set of status')
        return answer(stream, 200, put(at.collection, { ...held, status: { ...(held['status'] as object), ...body.status } }))
      case 'DELETE': {
        const preconditions = body?.preconditions
        if (preconditions?.uid === undefined || body.propagationPolicy !== 'Background')
          return violate(stream, 'a delete without its conditions')
        const fits =
          preconditions.uid === held.metadata['uid'] &&
          (preconditions.resourceVersion === undefined || preconditions.resourceVersion === held.metadata['resourceVersion'])
        if (!fits) return refuse(stream, 409, 'Conflict')
        remove(key)
        return answer(stream, 200, { kind: 'Status', status: 'Success' })
      }
      default:
        return refuse(stream, 405, 'MethodNotAllowed')
    }
  }

  async function shut(): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const session of sessions) session.destroy()
    await closed
  }

  return {
    connection: {
      server: `https://127.0.0.1:${port}`,
      tls: async () => ({ ca: cert, cert: undefined, key: undefined, servername: undefined }),
      authorization: async () => 'Bearer fake',
      refresh: () => {},
      impersonate: undefined,
      namespace: undefined,
    },
    requests,
    violations,
    connections: () => accepted,
    revision: () => revision,
    put,
    remove: (collection, namespace, name) => remove(keyIn(collection, namespace, name)),
    stored: (collection) => [...objects.values()].filter((one) => one.collection === collection).map((one) => one.object),
    watches: () => [...watches.values()],
    bookmark() {
      for (const watch of watches.values()) watch.write(line('BOOKMARK', { metadata: { resourceVersion: String(revision) } }))
    },
    compact() {
      history = []
      compacted = revision
      snapshots.clear()
      // a continue token or a watch of this very revision is too old as soon as anything happened after it
      revision += 1
      compacted = revision
    },
    backup: () => ({ revision, objects: new Map(objects) }),
    rewind(to) {
      revision = to.revision
      compacted = 0
      history = []
      objects.clear()
      for (const [key, stored] of to.objects) objects.set(key, stored)
    },
    fault: (match, fault, times = 1) => void faults.push({ match, fault, times }),
    streaming(isKnown) {
      knowsStreaming = isKnown
    },
    pause: shut,
    async resume() {
      server = await listen()
    },
    close: shut,
  }
}

const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`
const keyIn = (collection: string, namespace: string | undefined, name: string): string => `${collection} ${namespace ?? ''}/${name}`

interface Place {
  readonly collection: string
  readonly namespace: string | undefined
  readonly name: string | undefined
  readonly subresource: string | undefined
}

/** The collection is named by its cluster-wide path, whatever namespace the request is for. */
function place(path: string): Place | undefined {
  const found = /^(\/api\/[^/]+|\/apis\/[^/]+\/[^/]+)(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path)
  if (found === null) return undefined
  return { collection: `${found[1]}/${found[3]}`, namespace: found[2], name: found[4], subresource: found[5] }
}

function selfSigned(): { readonly key: string; readonly cert: string } {
  const subject = ['-subj', '/CN=fake', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2']
  const pem = execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', ...subject, '-keyout', '-', '-out', '-'],
    { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' },
  )
  const cut = pem.indexOf('-----BEGIN CERTIFICATE-----')
  return { key: pem.slice(0, cut), cert: pem.slice(cut) }
}
