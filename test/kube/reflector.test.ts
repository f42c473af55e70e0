import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts'
import { createReflector, type Reflector, type ReflectorDeps } from '../../src/kube/reflector.ts'
import { type Change, createStore, type Store } from '../../src/kube/store.ts'
import { milliseconds, seconds } from '../../src/lib/instant.ts'
import { type FakeApiServer, type FakeRequest, type FakeWatch, startFakeApiServer } from '../support/fake-apiserver.ts'
import { entropy, keepingLog, machineClock, until } from './support.ts'

const resource = { group: 'taskbound.dev', version: 'v1alpha1', plural: 'agenttasks' }
const collection = '/apis/taskbound.dev/v1alpha1/agenttasks'
const isList = (request: FakeRequest): boolean => request.method === 'GET' && request.query.get('watch') === null
const isWatch = (request: FakeRequest): boolean => request.query.has('resourceVersion')

let server: FakeApiServer
let client: KubeClient
let store: Store<string>
let reflector: Reflector
let changes: Change<string>[]
let restarts: string[]

const put = (name: string, value = name, namespace = 'a') => server.put(collection, { metadata: { name, namespace }, spec: { value } })
const remove = (name: string, namespace = 'a') => server.remove(collection, namespace, name)
const held = () => [...store.keys()].sort()

beforeEach(async () => {
  server = await startFakeApiServer()
  client = createKubeClient({ connection: server.connection, userAgent: 'test', clock: machineClock, entropy })
  store = createStore()
  changes = []
  restarts = []
  store.subscribe((change) => changes.push(change))
})

afterEach(async () => {
  await reflector.stop()
  client.close()
  await server.close()
  expect(server.violations).toEqual([])
})

async function begin(more: Partial<ReflectorDeps<string>> = {}): Promise<void> {
  reflector = createReflector({
    client,
    resource,
    store,
    decode: (object) => (object['spec'] as { value: string }).value,
    clock: machineClock,
    entropy,
    log: keepingLog(),
    meter: { watchRestarted: (_, reason) => void restarts.push(reason) },
    ...more,
  })
  reflector.start()
}

/** Synced and watching. */
async function running(more: Partial<ReflectorDeps<string>> = {}): Promise<FakeWatch> {
  await begin(more)
  expect(await reflector.waitSynced()).toBe(true)
  return watching()
}

async function watching(): Promise<FakeWatch> {
  await until(() => server.watches().length > 0)
  const watch = server.watches()[0]
  if (watch === undefined) throw new Error('no watch')
  return watch
}

describe.each([
  ['by streaming', true],
  ['in pages', false],
])('a list %s', (_, streaming) => {
  test('is taken in whole, and changes follow by the watch', async () => {
    for (let n = 0; n < 25; n++) put(`t${n}`)
    await running({ streaming, pageSize: 10 })
    expect(store.size).toBe(25)
    put('t25')
    put('t0', 'changed')
    remove('t1')
    await until(() => store.size === 25 && store.get('a/t25') !== undefined)
    expect(store.get('a/t0')).toBe('changed')
    expect(changes.at(-1)).toMatchObject({ type: 'deleted', key: 'a/t1', inferred: false })
    expect(server.requests.filter(isList)).toHaveLength(streaming ? 0 : 3)
  })
})

