// One list as its leader sees it. A place that was once ended, dropped or left lapsed never reads valid again.

import type { Duration } from '../../lib/instant.ts'
import type { Owners } from './owners.ts'
import type { ListRecord } from './records.ts'

export interface List {
  readonly record: ListRecord
  /** the term of leadership in which this process made it; `undefined` when somebody else did */
  readonly term: number | undefined
  /** grows whenever a bit may have changed */
  version: number
  /** since when no task holds a place of it, on the monotonic clock */
  emptySince: Duration | undefined
  kill(index: number): void
  /** also for an index outside of the list */
  dead(index: number): boolean
  /** a copy: eight places a byte, the lowest bit first, 1 for dead */
  deadBits(): Uint8Array
  /** Remembers a place that was given and is not on a task yet. */
  give(index: number, until: Duration): void
  /** A task shows the place. */
  shown(index: number): void
  /** Kills what was given and did not appear on a task in time. */
  lapse(now: Duration): void
  readonly waiting: number
}

export function createList(record: ListRecord, term: number | undefined): List {
  const bits = new Uint8Array(record.size / 8)
  const pending = new Map<number, Duration>()
  const inside = (index: number) => Number.isSafeInteger(index) && index >= 0 && index < record.size
  const dead = (index: number) => !inside(index) || (((bits[index >> 3] as number) >> (index & 7)) & 1) === 1

  const list: List = {
    record,
    term,
    version: 0,
    emptySince: undefined,
    dead,
    deadBits: () => bits.slice(),
    kill(index) {
      pending.delete(index)
      if (dead(index)) return
      bits[index >> 3] = (bits[index >> 3] as number) | (1 << (index & 7))
      list.version += 1
    },
    give: (index, until) => void pending.set(index, until),
    shown: (index) => void pending.delete(index),
    lapse(now) {
      // In the order in which they were given, so the first that may wait ends the walk.
      for (const [index, until] of pending) {
        if (until > now) return
        list.kill(index)
      }
    },
    get waiting() {
      return pending.size
    },
  }
  return list
}

/**
 * The bits to publish. In an own list all that is not dead reads valid, so that a list which a verifier fetched a moment earlier
 * does not refuse a fresh token; in an earlier list only what is live on a task does.
 */
export function renderList(list: List, own: boolean, owners: Owners): Uint8Array {
  if (own) return list.deadBits()
  const bits = new Uint8Array(list.record.size / 8).fill(0xff)
  for (const index of owners.of(list.record.uri)) {
    if (!list.dead(index)) bits[index >> 3] = (bits[index >> 3] as number) & ~(1 << (index & 7))
  }
  return bits
}
