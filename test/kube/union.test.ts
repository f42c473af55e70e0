import { expect, test } from '@jest/globals'
import { createStore, type Store } from '../../src/kube/store.ts'
import { createUnion } from '../../src/kube/union.ts'

const put = (store: Store<string>, key: string, version: number, value: string): void =>
  store.observe('', { key, uid: key, resourceVersion: String(version), value })

test('objects of the cluster and of namespaces are one view, and neither is taken for the other', () => {
  const [cluster, namespaced] = [createStore<string>(), createStore<string>()]
  const union = createUnion(cluster, namespaced)
  const byValue = union.index((value) => [value])
  const seen: string[] = []
  const stop = union.subscribe(({ key, type }) => void seen.push(`${type} ${key}`))
  put(cluster, 'corp', 2, 'a')
  put(namespaced, 'team/corp', 2, 'a')
  put(namespaced, 'team/own', 3, 'b')
  expect([union.get('corp'), union.get('team/corp'), union.get('own'), union.entry('team/own')?.resourceVersion]).toEqual([
    'a',
    'a',
    undefined,
    '3',
  ])
  expect([[...union.keys()], [...union.values()], union.size]).toEqual([['corp', 'team/corp', 'team/own'], ['a', 'a', 'b'], 3])
  expect([[...byValue('a')], [...byValue('b')], [...byValue('c')]]).toEqual([['corp', 'team/corp'], ['team/own'], []])
  expect(union.apply({ key: 'team/own', uid: 'team/own', resourceVersion: '9', value: 'c' })).toBe(true)
  expect(namespaced.get('team/own')).toBe('c')
  stop()
  put(cluster, 'late', 4, 'x')
  expect(seen).toEqual(['set corp', 'set team/corp', 'set team/own', 'set team/own'])
})
