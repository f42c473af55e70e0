// Keeps one slow source from taking all workers: so many calls to it at a time, and who comes later waits only for a moment.

/** Runs `call` when there is room for this provider; `undefined` where there was none in time. */
export type Bulkhead = <T>(provider: string, call: () => Promise<T>) => Promise<T | undefined>

/** How long an issue waits for room at its provider before it is put back. */
const patienceMs = 50

export function createBulkhead(width: number): Bulkhead {
  const inside = new Map<string, number>()
  const waiting = new Map<string, ((enters: boolean) => void)[]>()

  async function enter(provider: string): Promise<boolean> {
    const count = inside.get(provider) ?? 0
    if (count < width) {
      inside.set(provider, count + 1)
      return true
    }
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const line = waiting.get(provider) ?? []
    waiting.set(provider, line)
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
    const next = waiting.get(provider)?.shift()
    if (next === undefined) inside.set(provider, (inside.get(provider) ?? 1) - 1)
    else next(true)
  }

  return async (provider, call) => {
    if (!(await enter(provider))) return undefined
    try {
      return await call()
    } finally {
      leave(provider)
    }
  }
}
