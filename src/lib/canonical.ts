// When two JSON values are the same, whatever the order of their keys: one text for one value, so that a digest of it can be compared.

import { createHash } from 'node:crypto'

/** JSON with object keys sorted by code unit and `undefined` members left out (the part of RFC 8785 that our values need). */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`)
  return `{${members.join(',')}}`
}

/** Whether two JSON values have the same canonical text, without making it: `undefined` members are absent, other `undefined` is null. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (!isObject(a) || !isObject(b)) return (a ?? null) === (b ?? null)
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((entry, i) => equal(entry, b[i]))
  }
  let surplus = 0
  for (const key of Object.keys(a)) {
    if (a[key] === undefined) continue
    // not what every object inherits
    if (!Object.hasOwn(b, key) || b[key] === undefined || !equal(a[key], b[key])) return false
    surplus += 1
  }
  for (const key of Object.keys(b)) if (b[key] !== undefined) surplus -= 1
  return surplus === 0
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null

/** `sha256:` and the lower-case hex digest of the canonical text. */
export function digest(value: unknown): string {
  return `sha256:${createHash('sha256').update(canonical(value)).digest('hex')}`
}
