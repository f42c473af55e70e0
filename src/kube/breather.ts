// Gives the event loop back while something long is worked through.

import { type Duration, milliseconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'

/** Between two steps: `undefined` means go on, a promise means that it is time to let others run first. */
export type Breathe = () => Promise<void> | undefined

export function createBreather(clock: Pick<Clock, 'monotonic'>, every: Duration = milliseconds(5)): Breathe {
  let since = clock.monotonic()
  return () => {
    if (clock.monotonic() - since < every) return undefined
    return new Promise((resolve) =>
      setImmediate(() => {
        since = clock.monotonic()
        resolve()
      }),
    )
  }
}
