// Two stores of one kind of value, seen as one: objects of the cluster by their names, objects of namespaces by `<namespace>/<name>`.
// Holds nothing; what is written goes to the store that the key belongs to.

import type { StoreView } from './store.ts'

/** @param namespaced keys have a slash; those of `cluster` have none */
export function createUnion<T>(cluster: StoreView<T>, namespaced: StoreView<T>): StoreView<T> {
  const of = (key: string): StoreView<T> => (key.includes('/') ? namespaced : cluster)
  function* both<K>(from: (view: StoreView<T>) => Iterable<K>): Generator<K, undefined> {
    yield* from(cluster)
    yield* from(namespaced)
    return undefined
  }
  return {
    get: (key) => of(key).get(key),
    entry: (key) => of(key).entry(key),
    values: () => both((view) => view.values()),
    keys: () => both((view) => view.keys()),
    get size() {
      return cluster.size + namespaced.size
    },
    index(keysOf) {
      const [first, second] = [cluster.index(keysOf), namespaced.index(keysOf)]
      return (term) => {
        const [a, b] = [first(term), second(term)]
        return a.size === 0 ? b : b.size === 0 ? a : new Set([...a, ...b])
      }
    },
    subscribe(listener) {
      const stops = [cluster.subscribe(listener), namespaced.subscribe(listener)]
      return () => {
        for (const stop of stops) stop()
      }
    },
    apply: (entry) => of(entry.key).apply(entry),
  }
}
