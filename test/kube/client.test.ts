import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createKubeClient, type KubeClient, resourceIn } from '../../src/kube/client.ts'
import type { KubeConnection } from '../../src/kube/connection.ts'
import { isAlreadyExists, isConflict, isNamespaceTerminating, isNotFound } from '../../src/kube/errors.ts'
import { createWrites } from '../../src/kube/patch.ts'
import { type Duration, milliseconds, seconds } from '../../src/lib/instant.ts'
import { type FakeApiServer, type FakeRequest, startFakeApiServer } from '../support/fake-apiserver.ts'
import { entropy, machineClock, until } from './support.ts'

const resource = { group: 'taskbound.dev', version: 'v1alpha1', plural: 'agenttasks' }
const collection = '/apis/taskbound.dev/v1alpha1/agenttasks'
const path = `/apis/taskbound.dev/v1alpha1/namespaces/a/agenttasks`
const any = (): boolean => true
const writes = (request: FakeRequest): boolean => request.method !== 'GET'

let server: FakeApiServer
let client: KubeClient
const metered: string[] = []

function clientOf(connection: KubeConnection, more: { readonly inFlight?: number; readonly impersonate?: string } = {}): KubeClient {
  const meter = {
    apiRequest: (verb: string, of: string, code: number, _took: Duration) => void metered.push(`${verb} ${of} ${code}`),
  }
  return createKubeClient({ connection, userAgent: 'test', clock: machineClock, entropy, meter, ...more })
}

beforeEach(async () => {
  server = await startFakeApiServer()
  client = clientOf(server.connection)
  metered.length = 0
})

afterEach(async () => {
  client.close()
  await server.close()
  expect(server.violations).toEqual([])
})

const object = (name: string) => ({ metadata: { name }, spec: { x: 1 } })
const create = (name: string, more: object = {}) => client.request({ method: 'POST', path, body: object(name), ...more })

describe('connections', () => {
  test('1,000 requests and 10 watches use at most 4 connections', async () => {
    const abort = new AbortController()
    const watches = await Promise.all(
      Array.from({ length: 10 }, () =>
        client.stream({
          path: collection,
          query: { watch: true, resourceVersion: '1000', allowWatchBookmarks: true, timeoutSeconds: 300 },
          signal: abort.signal,
          idleTimeout: seconds(60),
        }),
      ),
    )
    expect(watches.every((watch) => watch.ok)).toBe(true)
    const answers = await Promise.all(Array.from({ length: 1000 }, (_, n) => create(`t${n}`)))
    expect(answers.filter((answer) => answer.ok)).toHaveLength(1000)
    expect(server.connections()).toBeLessThanOrEqual(4)
    expect(client.counts().connections).toBe(server.connections())
    abort.abort()
  })

  test('a server that allows few streams is not asked for more', async () => {
    await server.close()
    server = await startFakeApiServer({ maxStreams: 3 })
    client = clientOf(server.connection)
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => create(`t${n}`)))
    expect(answers.filter((answer) => answer.ok)).toHaveLength(100)
    expect(server.connections()).toBe(2)
  })

  test('GOAWAY lets what is in flight finish and opens another connection', async () => {
    server.fault(any, { kind: 'goaway' })
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => create(`t${n}`)))
    expect(answers.filter((answer) => answer.ok)).toHaveLength(50)
    expect((await create('later')).ok).toBe(true)
    expect(server.connections()).toBe(2)
  })

  test('a server that was away is found again', async () => {
    expect((await create('before')).ok).toBe(true)
    await server.pause()
    const away = await create('away', { timeout: milliseconds(300) })
    expect(away).toMatchObject({ ok: false, failure: { sent: false } })
    await server.resume()
    expect((await create('after')).ok).toBe(true)
  })

  test('a certificate of another authority is refused before anything is sent', async () => {
    const other = await startFakeApiServer()
    const stranger = clientOf({ ...server.connection, server: other.connection.server })
    expect(await stranger.request({ method: 'GET', path, timeout: seconds(1) })).toMatchObject({ ok: false, failure: { sent: false } })
    expect(other.requests).toEqual([])
    stranger.close()
    await other.close()
  })
})

