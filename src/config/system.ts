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
  bytes: drawTogether(1024),
  uuid: () => randomUUID(),
  unit: () => Math.random(),
}

/** Small numbers of bytes are asked for often, and each draw is a call into OpenSSL: they are drawn together. */
function drawTogether(size: number): Entropy['bytes'] {
  let drawn = new Uint8Array(0)
  return (count) => {
    if (count > size / 4) return new Uint8Array(randomBytes(count))
    if (count > drawn.length) drawn = new Uint8Array(randomBytes(size))
    const bytes = drawn.slice(0, count)
    // what was given away is nowhere else
    drawn.fill(0, 0, count)
    drawn = drawn.subarray(count)
    return bytes
  }
}
