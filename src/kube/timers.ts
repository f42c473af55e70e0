// Waiting, given from outside so that tests can hold it. Delays are monotonic; none is longer than setTimeout can count.

import { type Duration, milliseconds } from '../lib/instant.ts'

export interface Timers {
  /** Calls `fire` once after `delay`; the answer cancels it. */
  after(delay: Duration, fire: () => void): () => void
}

/** The longest delay that setTimeout honours; a longer one would fire at once. */
const longestDelay: Duration = milliseconds(2 ** 31 - 1)

export const realTimers: Timers = {
  after(delay, fire) {
    const timer = setTimeout(fire, Math.min(Math.max(delay, 0), longestDelay))
    return () => clearTimeout(timer)
  },
}

/** Resolves after `delay`, or at once when `signal` is or becomes aborted. */
export function sleep(timers: Timers, delay: Duration, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const cancel = timers.after(delay, done)
    signal?.addEventListener('abort', done)
  })
}
