// How long to wait before the next try: doubling, capped, with full jitter on the upper half so that many keys spread out.

import { type Duration, milliseconds } from './instant.ts'

export interface BackoffSettings {
  readonly first: Duration
  readonly cap: Duration
}

/**
 * @param failures consecutive failures so far, 1 for the first
 * @param unit a random number in [0, 1)
 */
export function backoff(settings: BackoffSettings, failures: number, unit: number): Duration {
  const ceiling = Math.min(settings.cap, settings.first * 2 ** Math.min(failures - 1, 30))
  return milliseconds(Math.round(ceiling / 2 + (ceiling / 2) * unit))
}
