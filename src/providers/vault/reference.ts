// What a row of the ledger says of the tokens that were given under it: by what each is ended. Nobody can log in with it.

import { at, type Duration, type Instant, minus, plus, seconds } from '../../lib/instant.ts'
import { inner } from '../../lib/json.ts'
import type { Result } from '../../lib/result.ts'
import { readEntries, writeEntries } from '../../ports/reference.ts'

/** One login, and what was made by it. */
export interface Entry {
  readonly accessor: string
  readonly lease?: string
  /** of the task, that it was made by */
  readonly attempt?: number
  /** it has died by itself then, unless its source could not end it */
  readonly until: Instant
}

/** A login that was sent in time is dead that long after, if nobody uses it. */
export const unused: Duration = seconds(120)
/** A Vault may lose what it is making when the login is ended meanwhile; what was asked for by then has been answered. */
const underWay: Duration = seconds(10)

/** Whether something may still be being made by it, whose lease nobody knows yet. */
export const mayBeMaking = ({ lease, until }: Entry, now: Instant): boolean =>
  lease === undefined && now < plus(minus(until, unused), underWay)

export const writeReference: (entries: readonly Entry[]) => string = writeEntries

export const readReference = (text: string | undefined): Result<readonly Entry[], string> => readEntries(text, readEntry)

function readEntry(value: unknown): Entry | undefined {
  const { accessor, lease, attempt, until } = inner(value)
  if (typeof accessor !== 'string' || accessor === '' || !Number.isSafeInteger(until)) return undefined
  if (lease !== undefined && typeof lease !== 'string') return undefined
  if (attempt !== undefined && !Number.isSafeInteger(attempt)) return undefined
  const number = attempt === undefined ? {} : { attempt: Number(attempt) }
  return { accessor, until: at(Number(until)), ...(lease === undefined ? {} : { lease }), ...number }
}
