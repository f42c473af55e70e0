// One text for one value, whatever the order of its keys, so that a digest of it can be compared.

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

/** `sha256:` and the lower-case hex digest of the canonical text. */
export function digest(value: unknown): string {
  return `sha256:${createHash('sha256').update(canonical(value)).digest('hex')}`
}
