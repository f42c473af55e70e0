// Bounds how many requests are in flight, and lets what ends credentials overtake what makes them.
// It does not know what a request is and never drops one.

export type Priority = 'end' | 'normal'

export interface Lanes {
  /** Resolves with the function that gives the place back, or with `undefined` when `signal` was aborted first. */
  enter(priority: Priority, signal: AbortSignal): Promise<(() => void) | undefined>
  inFlight(): number
  waiting(): number
}

/** Of `limit` places, `reserved` are for `end` alone: slow or throttled issuing can never hold all of them. */
export function createLanes(limit: number, reserved: number): Lanes {
  const waiting: Record<Priority, Set<() => void>> = { end: new Set(), normal: new Set() }
  let taken = 0
  let takenByNormal = 0

  const mayEnter = (priority: Priority): boolean => taken < limit && (priority === 'end' || takenByNormal < limit - reserved)

  function take(priority: Priority): () => void {
    let held = true
    taken += 1
    if (priority === 'normal') takenByNormal += 1
    return () => {
      if (!held) return
      held = false
      taken -= 1
      if (priority === 'normal') takenByNormal -= 1
      admit()
    }
  }

  function admit(): void {
    for (const priority of ['end', 'normal'] as const) {
      for (const proceed of waiting[priority]) {
        if (!mayEnter(priority)) break
        waiting[priority].delete(proceed)
        proceed()
      }
    }
  }

  return {
    enter(priority, signal) {
      if (signal.aborted) return Promise.resolve(undefined)
      if (mayEnter(priority)) return Promise.resolve(take(priority))
      return new Promise((resolve) => {
        const giveUp = (): void => {
          waiting[priority].delete(proceed)
          resolve(undefined)
        }
        const proceed = (): void => {
          signal.removeEventListener('abort', giveUp)
          resolve(take(priority))
        }
        waiting[priority].add(proceed)
        signal.addEventListener('abort', giveUp, { once: true })
      })
    },
    inFlight: () => taken,
    waiting: () => waiting.end.size + waiting.normal.size,
  }
}
