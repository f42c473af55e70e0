// The real clock and the real randomness. Everything else takes them as parameters.

import { randomBytes, randomUUID } from 'node:crypto'
import { at, milliseconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'

export const systemClock: Clock = {
  now: () => at(Date.now()),
  // whole process, never goes back, does not follow changes of the wall clock
  monotonic: () => milliseconds(performance.now()),
}

export const systemEntropy: Entropy = {
  bytes: (count) => new Uint8Array(randomBytes(count)),
  uuid: () => randomUUID(),
  unit: () => Math.random(),
}
