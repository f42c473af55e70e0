// The waiting keys of a work queue: three priorities, and within one the groups take turns, so that no namespace starves another.
// A key waits once; it can be raised, never lowered. No clock, no promises.

export const priorities = ['end', 'new', 'resync'] as const
export type WorkPriority = (typeof priorities)[number]

interface Waiting {
  readonly priority: WorkPriority
  readonly since: number
}

export interface WaitingKeys {
  /** `since` is kept when a waiting key is added again. */
  add(key: string, priority: WorkPriority, since: number): void
  /** The next key whose priority is among those allowed, of a group that has room; it waits no longer. */
  take(
    allowed: (priority: WorkPriority) => boolean,
    hasRoom?: (group: string, priority: WorkPriority) => boolean,
  ): { readonly key: string; readonly priority: WorkPriority } | undefined
  count(priority: WorkPriority): number
  /** since when the one that waits longest has been waiting */
  oldest(): number | undefined
  clear(): void
}

export function createWaitingKeys(groupOf: (key: string) => string): WaitingKeys {
  const waiting = new Map<string, Waiting>()
  const rings = { end: createRing(), new: createRing(), resync: createRing() }
  const counts = { end: 0, new: 0, resync: 0 }

  return {
    add(key, priority, since) {
      const held = waiting.get(key)
      if (held !== undefined && priorities.indexOf(held.priority) <= priorities.indexOf(priority)) return
      if (held !== undefined) counts[held.priority] -= 1
      // a raised key stays behind in its old ring, where it is passed over
      waiting.set(key, { priority, since: held?.since ?? since })
      counts[priority] += 1
      rings[priority].push(groupOf(key), key)
    },
    take(allowed, hasRoom = () => true) {
      for (const priority of priorities) {
        if (counts[priority] === 0 || !allowed(priority)) continue
        const room = (group: string): boolean => hasRoom(group, priority)
        for (let key = rings[priority].shift(room); key !== undefined; key = rings[priority].shift(room)) {
          if (waiting.get(key)?.priority !== priority) continue
          waiting.delete(key)
          counts[priority] -= 1
          return { key, priority }
        }
      }
      return undefined
    },
    count: (priority) => counts[priority],
    oldest() {
      let oldest: number | undefined
      for (const { since } of waiting.values()) if (oldest === undefined || since < oldest) oldest = since
      return oldest
    },
    clear() {
      waiting.clear()
      for (const priority of priorities) {
        counts[priority] = 0
        rings[priority] = createRing()
      }
    },
  }
}

interface Ring {
  push(group: string, key: string): void
  /** The first key of the group whose turn it is, of those that have room; the others keep theirs for later. */
  shift(hasRoom: (group: string) => boolean): string | undefined
}

function createRing(): Ring {
  const groups = new Map<string, Fifo<string>>()
  const turns = createFifo<string>()
  return {
    push(group, key) {
      let keys = groups.get(group)
      if (keys === undefined) {
        keys = createFifo()
        groups.set(group, keys)
        turns.push(group)
      }
      keys.push(key)
    },
    shift(hasRoom) {
      let group = turns.shift()
      for (let passed = turns.size(); group !== undefined && !hasRoom(group); passed -= 1) {
        turns.push(group)
        if (passed === 0) return undefined
        group = turns.shift()
      }
      if (group === undefined) return undefined
      const keys = groups.get(group)
      const key = keys?.shift()
      if (keys === undefined || keys.size() === 0) groups.delete(group)
      else turns.push(group)
      return key
    },
  }
}

interface Fifo<V> {
  push(value: V): void
  shift(): V | undefined
  size(): number
}

/** Array.shift moves everything; this moves everything once in a while. */
function createFifo<V>(): Fifo<V> {
  let values: V[] = []
  let head = 0
  return {
    push: (value) => void values.push(value),
    shift() {
      const value = values[head]
      if (head < values.length) head += 1
      if (head > 64 && head * 2 > values.length) {
        values = values.slice(head)
        head = 0
      }
      return value
    },
    size: () => values.length - head,
  }
}
