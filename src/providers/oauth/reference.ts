// What a row of the ledger says of the tokens that were asked for under it: which they are, and when the last of them is dead by itself.
// By nothing of it can anybody get in.

import { at, type Instant } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'

/** One token that was asked for. */
export interface Entry {
  /** its number in the row */
  readonly number: number
  /** whatever became of the answer, it has expired everywhere by then */
  readonly until: Instant
}

export const writeReference = (entries: readonly Entry[]): string => JSON.stringify(entries)

export const nextNumber = (entries: readonly Entry[]): number => Math.max(0, ...entries.map(({ number }) => number)) + 1

/** A failure is a sentence: whoever wrote that, nothing may be taken for dead. */
export function readReference(text: string | undefined): Result<readonly Entry[], string> {
  if (text === undefined) return ok([])
  const no = fail('its row in the ledger holds a reference that cannot be read')
  try {
    const entries = JSON.parse(text) as unknown
    if (!Array.isArray(entries)) return no
    const read = entries.map(readEntry)
    return read.every((entry) => entry !== undefined) ? ok(read) : no
  } catch {
    return no
  }
}

function readEntry(value: unknown): Entry | undefined {
  const { number, until } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (!Number.isSafeInteger(number) || Number(number) < 1 || !Number.isSafeInteger(until)) return undefined
  return { number: Number(number), until: at(Number(until)) }
}
