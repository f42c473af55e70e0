// What of something that was sent must not depend on the texts in it: a text that changes the shape has become something else than a text.

import type { HttpCall } from '../../src/outbound/http.ts'

/** A statement without the contents of its strings and quoted identifiers. Knows no comments: what is left of one shows. */
export function shapeOfSql(sql: string): string {
  const blocks = sql.split('$taskbound$').length
  return `${blocks} ${sql.replace(/ E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*"/gs, (quoted) => (quoted.startsWith('"') ? '""' : "''")).replace(/\s+/g, ' ')}`
}

/** The keys of what is JSON, at every depth. */
function keysOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [keysOf(value[0])]
  if (typeof value !== 'object' || value === null) return typeof value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, keysOf(inner)]))
}

/**
 * Throws where a URL or a header is none.
 * @param base the provider's own URL, below which it is
 */
export function shapeOfCall({ method, url, headers = {}, body }: HttpCall, base: string): string {
  const { protocol, username, password, pathname, search, hash } = new URL(url)
  for (const [name, value] of Object.entries(headers))
    if (!/^[\x20-\x7e]*$/.test(value)) throw new Error(`a header ${name} of odd characters`)
  const own = new URL(base)
  if (new URL(url).origin !== own.origin) throw new Error('it goes elsewhere')
  const depth = pathname.split('/').length - own.pathname.replace(/\/+$/, '').split('/').length
  const json = body === undefined ? undefined : keysOf(JSON.parse(body))
  return JSON.stringify([method, protocol, username, password, depth, search, hash, Object.keys(headers), json])
}
