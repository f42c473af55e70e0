// Finds the name that somebody probably meant. Only for messages: nothing is ever taken for its neighbour.

/** Levenshtein's distance. */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The closest of some names; the first of equals. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  let best: { readonly name: string; readonly far: number } | undefined
  for (const candidate of names) {
    const far = distance(name, candidate)
    if (best === undefined || far < best.far) best = { name: candidate, far }
  }
  return best?.name
}
