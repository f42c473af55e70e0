// What the tests of src/kube share: the machine's clock, a held clock with its timers, and repeatable randomness.

import type { Timers } from '../../src/kube/timers.ts'
import { at, type Duration, type Instant, milliseconds } from '../../src/lib/instant.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Entropy } from '../../src/ports/entropy.ts'
import type { Log } from '../../src/ports/log.ts'

export const machineClock: Clock = { now: () => at(Date.now()), monotonic: () => milliseconds(performance.now()) }

export const entropy: Pick<Entropy, 'unit'> = { unit: () => 0.5 }

/** Keeps what was logged. */
export function keepingLog(): Log & { readonly lines: string[] } {
  const lines: string[] = []
  const keep =
    (level: string): Log['info'] =>
    (message, fields) =>
      void lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)
  return { lines, debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
}

/** A clock that stands still until it is moved; its timers fire as it passes them. */
export interface HeldClock extends Clock, Timers {
  /** Moves time and fires what is due, in order, letting promises settle after each. */
  advance(by: Duration): Promise<void>
  /** Moves time and fires nothing: what a process sees that was stopped. */
  jump(by: Duration): void
  /** Sets the wall clock and nothing else. */
  setWall(to: Instant): void
  armed(): number
}

export function heldClock(start = 1_000_000): HeldClock {
  let monotonic = start
  let offset = 1_700_000_000_000
  const timers = new Set<{ readonly due: number; readonly fire: () => void }>()

  const firstDue = (limit: number) => [...timers].filter((one) => one.due <= limit).sort((a, b) => a.due - b.due)[0]

  return {
    now: () => at(offset + monotonic),
    monotonic: () => milliseconds(monotonic),
    after(delay, fire) {
      const timer = { due: monotonic + Math.max(delay, 0), fire }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    async advance(by) {
      const until = monotonic + by
      for (let next = firstDue(until); next !== undefined; next = firstDue(until)) {
        timers.delete(next)
        monotonic = Math.max(monotonic, next.due)
        next.fire()
        await settled()
      }
      monotonic = Math.max(monotonic, until)
      await settled()
    },
    jump(by) {
      monotonic += by
    },
    setWall(to) {
      offset = to - monotonic
    },
    armed: () => timers.size,
  }
}

/** Lets everything that needs no time happen. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

/** Polls a condition that other parts of this process make true. */
export async function until(condition: () => boolean, limit = 10_000): Promise<void> {
  const end = performance.now() + limit
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not true within ${limit} ms: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
