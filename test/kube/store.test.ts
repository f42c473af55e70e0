import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { compareVersions } from '../../src/kube/objects.ts'
import { type Change, createStore, type Entry, type Store } from '../../src/kube/store.ts'
import { keepingLog } from './support.ts'

const entry = (key: string, version: number, value = `v${version}`, uid = key): Entry<string> => ({
  key,
  uid,
  resourceVersion: String(version),
  value,
})
const gone = (key: string, version: number) => {
  const [namespace = '', name = ''] = key.split('/')
  return { metadata: { namespace, name, uid: key, resourceVersion: String(version) } }
}

function recorded(store: Store<string>): Change<string>[] {
  const changes: Change<string>[] = []
  store.subscribe((change) => changes.push(change))
  return changes
}

async function listed(store: Store<string>, version: number, ...entries: Entry<string>[]) {
  const snapshot = store.snapshot('')
  for (const one of entries) snapshot.add(one)
  return snapshot.commit(String(version))
}

describe('the order of sources does not matter', () => {
  test('an older event does not replace the reply of an own write', async () => {
    const store = createStore<string>()
    await listed(store, 10)
    store.apply(entry('a/x', 12))
    store.observe('', entry('a/x', 11))
    expect(store.get('a/x')).toBe('v12')
  })

  test('a late reply does not replace a newer event', async () => {
    const store = createStore<string>()
    await listed(store, 10)
    store.observe('', entry('a/x', 12))
    expect(store.apply(entry('a/x', 11))).toBe(false)
    expect(store.get('a/x')).toBe('v12')
  })

  test('the reply of an own write does not bring back what was deleted since', async () => {
    const store = createStore<string>()
    await listed(store, 10, entry('a/x', 5))
    store.remove('', gone('a/x', 13))
    expect(store.apply(entry('a/x', 12))).toBe(false)
    expect(store.size).toBe(0)
    expect(store.apply(entry('a/x', 14))).toBe(true)
  })

  test('nor what was made and deleted while nobody watched, as a list shows', async () => {
    const store = createStore<string>()
    await listed(store, 20)
    expect(store.apply(entry('a/x', 15))).toBe(false)
  })

  test('a deletion that is older than what is held is of a predecessor', async () => {
    const store = createStore<string>()
    await listed(store, 10, entry('a/x', 5))
    store.apply(entry('a/x', 15, 'again', 'other'))
    store.remove('', gone('a/x', 12))
    expect(store.get('a/x')).toBe('again')
  })
})

describe('a consistent list', () => {
  test('infers what is gone, and says that it did', async () => {
    const store = createStore<string>()
    await listed(store, 10, entry('a/x', 1), entry('a/y', 2))
    const changes = recorded(store)
    expect(await listed(store, 20, entry('a/x', 1))).toEqual({ rewound: false, taken: 0, gone: 1 })
    expect(changes).toEqual([{ type: 'deleted', key: 'a/y', before: 'v2', after: undefined, inferred: true }])
  })

  test('keeps what was written after it', async () => {
    const store = createStore<string>()
    const snapshot = store.snapshot('')
    store.apply(entry('a/x', 21))
    await snapshot.commit('20')
    expect(store.get('a/x')).toBe('v21')
  })

  test('does not bring back what was deleted while it was read', async () => {
    const store = createStore<string>()
    await listed(store, 10, entry('a/x', 5))
    const snapshot = store.snapshot('')
    snapshot.add(entry('a/x', 5))
    store.remove('', gone('a/x', 12))
    await snapshot.commit('11')
    expect(store.size).toBe(0)
  })

  test('brings in what a watch missed, though the watch is ahead of it', async () => {
    const store = createStore<string>()
    await listed(store, 10)
    const snapshot = store.snapshot('')
    store.observe('', entry('a/other', 30))
    snapshot.add(entry('a/missed', 15))
    await snapshot.commit('20')
    expect(store.get('a/missed')).toBe('v15')
  })

  test('does not take an unreadable object for an absent one', async () => {
    const store = createStore<string>()
    await listed(store, 10, entry('a/x', 5))
    const snapshot = store.snapshot('')
    snapshot.addUnreadable('a/x')
    await snapshot.commit('20')
    expect(store.get('a/x')).toBe('v5')
  })

  test('of one namespace says nothing about another', async () => {
    const store = createStore<string>()
    for (const namespace of ['a', 'b']) {
      const snapshot = store.snapshot(namespace)
      snapshot.add(entry(`${namespace}/x`, 5))
      await snapshot.commit('10')
    }
    await store.snapshot('a').commit('20')
    expect([...store.keys()]).toEqual(['b/x'])
    expect(store.apply(entry('a/x', 15))).toBe(false)
    expect(store.apply(entry('b/new', 15))).toBe(true)
  })

  test('that is older than what was known before it shows a restored backup, and rules alone', async () => {
    const store = createStore<string>()
    await listed(store, 100, entry('a/x', 90), entry('a/y', 95))
    expect(await listed(store, 50, entry('a/x', 40))).toEqual({ rewound: true, taken: 1, gone: 1 })
    expect(store.get('a/x')).toBe('v40')
    expect(store.apply(entry('a/z', 60))).toBe(true)
  })

  test('tells how many are absent before it removes them', async () => {
    const store = createStore<string>()
    await listed(store, 10, entry('a/x', 1), entry('a/y', 2), entry('a/z', 3))
    const sizes: number[] = []
    await store.snapshot('').commit('20', { onAbsent: (absent, held) => sizes.push(absent, held, store.size) })
    expect(sizes).toEqual([3, 3, 3])
  })
})

