// Removes what is left of a dead role: its open prepared transactions, what it owns or was granted in every database, and the role. Never
// for a role that is alive, never with CASCADE, and nothing is handed to a role that has a right.

import { ok, type Result } from '../../lib/result.ts'
import { identifier, literal } from './quoting.ts'
import { graveyard, makeGraveyard, preparedBy, remains } from './sql.ts'
import type { Place, Wire, WireFailure } from './wire.ts'

const patience = 10_000

/** Repeatable; it stops at the first thing that cannot be removed. */
export async function clean(
  wire: Wire,
  place: Place,
  handle: string,
  prefix: string,
  modern: boolean,
): Promise<Result<undefined, WireFailure>> {
  const found = await wire.query(place, remains(handle), patience)
  if (!found.ok) return found
  const [role] = found.value as unknown as readonly { alive: boolean; databases: readonly string[] }[]
  if (role === undefined) return ok(undefined)
  if (role.alive)
    return { ok: false, failure: { state: undefined, own: undefined, sentence: 'it can still log in, so nothing of it is removed' } }
  for (const database of role.databases) {
    const emptied = await empty(wire, { ...place, database }, handle, prefix, modern)
    if (!emptied.ok)
      return { ok: false, failure: { ...emptied.failure, sentence: `in database \`${database}\`: ${emptied.failure.sentence}` } }
  }
  const dropped = await wire.query(place, `drop role if exists ${identifier(handle)}`, patience)
  return dropped.ok ? ok(undefined) : dropped
}

/** One database. Locks of others are not waited for: it is tried again. */
async function empty(wire: Wire, place: Place, handle: string, prefix: string, modern: boolean): Promise<Result<undefined, WireFailure>> {
  const role = identifier(handle)
  return wire.session(place, patience, async (run) => {
    await run(`set lock_timeout = '1s'`)
    for (const { gid } of await run(preparedBy(handle))) {
      await run(`set role ${role}`)
      await run(`rollback prepared ${literal(String(gid))}`)
      await run('reset role')
    }
    try {
      await run(`drop owned by ${role}`)
    } catch (error) {
      if ((error as { code?: unknown }).code !== dependent) throw error
      // somebody else's view, for example: it keeps what it needs, under a role that can do nothing
      await run(makeGraveyard(prefix, modern))
      await run(`reassign owned by ${role} to ${identifier(graveyard(prefix))}`)
      await run(`drop owned by ${role}`)
    }
    return undefined
  })
}

/** dependent_objects_still_exist */
const dependent = '2BP01'