describe('a list', () => {
  test('falls back to pages where the server does not stream', async () => {
    server.streaming(false)
    put('t')
    await running()
    expect(held()).toEqual(['a/t'])
  })

  test('begins again when its continue token has expired, and misses no deletion', async () => {
    server.streaming(false)
    for (let n = 0; n < 25; n++) put(`t${n}`)
    server.fault((request) => request.query.has('continue'), { kind: 'status', status: 410, reason: 'Expired' })
    await running({ pageSize: 10 })
    expect(store.size).toBe(25)
  })

  test('does without pages when tokens always expire', async () => {
    server.streaming(false)
    for (let n = 0; n < 25; n++) put(`t${n}`)
    server.fault((request) => request.query.has('continue'), { kind: 'status', status: 410, reason: 'Expired' }, 100)
    await running({ pageSize: 10 })
    expect(store.size).toBe(25)
  })

  test('that fails is tried until it succeeds', async () => {
    put('t')
    server.fault(() => true, { kind: 'status', status: 500 }, 2)
    await running()
    expect(held()).toEqual(['a/t'])
  })

  test('asked for begins after the call, also while another runs', async () => {
    await running({ streaming: false })
    server.fault(isList, { kind: 'slow', milliseconds: 50 })
    const first = reflector.relist()
    await until(() => server.requests.filter(isList).length === 2)
    const [second, third] = [reflector.relist(), reflector.relist()]
    expect(await Promise.all([first, second, third])).toEqual([true, true, true])
    expect(server.requests.filter(isList)).toHaveLength(3)
  })

  test('comes back from time to time and finds what the watch did not tell', async () => {
    put('t')
    const watch = await running({ relistPeriod: milliseconds(50) })
    watch.silence()
    remove('t')
    put('u')
    await until(() => held().join() === 'a/u')
    expect(changes.find((change) => change.type === 'deleted')).toMatchObject({ key: 'a/t', inferred: true })
  })

  test('of some namespaces sees nothing of the others', async () => {
    put('x', 'x', 'a')
    put('x', 'x', 'b')
    put('x', 'x', 'c')
    await running({ resource: { ...resource, namespaces: ['a', 'b'] } })
    expect(held()).toEqual(['a/x', 'b/x'])
    await until(() => server.watches().length === 2)
    remove('x', 'b')
    await until(() => store.size === 1)
  })

  test('of metadata alone says so in every request', async () => {
    await running({ metadataOnly: true, decode: (object) => object.metadata.name })
    expect(server.requests.every((request) => request.headers.accept?.includes('as=PartialObjectMetadata') === true)).toBe(true)
  })

  test('of a restored backup replaces what was known', async () => {
    put('old')
    const backup = server.backup()
    put('lost')
    await running()
    expect(held()).toEqual(['a/lost', 'a/old'])
    server.rewind(backup)
    expect(await reflector.relist()).toBe(true)
    expect(held()).toEqual(['a/old'])
    await until(() => server.watches().some((watch) => watch.query.get('resourceVersion') === String(backup.revision)))
    put('new')
    await until(() => held().join() === 'a/new,a/old')
  })
})

describe('a watch recovers and misses no deletion after', () => {
  const faults: [string, string, (watch: FakeWatch) => void][] = [
    ['the server ended it', 'closed', (watch) => watch.end()],
    ['its connection was cut in the middle of a line', 'cut', (watch) => watch.cutMidLine()],
    ['a 410 in the stream', 'expired', (watch) => watch.expire()],
    ['a line that is no JSON', 'garbage', (watch) => watch.write('{"type":"MODIFIED","object":{\n')],
    ['a line that is no event', 'garbage', (watch) => watch.write('[]\n')],
    ['an event without metadata', 'garbage', (watch) => watch.write('{"type":"ADDED","object":{}}\n')],
    ['an error that is no 410', 'refused', (watch) => watch.write('{"type":"ERROR","object":{"code":500,"message":"x"}}\n')],
    ['it fell silent', 'idle', (watch) => watch.silence()],
  ]
  test.each(faults)('%s', async (_, reason, strike) => {
    put('t')
    put('u')
    const watch = await running({ idleTimeout: milliseconds(300) })
    strike(watch)
    remove('t')
    await until(() => held().join() === 'a/u')
    expect(restarts).toContain(reason)
    expect(store.get('a/u')).toBe('u')
  })

  test('it fell silent and nothing has happened since: that is known again at once', async () => {
    put('t')
    await running({ idleTimeout: milliseconds(300) })
    const before = reflector.lastProgress() ?? seconds(0)
    await until(() => (reflector.lastProgress() ?? seconds(0)) > before)
    expect(restarts).toContain('idle')
    expect(held()).toEqual(['a/t'])
  })

  test('410 as a status', async () => {
    put('t')
    const watch = await running()
    server.fault(isWatch, { kind: 'status', status: 500 })
    watch.end()
    remove('t')
    server.compact()
    await until(() => store.size === 0)
    expect(changes.at(-1)).toMatchObject({ type: 'deleted', inferred: true })
  })

  test.each([
    ['500', { kind: 'status', status: 500 } as const],
    ['429', { kind: 'status', status: 429, retryAfter: 0 } as const],
    ['403', { kind: 'status', status: 403 } as const],
    ['a connection cut before the answer', { kind: 'reset' } as const],
    ['a refused stream', { kind: 'refused' } as const],
    ['GOAWAY', { kind: 'goaway' } as const],
  ])('%s when it is opened', async (_, fault) => {
    put('t')
    server.fault(isWatch, fault, 2)
    await begin()
    await reflector.waitSynced()
    remove('t')
    await until(() => store.size === 0)
  })

  test('the API server was restarted', async () => {
    put('t')
    put('u')
    await running()
    await server.pause()
    remove('t')
    await new Promise((resolve) => setTimeout(resolve, 100))
    await server.resume()
    await until(() => held().join() === 'a/u')
  })
})

