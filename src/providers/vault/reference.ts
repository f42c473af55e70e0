// What a row of the ledger says of the tokens that were given under it: by what each is ended. Nobody can log in with it.

import { at, type Duration, type Instant, minus, plus, seconds } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'

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

export const writeReference = (entries: readonly Entry[]): string => JSON.stringify(entries)

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
  const { accessor, lease, attempt, until } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (typeof accessor !== 'string' || accessor === '' || !Number.isSafeInteger(until)) return undefined
  if (lease !== undefined && typeof lease !== 'string') return undefined
  if (attempt !== undefined && !Number.isSafeInteger(attempt)) return undefined
  const number = attempt === undefined ? {} : { attempt: Number(attempt) }
  return { accessor, until: at(Number(until)), ...(lease === undefined ? {} : { lease }), ...number }
}
