// Which lists exist: a small document in the operator's namespace, changed by compare-and-set only.
// A list that is not in it does not exist, so a restored backup knows none of the lists made after it.

import { fail, ok, type Result } from '../../lib/result.ts'

export interface ListRecord {
  /** 128 random bits, 32 lower-case hex digits */
  readonly id: string
  readonly uri: string
  /** places, a multiple of 8 */
  readonly size: number
  /** RFC 3339 */
  readonly createdTime: string
}

export interface RecordedLists {
  readonly records: readonly ListRecord[]
  /** what the compare-and-set compares; `undefined` while there is no document */
  readonly version: string | undefined
}

/** Keeps the document. Failures are sentences; `conflict` is the lost compare-and-set. */
export interface ListStore {
  /** A consistent read. */
  read(): Promise<Result<RecordedLists, string>>
  write(records: readonly ListRecord[], version: string | undefined): Promise<Result<undefined, 'conflict' | { readonly message: string }>>
}

const attempts = 5

/**
 * Changes the records, reading again after a lost compare-and-set; answers what stands there now.
 * @param change `undefined` means that nothing needs to be written
 * @param may asked before each call; once it says no, nothing more is sent
 */
export async function changeRecords(
  store: ListStore,
  change: (records: readonly ListRecord[]) => readonly ListRecord[] | undefined,
  may: () => boolean,
): Promise<Result<readonly ListRecord[], string>> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (!may()) return fail('this replica does not lead any more')
    const read = await store.read()
    if (!read.ok) return read
    const next = change(read.value.records)
    if (next === undefined) return ok(read.value.records)
    if (!may()) return fail('this replica does not lead any more')
    const written = await store.write(next, read.value.version)
    if (written.ok) return ok(next)
    if (written.failure !== 'conflict') return fail(written.failure.message)
  }
  return fail('somebody else keeps changing the records of the status lists')
}

const recordPattern = /^[0-9a-f]{32}$/

/** Reads stored records strictly: one that is not one of ours is left out, which makes its list unknown and its tokens refused. */
export function parseRecords(value: unknown): readonly ListRecord[] {
  if (!Array.isArray(value)) return []
  return value.filter((entry): entry is ListRecord => {
    const { id, uri, size, createdTime } = (entry ?? {}) as Partial<Record<keyof ListRecord, unknown>>
    const sizeFits = Number.isSafeInteger(size) && (size as number) > 0 && (size as number) <= 1 << 20 && (size as number) % 8 === 0
    return typeof id === 'string' && recordPattern.test(id) && typeof uri === 'string' && sizeFits && typeof createdTime === 'string'
  })
}
