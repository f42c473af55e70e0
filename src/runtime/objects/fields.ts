// Reads untyped JSON without believing it: each helper answers a plain value or `undefined`, never throws.

export type Fields = Readonly<Record<string, unknown>>

export const record = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
export const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
export const number = (value: unknown): number | undefined => (typeof value === 'number' && Number.isFinite(value) ? value : undefined)
export const strings = (value: unknown): readonly string[] => list(value).filter((entry): entry is string => typeof entry === 'string')

/** A map from text to text; other members are left out. */
export function words(value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(record(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}
