// How the sources outside answer: notices one that keeps its callers waiting, so that nobody else starts to wait for it, and asks for a
// check of its provider where a call failed. Decides nothing about tasks.

import type { Result } from '../../lib/result.ts'

export interface Health {
  /** Makes a call to a provider's source, and watches how it goes. */
  run<T, F>(provider: { readonly uid: string; readonly key: string }, call: () => Promise<Result<T, F>>): Promise<Result<T, F>>
  /** It keeps somebody waiting and answers nobody else, or did so and has answered nobody since. */
  stuck(uid: string): boolean
  /** Something of it has answered. */
  well(uid: string, key: string): void
}

export interface HealthDeps {
  /** have the provider checked, soon and once */
  readonly check: (key: string) => void
  /** it answers again: what waited for it can go on */
  readonly changed: (key: string) => void
}

/** A healthy source answers in a few milliseconds. */
const impatience = 400

export function createHealth({ check, changed }: HealthDeps): Health {
  const stuck = new Set<string>()
  /** how often each has answered: a source that keeps one caller waiting and answers others is not silent */
  const answers = new Map<string, number>()
  const answered = (uid: string): number => answers.get(uid) ?? 0

  function well(uid: string, key: string): void {
    answers.set(uid, answered(uid) + 1)
    if (stuck.delete(uid)) changed(key)
  }

  return {
    stuck: (uid) => stuck.has(uid),
    well,
    async run({ uid, key }, call) {
      const before = answered(uid)
      const timer = setTimeout(() => {
        if (answered(uid) !== before) return
        if (!stuck.has(uid)) check(key)
        stuck.add(uid)
      }, impatience)
      const result = await call()
      clearTimeout(timer)
      if (result.ok) well(uid, key)
      else check(key)
      return result
    },
  }
}