describe('answers', () => {
  test('an error carries status, reason, message and causes', async () => {
    server.fault(any, { kind: 'status', status: 403, reason: 'Forbidden', causes: ['NamespaceTerminating'] })
    const answer = await create('t')
    expect(answer.ok || isNamespaceTerminating(answer.failure)).toBe(true)
    expect(answer).toMatchObject({ ok: false, failure: { kind: 'http', status: 403, reason: 'Forbidden', message: 'as told' } })
  })

  test('a taken name is not a lost compare-and-set', async () => {
    await create('t')
    const taken = await create('t')
    expect(!taken.ok && isAlreadyExists(taken.failure) && !isConflict(taken.failure)).toBe(true)
  })

  test('requests are counted by verb, resource and code', async () => {
    await create('t')
    await client.request({ method: 'GET', path: `${path}/none` })
    expect(metered).toEqual(['POST agenttasks 201', 'GET agenttasks 404'])
  })

  test.each([
    ['/api/v1/namespaces/a/secrets/b', 'secrets'],
    ['/api/v1/namespaces/a', 'namespaces'],
    ['/apis/g/v1/things', 'things'],
    ['/apis/g/v1/namespaces/a/things/b/status', 'things/status'],
    ['/version', 'other'],
  ])('%s is about %s', (of, expected) => expect(resourceIn(of)).toBe(expected))

  test('whom to impersonate goes with every request', async () => {
    const other = clientOf(server.connection, { impersonate: 'system:serviceaccount:a:b' })
    await other.request({ method: 'GET', path })
    expect(server.requests.at(-1)?.headers).toMatchObject({ 'impersonate-user': 'system:serviceaccount:a:b', authorization: 'Bearer fake' })
    other.close()
  })
})

describe('lost and late answers', () => {
  test.each([
    ['the connection is cut after the write was acted on', { kind: 'lostReply' } as const, true, 1],
    ['the connection is cut before', { kind: 'reset' } as const, true, 0],
  ])('%s: the failure says that it may have been acted on, and nothing is sent again', async (_, fault, sent, stored) => {
    server.fault(writes, fault)
    expect(await create('t')).toMatchObject({ ok: false, failure: { kind: 'connection', sent } })
    expect(server.stored(collection)).toHaveLength(stored)
    expect(server.requests).toHaveLength(1)
  })

  test('a read whose connection is cut is sent again', async () => {
    server.fault(any, { kind: 'reset' })
    expect((await client.request({ method: 'GET', path })).ok).toBe(true)
  })

  test('a refused stream was not acted on, so even a write is sent again', async () => {
    server.fault(writes, { kind: 'refused' })
    expect((await create('t')).ok).toBe(true)
    expect(server.requests).toHaveLength(2)
  })

  test('silence ends at the deadline and says that it may have been acted on', async () => {
    server.fault(writes, { kind: 'silence' })
    expect(await create('t', { timeout: milliseconds(100) })).toMatchObject({ ok: false, failure: { kind: 'timeout', sent: true } })
    expect(client.counts().inFlight).toBe(0)
    expect((await create('u')).ok).toBe(true)
  })

  test('a caller can give up', async () => {
    server.fault(writes, { kind: 'silence' })
    const abort = new AbortController()
    const before = server.requests.length
    const creating = create('t', { signal: abort.signal })
    await until(() => server.requests.length > before)
    abort.abort()
    expect(await creating).toMatchObject({ ok: false, failure: { kind: 'aborted', sent: true } })
  })
})

