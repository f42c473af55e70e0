// The machinery of src/kube against a real API server, on a cluster of its own because it is restarted.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts'
import { loadKubeConfig } from '../../src/kube/config.ts'
import { createElector } from '../../src/kube/elector.ts'
import { isAlreadyExists, isConflict } from '../../src/kube/errors.ts'
import type { Resource } from '../../src/kube/objects.ts'
import { createWrites, type Place, type Writes } from '../../src/kube/patch.ts'
import { createReflector } from '../../src/kube/reflector.ts'
import { type Change, createStore } from '../../src/kube/store.ts'
import { milliseconds, seconds } from '../../src/lib/instant.ts'
import { type Cluster, startCluster } from '../cluster/start.ts'
import { entropy, keepingLog, machineClock, until } from '../kube/support.ts'

const configMaps: Resource = { group: '', version: 'v1', plural: 'configmaps' }
const secrets: Resource = { group: '', version: 'v1', plural: 'secrets' }

let cluster: Cluster
let client: KubeClient
let writes: Writes
// lists in pages are requests, streaming ones are not
let listRequests = 0

beforeAll(async () => {
  cluster = await startCluster({ withoutControllers: true })
  const connection = await loadKubeConfig({ kind: 'kubeconfig', paths: [cluster.kubeconfig] }, machineClock)
  if (!connection.ok) throw new Error(connection.failure)
  const meter = {
    apiRequest(verb: string, of: string) {
      if (verb === 'GET' && of === 'configmaps') listRequests += 1
    },
  }
  client = createKubeClient({ connection: connection.value, userAgent: 'test', clock: machineClock, entropy, meter })
  writes = createWrites(client)
  for (const name of ['a', 'b']) await cluster.admin.request('POST', '/api/v1/namespaces', { metadata: { name } })
}, 60_000)

afterAll(async () => {
  client?.close()
  await cluster?.stop()
})

const place = (name: string, resource = configMaps): Place => ({ resource, namespace: 'a', name })
const body = (name: string, value = '1') => ({ metadata: { name, labels: { mine: 'yes' } }, data: { value } })

function follow(streaming: boolean, metadataOnly = false) {
  const store = createStore<string>()
  const changes: Change<string>[] = []
  store.subscribe((change) => changes.push(change))
  const reflector = createReflector<string>({
    client,
    resource: { ...configMaps, namespaces: ['a'] },
    labelSelector: 'mine=yes',
    metadataOnly,
    decode: (object) => (metadataOnly ? JSON.stringify(Object.keys(object)) : (object['data'] as { value: string }).value),
    store,
    clock: machineClock,
    entropy,
    log: keepingLog(),
    streaming,
    pageSize: 3,
  })
  reflector.start()
  return { store, changes, reflector }
}

describe('the four writes', () => {
  test('do not get a Secret back when they ask for its metadata alone', async () => {
    const made = await writes.create(place('s', secrets), { metadata: { name: 's' }, stringData: { key: 'canary' } }, { echo: 'metadata' })
    expect(made).toMatchObject({ ok: true, value: { kind: 'PartialObjectMetadata', metadata: { name: 's' } } })
    const replaced = await writes.replace(
      place('s', secrets),
      { metadata: { name: 's' }, stringData: { key: 'canary' } },
      { echo: 'metadata' },
    )
    expect(JSON.stringify([made, replaced])).not.toMatch(/canary|Y2FuYXJ5/)
    const again = await writes.create(place('s', secrets), { metadata: { name: 's' } })
    expect(!again.ok && isAlreadyExists(again.failure)).toBe(true)
  })

  test('delete only the object of that UID', async () => {
    const made = await writes.create(place('d', secrets), { metadata: { name: 'd' } }, { echo: 'metadata' })
    if (!made.ok) throw new Error('not created')
    const other = await writes.remove(place('d', secrets), { uid: '00000000-0000-0000-0000-000000000000' })
    expect(!other.ok && isConflict(other.failure)).toBe(true)
    expect(await writes.remove(place('d', secrets), { uid: made.value.metadata.uid })).toMatchObject({ ok: true })
  })

  test('patch status only at the version that was read', async () => {
    const at = { resource: { group: '', version: 'v1', plural: 'namespaces' }, name: 'b' }
    const read = await client.request<{ metadata: { resourceVersion: string } }>({ method: 'GET', path: '/api/v1/namespaces/b' })
    if (!read.ok) throw new Error('not read')
    const { resourceVersion } = read.value.body.metadata
    const conditions = [{ type: 'Mine', status: 'True' }]
    expect(await writes.patchStatus(at, resourceVersion, { conditions })).toMatchObject({ ok: true, value: { status: { conditions } } })
    const second = await writes.patchStatus(at, resourceVersion, { conditions })
    expect(!second.ok && isConflict(second.failure)).toBe(true)
  })
})

