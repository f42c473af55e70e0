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