describe('429, 503 and 401', () => {
  test('429 is obeyed: the write is sent again, and not before it was asked for', async () => {
    server.fault(writes, { kind: 'status', status: 429, retryAfter: 1 })
    const began = performance.now()
    expect((await create('t')).ok).toBe(true)
    expect(performance.now() - began).toBeGreaterThanOrEqual(990)
  })

  test('429 that asks for more time than there is goes back to the caller', async () => {
    server.fault(writes, { kind: 'status', status: 429, retryAfter: 100 })
    expect(await create('t')).toMatchObject({ ok: false, failure: { status: 429, retryAfterSeconds: 100 } })
  })

  test.each([
    ['a read', 'GET' as const, 2],
    ['a write, which may have been acted on,', 'POST' as const, 1],
  ])('503 with Retry-After: %s is sent %i times', async (_, method, times) => {
    server.fault(any, { kind: 'status', status: 503, retryAfter: 0 })
    await client.request({ method, path, ...(method === 'POST' ? { body: object('t') } : {}) })
    expect(server.requests).toHaveLength(times)
  })

  test('401 asks once for new credentials', async () => {
    let refreshed = 0
    const other = clientOf({ ...server.connection, refresh: () => void refreshed++ })
    server.fault(any, { kind: 'status', status: 401 }, 2)
    expect(await other.request({ method: 'GET', path })).toMatchObject({ ok: false, failure: { status: 401 } })
    expect(refreshed).toBe(1)
    expect((await other.request({ method: 'GET', path })).ok).toBe(true)
    other.close()
  })

  test('credentials that cannot be had are a failure and not an exception', async () => {
    const other = clientOf({ ...server.connection, authorization: () => Promise.reject(new Error('no such file')) })
    expect(await other.request({ method: 'GET', path, timeout: milliseconds(200) })).toMatchObject({ ok: false, failure: { sent: false } })
    other.close()
  })
})

test('`end` overtakes whatever waits, and finds a place though the others hold theirs', async () => {
  client.close()
  client = clientOf(server.connection, { inFlight: 3 })
  server.fault((request) => request.body.includes('stuck'), { kind: 'slow', milliseconds: 200 }, 2)
  const order: string[] = []
  const note = (name: string) => () => void order.push(name)
  const stuck = [create('stuck1').then(note('stuck')), create('stuck2').then(note('stuck'))]
  const waiting = [create('n1').then(note('normal')), create('n2').then(note('normal'))]
  await create('e', { priority: 'end' }).then(note('end'))
  expect(order).toEqual(['end'])
  await Promise.all([...stuck, ...waiting])
  expect(order).toHaveLength(5)
})

describe('the four writes', () => {
  const place = { resource, namespace: 'a', name: 't' }

  test('status is patched on condition of the version that was read', async () => {
    const make = createWrites(client)
    const created = await make.create(place, object('t'))
    if (!created.ok) throw new Error('not created')
    const version = created.value.metadata.resourceVersion
    const first = await make.patchStatus(place, version, { a: 1 })
    expect(first).toMatchObject({ ok: true, value: { status: { a: 1 } } })
    const second = await make.patchStatus(place, version, { a: 2 })
    expect(!second.ok && isConflict(second.failure)).toBe(true)
  })

  test('a status that a broken server did not take is patched once more, and no other write is', async () => {
    const make = createWrites(client)
    const created = await make.create(place, object('t'))
    if (!created.ok) throw new Error('not created')
    const version = created.value.metadata.resourceVersion
    const before = server.requests.length
    server.fault(({ method }) => method === 'PATCH', { kind: 'status', status: 500 }, 1)
    expect(await make.patchStatus(place, version, { a: 1 })).toMatchObject({ ok: true, value: { status: { a: 1 } } })
    server.fault(({ method }) => method === 'PATCH', { kind: 'status', status: 500 }, 2)
    expect(await make.patchStatus(place, version, { a: 2 })).toMatchObject({ ok: false, failure: { status: 500 } })
    expect(server.requests.length - before).toBe(4)
    server.fault(({ method }) => method === 'POST', { kind: 'status', status: 500 }, 1)
    expect(await make.create({ ...place, name: 'u' }, object('u'))).toMatchObject({ ok: false, failure: { status: 500 } })
    expect(server.requests.length - before).toBe(5)
  })

  test('an object is deleted on condition of its UID', async () => {
    const make = createWrites(client)
    const created = await make.create(place, object('t'))
    if (!created.ok) throw new Error('not created')
    const other = await make.remove(place, { uid: 'another' })
    expect(!other.ok && isConflict(other.failure)).toBe(true)
    expect(await make.remove(place, { uid: created.value.metadata.uid })).toMatchObject({ ok: true })
    const gone = await make.remove(place, { uid: created.value.metadata.uid })
    expect(!gone.ok && isNotFound(gone.failure)).toBe(true)
  })

  test('a write can ask that its object is not sent back', async () => {
    await createWrites(client).create(place, object('t'), { echo: 'metadata' })
    expect(server.requests.at(-1)?.headers.accept).toContain('as=PartialObjectMetadata')
  })
})
