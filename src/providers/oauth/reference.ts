// What a row of the ledger says of the tokens that were asked for under it: which they are, and when the last of them is dead by itself.
// By nothing of it can anybody get in.

import { at, type Instant } from '../../lib/instant.ts'
import { inner } from '../../lib/json.ts'
import type { Result } from '../../lib/result.ts'
import { readEntries, writeEntries } from '../../ports/reference.ts'

/** One token that was asked for. */
export interface Entry {
  /** its number in the row */
  readonly number: number
  /** whatever became of the answer, it has expired everywhere by then */
  readonly until: Instant
}

export const writeReference: (entries: readonly Entry[]) => string = writeEntries

export const nextNumber = (entries: readonly Entry[]): number => Math.max(0, ...entries.map(({ number }) => number)) + 1

export const readReference = (text: string | undefined): Result<readonly Entry[], string> => readEntries(text, readEntry)

function readEntry(value: unknown): Entry | undefined {
  const { number, until } = inner(value)
  if (!Number.isSafeInteger(number) || Number(number) < 1 || !Number.isSafeInteger(until)) return undefined
  return { number: Number(number), until: at(Number(until)) }
}