test('an index follows every change', async () => {
  const store = createStore<string>()
  await listed(store, 10, entry('a/x', 1, 'red'))
  const byColour = store.index((value) => [value])
  expect([...byColour('red')]).toEqual(['a/x'])
  store.observe('', entry('a/x', 11, 'blue'))
  store.observe('', entry('a/y', 12, 'blue'))
  expect([...byColour('red')]).toEqual([])
  expect([...byColour('blue')]).toEqual(['a/x', 'a/y'])
  store.remove('', gone('a/x', 13))
  expect([...byColour('blue')]).toEqual(['a/y'])
})

test('a listener that throws hides nothing from the others', async () => {
  const log = keepingLog()
  const store = createStore<string>({ log })
  store.subscribe(() => {
    throw new Error('mine')
  })
  const changes = recorded(store)
  await listed(store, 10, entry('a/x', 1))
  expect(changes).toHaveLength(1)
  expect(log.lines).toHaveLength(1)
})

describe('resourceVersions', () => {
  test.each([
    ['9', '10', -1],
    ['10', '9', 1],
    ['10', '10', 0],
    ['18446744073709551616', '18446744073709551617', -1],
    ['0010', '9', 1],
    ['', '1', -1],
    ['abc', '1', -1],
  ])('%s against %s', (a, b, expected) => expect(Math.sign(compareVersions(a, b))).toBe(expected))

  test('are ordered as big integers', () => {
    const version = fc.bigInt({ min: 0n, max: 2n ** 70n })
    fc.assert(
      fc.property(version, version, (a, b) => {
        expect(Math.sign(compareVersions(String(a), String(b)))).toBe(a < b ? -1 : a > b ? 1 : 0)
      }),
    )
  })
})

/** One step of a history: a write to one of a few keys, or a delivery of what happened by one of the sources. */
type Step =
  | { readonly kind: 'write'; readonly key: number }
  | { readonly kind: 'delete'; readonly key: number }
  | { readonly kind: 'deliver' | 'beginList' | 'endList' }
  | { readonly kind: 'reply'; readonly which: number }

test('whatever the order of events, lists and late replies, the store is what the server holds once all has arrived', async () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), key: fc.nat(3) }),
    fc.record({ kind: fc.constant('delete' as const), key: fc.nat(3) }),
    fc.record({ kind: fc.constantFrom('deliver' as const, 'beginList' as const, 'endList' as const) }),
    fc.record({ kind: fc.constant('reply' as const), which: fc.nat(30) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const store = createStore<string>()
      const mirror = new Map<string, string>()
      store.subscribe(({ type, key, before, after }) => {
        expect(mirror.get(key)).toBe(before)
        if (type === 'set') mirror.set(key, after)
        else mirror.delete(key)
      })
      await store.snapshot('').commit('0')
      const server = new Map<string, Entry<string>>()
      const events: (
        | { readonly type: 'set'; readonly entry: Entry<string> }
        | { readonly type: 'deleted'; readonly key: string; readonly at: number }
      )[] = []
      const replies: Entry<string>[] = []
      let revision = 0
      let delivered = 0
      let list: { readonly snapshot: ReturnType<typeof store.snapshot>; readonly at: number } | undefined
      const deliver = (): void => {
        const event = events[delivered]
        if (event === undefined) return
        delivered += 1
        if (event.type === 'set') store.observe('', event.entry)
        else store.remove('', gone(event.key, event.at))
      }
      for (const one of steps) {
        if (one.kind === 'write') {
          const written = entry(`a/${one.key}`, ++revision)
          server.set(written.key, written)
          events.push({ type: 'set', entry: written })
          replies.push(written)
        } else if (one.kind === 'delete' && server.delete(`a/${one.key}`)) {
          events.push({ type: 'deleted', key: `a/${one.key}`, at: ++revision })
        } else if (one.kind === 'deliver') deliver()
        else if (one.kind === 'reply') {
          const reply = replies[one.which]
          if (reply !== undefined) store.apply(reply)
        } else if (one.kind === 'beginList' && list === undefined) {
          list = { snapshot: store.snapshot(''), at: revision }
          for (const held of server.values()) list.snapshot.add(held)
        } else if (one.kind === 'endList') {
          await list?.snapshot.commit(String(list.at))
          list = undefined
        }
      }
      await list?.snapshot.commit(String(list.at))
      while (delivered < events.length) deliver()
      for (const reply of replies) store.apply(reply)
      const expected = [...server.values()].map((held) => [held.key, held.value]).sort()
      expect([...store.keys()].map((key) => [key, store.get(key)]).sort()).toEqual(expected)
      expect([...mirror].sort()).toEqual(expected)
    }),
    { numRuns: 1000 },
  )
})
