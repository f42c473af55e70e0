// How long things take, measured one after the other, and how such lists compare.

import { eventually } from '../../support/cluster.ts'

/** Milliseconds that each of so many took, sorted. `begin` starts one, and what it answers says when that one is over. */
export async function measure(count: number, begin: (i: number) => Promise<() => Promise<boolean> | boolean>): Promise<readonly number[]> {
  const found: number[] = []
  for (let i = 0; i < count; i += 1) {
    const started = performance.now()
    const over = await begin(i)
    await eventually(
      async () => {
        if (!(await over())) throw new Error(`number ${i} is not over`)
      },
      { everyMs: 5, timeoutMs: 60_000 },
    )
    found.push(performance.now() - started)
  }
  return found.sort((a, b) => a - b)
}

export const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN

export const shown = (sorted: readonly number[]): string =>
  `p50 ${quantile(sorted, 0.5).toFixed(0)} ms, p99 ${quantile(sorted, 0.99).toFixed(0)} ms`

type Found = Readonly<Record<'begins' | 'ends', readonly number[]>>

/**
 * Measures until it compares, three times at the most: what delays everything does so each time, and somebody else on the machine does not.
 * The bound is that of half as long again, and 100 ms for what a machine does to single ones.
 */
export async function compared(before: Found, again: (n: number) => Promise<Found>): Promise<Found> {
  const bound = (of: keyof Found): number => 1.5 * quantile(before[of], 0.99) + 100
  const well = (found: Found): boolean => (['begins', 'ends'] as const).every((of) => quantile(found[of], 0.99) < bound(of))
  for (let n = 1; ; n += 1) {
    const found = await again(n)
    if (well(found)) return found
    console.log(`measured ${n} times: begins ${shown(found.begins)}, ends ${shown(found.ends)}`)
    if (n === 3)
      throw new Error(`p99 is above ${bound('begins').toFixed(0)} ms (begins) or ${bound('ends').toFixed(0)} ms (ends), three times`)
  }
}
