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
 * @param bases the URLs that the provider names: it is below one of them
 */
export function shapeOfCall({ method, url, headers = {}, body }: HttpCall, bases: readonly string[]): string {
  const { protocol, username, password, origin, pathname, search, hash } = new URL(url)
  for (const [name, value] of Object.entries(headers))
    if (!/^[\x20-\x7e]*$/.test(value)) throw new Error(`a header ${name} of odd characters`)
  const [base] = bases.filter((one) => url.startsWith(one)).sort((a, b) => b.length - a.length)
  if (base === undefined || new URL(base).origin !== origin) throw new Error('it goes elsewhere')
  const depth = pathname.replace(/\/+$/, '').split('/').length - new URL(base).pathname.replace(/\/+$/, '').split('/').length
  const isForm = String(headers['content-type']).startsWith('application/x-www-form-urlencoded')
  const said = body === undefined ? undefined : isForm ? [...new URLSearchParams(body).keys()] : keysOf(JSON.parse(body))
  return JSON.stringify([method, protocol, username, password, depth, search, hash, Object.keys(headers), said])
}
