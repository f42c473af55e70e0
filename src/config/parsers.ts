// Parsers of single settings. Each answers a value or what is wrong and how it should look; none knows where its text came from.

import { type Duration, seconds } from '../lib/instant.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { isNetwork } from '../outbound/addresses.ts'

export type Parser<T> = (text: string) => Result<T, string>

/** Where to listen. No host means all interfaces; port 0 means any free one. */
export interface ListenAddress {
  readonly host: string | undefined
  readonly port: number
}

/** @param what completes "must be ..." */
export function matching(shape: RegExp, what: string): Parser<string> {
  return (text) => (shape.test(text) ? ok(text) : fail(`must be ${what}`))
}

export const dnsLabel = matching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'a DNS label: at most 63 of a-z, 0-9 and `-`, no `-` at an end')

export const subdomain = matching(
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/,
  'a name of a-z, 0-9, `-` and `.`, at most 253 characters',
)

export const trustDomain = matching(/^[a-z0-9._-]{1,255}$/, 'a SPIFFE trust domain: at most 255 of a-z, 0-9, `.`, `-` and `_`')

export function integer(least: number, most: number): Parser<number> {
  return (text) => {
    const n = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
    return n >= least && n <= most ? ok(n) : fail(`must be a whole number from ${least} to ${most}`)
  }
}

export function secondsWithin(least: number, most: number): Parser<Duration> {
  const parse = integer(least, most)
  return (text) => {
    const n = parse(text)
    return n.ok ? ok(seconds(n.value)) : fail(`${n.failure}, in seconds and without a unit`)
  }
}

export function choice<const T extends string>(...values: readonly T[]): Parser<T> {
  return (text) => {
    const found = values.find((value) => value === text)
    return found === undefined ? fail(`must be one of ${values.map((v) => `\`${v}\``).join(', ')}`) : ok(found)
  }
}

export const yesOrNo: Parser<boolean> = (text) =>
  text === 'true' ? ok(true) : text === 'false' ? ok(false) : fail('must be `true` or `false`')

/** `host:port`, `[v6]:port` or `:port`. */
export const listenAddress: Parser<ListenAddress> = (text) => {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/.exec(text)
  const port = Number(parts?.[3])
  if (parts === null || port > 65535) return fail('must be `host:port`, `[IPv6]:port` or `:port` for all interfaces')
  return ok({ host: parts[1] ?? (parts[2] || undefined), port })
}

/** An issuer as OpenID Connect Discovery wants it: https, no query, no fragment, written in the one form that verifiers compare. */
export const issuerUrl: Parser<string> = (text) => {
  if (!URL.canParse(text)) return fail('must be a URL such as `https://issuer.example.com`')
  const url = new URL(text)
  if (url.protocol !== 'https:') return fail('must begin with `https://`: verifiers refuse any other issuer')
  if (url.username !== '' || url.password !== '') return fail('must not hold a user or a password')
  if (/[?#]/.test(text)) return fail('must have no query and no fragment')
  const plain = url.href.replace(/\/+$/, '')
  return plain === text ? ok(text) : fail(`must be written in its plain form, \`${plain}\`, because verifiers compare it letter by letter`)
}

export const network: Parser<string> = (text) => (isNetwork(text) ? ok(text) : fail('must be a network such as `10.96.0.0/12`'))

/** Where something is posted. A key for it does not belong into a command line. */
export const httpUrl: Parser<string> = (text) => {
  if (!URL.canParse(text)) return fail('must be a URL such as `http://collector:4318`')
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return fail('must begin with `http://` or `https://`')
  return url.username !== '' || url.password !== '' ? fail('must not hold a user or a password') : ok(text)
}

/** Values between commas; a value twice counts once. */
export function listOf<T>(parse: Parser<T>): Parser<readonly T[]> {
  return (text) => {
    const values: T[] = []
    for (const item of new Set(text.split(',').map((part) => part.trim()))) {
      const value = parse(item)
      if (!value.ok) return fail(`each value between commas ${value.failure}`)
      values.push(value.value)
    }
    return ok(values)
  }
}