test('a bookmark moves the place from which a watch is resumed', async () => {
  const watch = await running()
  for (let n = 0; n < 5; n++) server.put('/apis/other/v1/things', { metadata: { name: `${n}` } })
  server.bookmark()
  const before = reflector.lastProgress()
  await until(() => reflector.lastProgress() !== before || before === undefined)
  watch.end()
  await until(() => server.requests.filter(isWatch).length === 2)
  expect(server.requests.filter(isWatch).at(-1)?.query.get('resourceVersion')).toBe(String(server.revision()))
})

test('progress stands still while nothing is heard', async () => {
  const watch = await running({ idleTimeout: seconds(60) })
  put('t')
  await until(() => store.size === 1)
  const before = reflector.lastProgress()
  watch.silence()
  put('u')
  server.bookmark()
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(reflector.lastProgress()).toBe(before)
})

test('an object that cannot be read is counted and hides no other', async () => {
  server.put(collection, { metadata: { name: 'bad', namespace: 'a' } })
  put('good')
  await running()
  expect(held()).toEqual(['a/good'])
  server.put(collection, { metadata: { name: 'good', namespace: 'a' } })
  put('next')
  await until(() => store.get('a/next') !== undefined)
  expect(store.get('a/good')).toBe('good')
  expect(reflector.unreadable()).toBe(2)
  expect(restarts).toEqual([])
  expect(await reflector.relist()).toBe(true)
  expect(held()).toEqual(['a/good', 'a/next'])
})

test('the reply of an own write is seen at once, and its event changes nothing', async () => {
  const watch = await running({ idleTimeout: seconds(60) })
  watch.silence()
  const reply = put('t')
  expect(reflector.absorb(reply as never)).toBe(true)
  expect(store.get('a/t')).toBe('t')
  await reflector.relist()
  expect(changes).toHaveLength(1)
})

test('stopping answers whoever waits', async () => {
  server.fault(() => true, { kind: 'silence' }, 10)
  await begin()
  const waiting = [reflector.waitSynced(), reflector.relist()]
  await reflector.stop()
  expect(await Promise.all(waiting)).toEqual([false, false])
})

test('a large list gives the event loop back every few milliseconds', async () => {
  for (let n = 0; n < 3000; n++) put(`t${n}`)
  let steps = 0
  let turns = 0
  // each look at this clock takes a tenth of a millisecond
  const clock = { ...machineClock, monotonic: () => milliseconds(steps++ / 10) }
  const turn = (): void => {
    turns += 1
    if (store.size < 3000) setImmediate(turn)
  }
  store.subscribe(() => {
    if (turns === 0) turn()
  })
  await running({ streaming: false, pageSize: 5000, clock })
  expect(store.size).toBe(3000)
  expect(turns).toBeGreaterThan(40)
})
