// Keeps slow sources from taking all workers: so many calls to each at a time, and who comes later waits only for a moment. Says how many
// wait for long, so that others can work in their place: several sources may fall silent at once.

/** Runs `call` when there is room for this provider; `undefined` where there was none in time. */
export type Bulkhead = <T>(provider: string, call: () => Promise<T>) => Promise<T | undefined>

/** How long an issue waits for room at its provider before it is put back. */
const patienceMs = 50
/** A healthy source answers in a few milliseconds. */
const longMs = 400

/**
 * @param width calls to one provider at a time
 * @param waiting told how many calls of all providers wait for long, as often as that changes
 */
export function createBulkhead(width: number, waiting: (count: number) => void = () => undefined): Bulkhead {
  const inside = new Map<string, number>()
  const lines = new Map<string, ((enters: boolean) => void)[]>()
  let long = 0

  async function enter(provider: string): Promise<boolean> {
    const count = inside.get(provider) ?? 0
    if (count < width) {
      inside.set(provider, count + 1)
      return true
    }
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const line = lines.get(provider) ?? []
    lines.set(provider, line)
    line.push(resolve)
    const timer = setTimeout(() => {
      const place = line.indexOf(resolve)
      if (place >= 0) line.splice(place, 1)
      resolve(false)
    }, patienceMs)
    return promise.finally(() => clearTimeout(timer))
  }

  /** Hands the place on, or gives it back. */
  function leave(provider: string): void {
    const next = lines.get(provider)?.shift()
    if (next === undefined) inside.set(provider, (inside.get(provider) ?? 1) - 1)
    else next(true)
  }

  return async (provider, call) => {
    if (!(await enter(provider))) return undefined
    let isLong = false
    const timer = setTimeout(() => {
      isLong = true
      waiting(++long)
    }, longMs)
    try {
      return await call()
    } finally {
      clearTimeout(timer)
      if (isLong) waiting(--long)
      leave(provider)
    }
  }
}
