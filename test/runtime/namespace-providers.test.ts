// Checks of provider objects of namespaces: so many are asked, none for long, and the cluster's know nothing of them.

import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { asUid } from '../../src/core/names.ts'
import { createStore } from '../../src/kube/store.ts'
import { at, milliseconds, plus, seconds } from '../../src/lib/instant.ts'
import { ok } from '../../src/lib/result.ts'
import type { Provider } from '../../src/ports/provider.ts'
import { type ProviderObject, readNamespaceProvider } from '../../src/runtime/objects/kinds.ts'
import { createProviderChecks } from '../../src/runtime/providers.ts'

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

const born = at(1_800_000_000_000)
const one = (name: string, age: number, namespace = 'team', params: object = {}): ProviderObject =>
  ({
    kind: namespace === '' ? 'ClusterCredentialProvider' : 'CredentialProvider',
    key: namespace === '' ? name : `${namespace}/${name}`,
    ...{
      name,
      namespace,
      uid: asUid(`${namespace}${name}`),
      type: 'postgres',
      params,
      createdAt: plus(born, seconds(-age)),
      generation: 1,
    },
    status: {},
  }) as never

function checks(objects: readonly ProviderObject[], ready: (object: string) => Promise<unknown>, most = 2) {
  const store = createStore<ProviderObject>()
  let version = 1
  for (const value of objects) store.observe('', { key: value.key, uid: value.uid, resourceVersion: String(++version), value })
  const asked: string[] = []
  const made = createProviderChecks({
    store,
    most,
    findProvider: (_type, kind) =>
      ({
        outside: {},
        ready: async (params: { name: string }) => {
          asked.push(`${kind === 'CredentialProvider' ? 'namespace' : 'cluster'} ${params.name}`)
          await ready(params.name)
          return ok(undefined)
        },
      }) as unknown as Provider<unknown>,
    writes: {} as never,
    absorb: () => undefined,
    leads: () => false,
    clock: { now: () => born, monotonic: () => milliseconds(0) },
    log: {} as never,
    well: () => undefined,
    changed: () => undefined,
  })
  const gone = (object: ProviderObject) =>
    store.remove('', {
      metadata: { name: object.name, namespace: object.namespace, uid: object.uid, resourceVersion: String(++version) },
    } as never)
  return { made, asked, gone, store }
}

test('of a namespace so many are asked, the oldest, and the next one when a place is free', async () => {
  const objects = [
    one('a', 30, 'team', { name: 'a' }),
    one('b', 20, 'team', { name: 'b' }),
    one('c', 10, 'team', { name: 'c' }),
    one('d', 10, 'other', { name: 'd' }),
  ]
  const { made, asked, gone } = checks(objects, async () => undefined)
  for (const { key } of objects) await made.check(key)
  expect(asked).toEqual(['namespace a', 'namespace b', 'namespace d'])
  expect(objects.map((object) => made.notReady(object))).toEqual([
    undefined,
    undefined,
    expect.stringContaining('the 2 oldest are used'),
    undefined,
  ])
  // it is not looked at again before that
  expect([made.again('team/c'), made.affected('team/a')]).toEqual([undefined, []])
  gone(objects[0] as ProviderObject)
  expect(made.affected('team/a')).toEqual(['team/c'])
  await made.check('team/c')
  expect(made.notReady(objects[2] as ProviderObject)).toBeUndefined()
  const none = checks(objects, async () => undefined, 0)
  for (const { key } of objects) await none.made.check(key)
  expect(none.asked).toEqual([])
})

test('one whose source goes on answering slowly is not waited for, not asked twice at a time, and counted until it is done', async () => {
  const silence = Promise.withResolvers<void>()
  const slow = one('slow', 5, 'team', { name: 'slow' })
  const { made, asked } = checks([slow], () => silence.promise)
  const first = made.check(slow.key)
  expect(made.busy('team')).toBe(1)
  await jest.advanceTimersByTimeAsync(15_000)
  await first
  expect(made.notReady(slow)).toContain('longer than 15 s')
  await made.check(slow.key)
  expect([asked, made.busy('team'), made.busy('other')]).toEqual([['namespace slow'], 1, 0])
  silence.resolve()
  await jest.advanceTimersByTimeAsync(0)
  expect(made.busy('team')).toBe(0)
  await made.check(slow.key)
  expect(made.notReady(slow)).toBeUndefined()
})

test('an audience that one of a namespace writes takes nothing from the cluster’s', async () => {
  const audiences = ['https://api.example']
  const [theirs, ours] = [one('own', 50, 'team', { audiences }), one('corp', 5, '', { audiences })]
  const { made } = checks([theirs, ours], async () => undefined)
  await made.check(theirs.key)
  await made.check(ours.key)
  expect([made.notReady(theirs), made.notReady(ours)]).toEqual([undefined, undefined])
})

test('whatever its author writes, it opens no address, serves no other namespace, and says itself where it is at home', () => {
  const written = {
    metadata: { name: 'own', namespace: 'team', uid: 'u', resourceVersion: '1' },
    spec: {
      type: 'postgres',
      allowedAddresses: ['0.0.0.0/0'],
      namespaces: { matchLabels: { a: 'b' } },
      postgres: {
        host: 'db',
        allowedAddresses: ['0.0.0.0/0'],
        home: { namespace: 'kube-system', name: 'x', kept: { uid: 'u', sealed: 's' } },
      },
    },
  }
  expect(readNamespaceProvider(written)).toMatchObject({
    kind: 'CredentialProvider',
    key: 'team/own',
    namespaces: undefined,
    params: { host: 'db', home: { namespace: 'team', name: 'own' } },
  })
  expect(readNamespaceProvider(written)?.params).toEqual({ host: 'db', home: { namespace: 'team', name: 'own' } })
})
