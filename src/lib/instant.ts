// Points in time and lengths of time as branded numbers, so that a length cannot be passed for a point.
// Nothing here reads a clock: `now` is always a parameter.

declare const instant: unique symbol
declare const duration: unique symbol

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Instant = number & { readonly [instant]: true }
/** A length of time in milliseconds. */
export type Duration = number & { readonly [duration]: true }

export const at = (epochMilliseconds: number): Instant => epochMilliseconds as Instant
export const milliseconds = (n: number): Duration => n as Duration
export const seconds = (n: number): Duration => (n * 1000) as Duration
/** No bound at all: the most seconds that a field of 32 bits can say. */
export const endless: Duration = seconds(2_147_483_647)

/** An RFC 3339 time as the API server writes it. Answers `undefined` for anything else. */
export function parseTime(text: string | undefined): Instant | undefined {
  if (text === undefined) return undefined
  const value = Date.parse(text)
  return Number.isNaN(value) ? undefined : at(value)
}

/** RFC 3339 in UTC with whole seconds, rounded down, as `metav1.Time` is written. */
export function formatTime(time: Instant): string {
  return new Date(Math.floor(time / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}

/** The same point, rounded down to a whole second: what survives being written to the API server and read back. */
export const wholeSecond = (time: Instant): Instant => at(Math.floor(time / 1000) * 1000)
export const plus = (time: Instant, length: Duration): Instant => at(time + length)
export const minus = (time: Instant, length: Duration): Instant => at(time - length)
export const between = (from: Instant, to: Instant): Duration => milliseconds(to - from)
export const toSeconds = (length: Duration): number => Math.floor(length / 1000)

/** The earliest of those that are there. */
export function earliest(...times: readonly (Instant | undefined)[]): Instant | undefined {
  const known = times.filter((t): t is Instant => t !== undefined)
  return known.length === 0 ? undefined : at(Math.min(...known))
}
