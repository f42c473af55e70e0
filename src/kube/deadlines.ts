// Calls back when the time of a key has come: one heap and one timer, however many keys there are.
// It never trusts a timer for long: a clock that was set, or a machine that slept, is noticed within half a minute.

import { milliseconds, seconds } from '../lib/instant.ts'
import type { Log } from '../ports/log.ts'
import { createHeap } from './heap.ts'
import { realTimers, type Timers } from './timers.ts'

const longestTrust = seconds(30)

export interface Deadlines<Time extends number> {
  /** Replaces the key's time. One that is past fires soon, never within this call. */
  set(key: string, time: Time): void
  clear(key: string): void
  get(key: string): Time | undefined
  /** the earliest time */
  next(): Time | undefined
  readonly size: number
  /** Fires nothing any more. */
  stop(): void
}

export interface DeadlineDeps<Time extends number> {
  /** the clock that the times are of: `clock.now` for instants, `clock.monotonic` for lengths of time */
  readonly now: () => Time
  /** The key is out of the heap when this is called, so it may be set again. */
  readonly fire: (key: string) => void
  readonly log?: Pick<Log, 'error'>
  readonly timers?: Timers
}

export function createDeadlines<Time extends number>(deps: DeadlineDeps<Time>): Deadlines<Time> {
  const { now, fire } = deps
  const timers = deps.timers ?? realTimers
  const heap = createHeap<string>()
  let armedFor = Number.POSITIVE_INFINITY
  let cancel = (): void => {}
  let stopped = false

  function arm(): void {
    const first = heap.first()
    if (stopped || first === undefined) {
      cancel()
      armedFor = Number.POSITIVE_INFINITY
      return
    }
    if (first.order >= armedFor) return
    cancel()
    armedFor = first.order
    cancel = timers.after(milliseconds(Math.min(Math.max(first.order - now(), 0), longestTrust)), ring)
  }

  function ring(): void {
    armedFor = Number.POSITIVE_INFINITY
    const due: string[] = []
    for (let first = heap.first(); first !== undefined && first.order <= now(); first = heap.first()) {
      heap.delete(first.key)
      due.push(first.key)
    }
    for (const key of due) {
      try {
        fire(key)
      } catch (error) {
        deps.log?.error('a deadline handler threw', { key, error: error instanceof Error ? error : new Error(String(error)) })
      }
    }
    arm()
  }

  return {
    set(key, time) {
      if (stopped) return
      heap.set(key, time)
      arm()
    },
    clear(key) {
      if (heap.delete(key)) arm()
    },
    get: (key) => heap.get(key) as Time | undefined,
    next: () => heap.first()?.order as Time | undefined,
    get size() {
      return heap.size
    },
    stop() {
      stopped = true
      arm()
    },
  }
}
