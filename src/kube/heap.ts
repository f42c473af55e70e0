// A binary heap of keys by a number, in which a key can be moved or taken out. No clock, no timers.

export interface Heap<K> {
  /** Adds the key, or moves it. */
  set(key: K, order: number): void
  delete(key: K): boolean
  get(key: K): number | undefined
  /** The key with the smallest number. */
  first(): { readonly key: K; readonly order: number } | undefined
  readonly size: number
}

export function createHeap<K>(): Heap<K> {
  const nodes: { readonly key: K; order: number }[] = []
  const places = new Map<K, number>()

  function swap(a: number, b: number): void {
    const left = nodes[a]
    const right = nodes[b]
    if (left === undefined || right === undefined) return
    nodes[a] = right
    nodes[b] = left
    places.set(right.key, a)
    places.set(left.key, b)
  }

  const order = (place: number): number => nodes[place]?.order ?? Number.POSITIVE_INFINITY

  function settle(start: number): void {
    let place = start
    for (let parent = (place - 1) >> 1; place > 0 && order(place) < order(parent); parent = (place - 1) >> 1) {
      swap(place, parent)
      place = parent
    }
    for (;;) {
      const left = 2 * place + 1
      const smaller = order(left + 1) < order(left) ? left + 1 : left
      if (order(smaller) >= order(place)) return
      swap(place, smaller)
      place = smaller
    }
  }

  return {
    set(key, value) {
      const place = places.get(key) ?? nodes.length
      const node = nodes[place]
      if (node === undefined) {
        nodes.push({ key, order: value })
        places.set(key, place)
      } else node.order = value
      settle(place)
    },
    delete(key) {
      const place = places.get(key)
      if (place === undefined) return false
      swap(place, nodes.length - 1)
      nodes.pop()
      places.delete(key)
      if (place < nodes.length) settle(place)
      return true
    },
    get(key) {
      const place = places.get(key)
      return place === undefined ? undefined : nodes[place]?.order
    },
    first: () => nodes[0],
    get size() {
      return nodes.length
    },
  }
}
