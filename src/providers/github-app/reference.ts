// What is known of the tokens that were asked for under one row. In the row: each request, from before it is sent, since a token whose answer
// is lost can be ended by nobody. Kept sealed: each token that was answered, by which alone it can be ended.

import { at, type Instant } from '../../lib/instant.ts'
import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'

/** One request for a token. */
export interface Asked {
  readonly ask: number
  /** what was made by it has died by itself by then */
  readonly until: Instant
}

export interface Reference {
  readonly asked: readonly Asked[]
  /** requests whose token is known to be dead */
  readonly dead: readonly number[]
}

export interface KeptToken {
  readonly ask: number
  readonly token: Material
  /** a renewal has taken its place by then */
  readonly ends: Instant
}

export const writeReference = (reference: Reference): string => JSON.stringify(reference)

/** A failure is a sentence: whoever wrote that, nothing may be taken for dead. */
export function readReference(text: string | undefined): Result<Reference, string> {
  if (text === undefined) return ok({ asked: [], dead: [] })
  const value = parse(text)
  const { asked, dead } = value
  const good =
    Array.isArray(asked) &&
    asked.every((entry) => isNumber(entry?.ask) && isNumber(entry?.until)) &&
    Array.isArray(dead) &&
    dead.every(isNumber)
  if (!good) return fail('its row in the ledger holds a reference that cannot be read')
  return ok({ asked: asked.map(({ ask, until }) => ({ ask, until: at(until) })), dead })
}

export const writeToken = ({ ask, token, ends }: KeptToken): Material =>
  new Material(JSON.stringify({ ask, token: new TextDecoder().decode(token.reveal()), ends }))

export function readTokens(values: readonly Material[]): Result<readonly KeptToken[], string> {
  const tokens: KeptToken[] = []
  for (const value of values) {
    const { ask, token, ends } = parse(new TextDecoder().decode(value.reveal()))
    if (!isNumber(ask) || !isNumber(ends) || typeof token !== 'string') return fail('what was kept to end it cannot be read')
    tokens.push({ ask, token: new Material(token), ends: at(ends) })
  }
  return ok(tokens)
}

const isNumber = (value: unknown): value is number => Number.isSafeInteger(value)

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}
