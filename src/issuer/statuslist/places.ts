// The places of one list in random order, each given once: neighbours in the list say nothing about neighbours in time.

import type { Entropy } from '../../ports/entropy.ts'

export interface Places {
  /** A place that was never taken before; `undefined` when all are. */
  take(): number | undefined
  readonly left: number
}

const range = 2 ** 32

/** A Fisher-Yates shuffle that stops where it is until the next place is asked for. */
export function createPlaces(size: number, entropy: Entropy): Places {
  const order = Uint32Array.from({ length: size }, (_, index) => index)
  let taken = 0
  return {
    take() {
      if (taken >= size) return undefined
      const at = taken + below(size - taken, entropy)
      const place = order[at] as number
      order[at] = order[taken] as number
      taken += 1
      return place
    },
    get left() {
      return size - taken
    },
  }
}

/** A uniform number in [0, limit): what would favour small ones is drawn again. */
function below(limit: number, entropy: Entropy): number {
  for (;;) {
    const bytes = entropy.bytes(4)
    const drawn = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0)
    if (drawn < range - (range % limit)) return drawn % limit
  }
}
