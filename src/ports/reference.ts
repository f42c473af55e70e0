// What a row of the ledger says of things that were made under it one after the other, in the words of its source: a list of entries.

import { fail, ok, type Result } from '../lib/result.ts'

export const writeEntries = (entries: readonly object[]): string => JSON.stringify(entries)

/**
 * @param text the row's reference; without one there is nothing
 * @param readEntry answers `undefined` for what is no entry
 * @returns a failure is a sentence: whoever wrote that, nothing may be taken for dead
 */
export function readEntries<T>(text: string | undefined, readEntry: (value: unknown) => T | undefined): Result<readonly T[], string> {
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
