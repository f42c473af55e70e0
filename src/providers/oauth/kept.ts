// Where tokens are kept until they are dead: an authorization server ends a token only for whoever shows it. In memory: what a process
// takes with it nobody holds any more, and its row waits until it has expired.

import type { Instant } from '../../lib/instant.ts'
import type { Material } from '../../lib/material.ts'
import { ok, type Result } from '../../lib/result.ts'

export interface Kept {
  /** in the order in which they are ended */
  readonly tokens: readonly Material[]
  /** they have expired everywhere by then */
  readonly until: Instant
}

export interface Keeper {
  /** Keeps what was given under one number of a row. A failure is a sentence, and then it is to be given back. */
  keep(handle: string, number: number, kept: Kept): Promise<Result<undefined, string>>
  kept(handle: string, number: number): Promise<Result<Kept | undefined, string>>
  /** They are dead; all of the row, without a number. */
  drop(handle: string, number?: number): void
}

export function createMemoryKeeper(): Keeper {
  const rows = new Map<string, Map<number, Kept>>()
  return {
    async keep(handle, number, kept) {
      rows.set(handle, (rows.get(handle) ?? new Map<number, Kept>()).set(number, kept))
      return ok(undefined)
    },
    kept: async (handle, number) => ok(rows.get(handle)?.get(number)),
    drop(handle, number) {
      const row = rows.get(handle)
      if (number !== undefined) row?.delete(number)
      if (number === undefined || row?.size === 0) rows.delete(handle)
    },
  }
}