describe.each([
  ['by streaming list', true],
  ['by pages', false],
])('a store kept %s', (_, streaming) => {
  test('follows every change, and misses no deletion while the API server is away', async () => {
    const name = (n: number): string => `${streaming ? 's' : 'p'}${n}`
    for (let n = 0; n < 10; n++) await writes.create(place(name(n)), body(name(n)))
    listRequests = 0
    const { store, changes, reflector } = follow(streaming)
    expect(await reflector.waitSynced()).toBe(true)
    expect(listRequests).toBe(streaming ? 0 : 4)
    expect(store.size).toBe(10)
    const made = await writes.create(place(name(10)), body(name(10)))
    if (!made.ok) throw new Error('not created')
    reflector.absorb(made.value)
    expect(store.get(`a/${name(10)}`)).toBe('1')
    const held = store.entry(`a/${name(0)}`)
    await writes.remove(place(name(0)), { uid: held?.uid ?? '' })
    await until(() => store.size === 10)
    expect(changes.at(-1)).toMatchObject({ type: 'deleted', inferred: false })

    await cluster.restartApiServer('SIGKILL')
    await cluster.admin.request('DELETE', `/api/v1/namespaces/a/configmaps/${name(1)}`)
    await until(() => store.size === 9, 30_000)
    await writes.replace(place(name(2)), body(name(2), 'changed'))
    await until(() => store.get(`a/${name(2)}`) === 'changed', 30_000)
    await reflector.relist()
    expect(changes.filter((change) => change.type === 'set' && change.after === '1')).toHaveLength(11)
    await reflector.stop()
    for (let n = 2; n <= 10; n++) await cluster.admin.request('DELETE', `/api/v1/namespaces/a/configmaps/${name(n)}`)
  }, 60_000)

  test('can hold metadata alone', async () => {
    await writes.create(place('m'), body('m'))
    const { store, reflector } = follow(streaming, true)
    await reflector.waitSynced()
    await writes.create(place('n'), body('n'))
    await until(() => store.size === 2)
    expect([...store.values()].every((fields) => !fields.includes('"data"'))).toBe(true)
    await reflector.stop()
    for (const name of ['m', 'n']) await cluster.admin.request('DELETE', `/api/v1/namespaces/a/configmaps/${name}`)
  })
})

test('one leads, and another takes over as soon as it gives up', async () => {
  const candidate = (identity: string) =>
    createElector({
      client,
      namespace: 'a',
      name: 'lease',
      identity,
      annotations: { 'taskbound.dev/address': identity },
      clock: machineClock,
      entropy,
      log: keepingLog(),
      onGained: () => {},
      onLost: () => {},
      retryPeriod: milliseconds(200),
      renewDeadline: seconds(10),
    })
  const [one, two] = [candidate('one'), candidate('two')]
  one.start()
  await until(() => one.isLeader())
  two.start()
  await until(() => two.holder()?.annotations['taskbound.dev/address'] === 'one')
  expect(two.isLeader()).toBe(false)
  await one.stop()
  await until(() => two.isLeader())
  expect(two.term()).toBe(1)
  await two.stop()
})

test('all of this used few connections', async () => {
  await Promise.all(Array.from({ length: 1000 }, () => client.request({ method: 'GET', path: '/api/v1/namespaces/a' })))
  // two restarts among them
  expect(client.counts().connections).toBeLessThanOrEqual(12)
})
