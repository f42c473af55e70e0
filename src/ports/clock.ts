import type { Duration, Instant } from '../lib/instant.ts'

/** Time, given from outside so that tests can hold it. */
export interface Clock {
  /** Wall-clock time. May jump. */
  now(): Instant
  /** Time since some fixed point; never goes back. For fences and leases. */
  monotonic(): Duration
}
