// Removes what is left of a dead role: its open prepared transactions, what it owns or was granted in every database, what it did in the
// name of its groups, and the role. Never for a role that is alive, never with CASCADE, and nothing is handed to a role that has a right.

import { fail, ok, type Result } from '../../lib/result.ts'
import { identifier, literal } from './quoting.ts'
import { graveyard, joinGroup, leaveGroup, makeGraveyard, preparedBy, remains, resetDefaults, resetGroup, unlinkSome } from './sql.ts'
import type { Place, Row, Wire, WireFailure } from './wire.ts'

const patience = 10_000
/** dependent_objects_still_exist */
const dependent = '2BP01'
/** batches of large objects in one go; the rest is for the next */
const batches = 50

export interface Dead {
  readonly handle: string
  /** RFC 3339: until then, by the clock of the server, its name is not given free */
  readonly notBefore: string
  /** those that it may have been a member of */
  readonly groups: readonly string[]
  readonly prefix: string
  /** whether the server is PostgreSQL 16 or newer */
  readonly modern: boolean
}

type Run = (sql: string) => Promise<readonly Row[]>

/** Repeatable; it stops at the first thing that cannot be removed. */
export async function clean(wire: Wire, place: Place, dead: Dead): Promise<Result<undefined, WireFailure>> {
  const { handle, groups, modern, notBefore } = dead
  const found = await wire.query(place, remains(handle, groups, modern, notBefore), patience)
  if (!found.ok) return found
  const [role] = found.value as unknown as readonly { alive: boolean; early: boolean; databases: readonly string[] }[]
  if (role === undefined) return ok(undefined)
  if (role.alive) return fail({ state: undefined, sentence: 'it can still log in, so nothing of it is removed' })
  if (role.early) return fail({ state: undefined, sentence: 'by the clock of the server something may still be sent for it' })
  const rolledBack = await rollBackPrepared(wire, place, dead)
  if (!rolledBack.ok) return rolledBack
  for (const database of role.databases) {
    const emptied = await wire.session({ ...place, database }, patience, (run) => empty(run, dead))
    if (!emptied.ok) return fail({ ...emptied.failure, sentence: `in database \`${database}\`: ${emptied.failure.sentence}` })
  }
  if (!modern)
    for (const group of groups) {
      const reset = await wire.query(place, resetGroup(group), patience)
      if (!reset.ok && reset.failure.state !== undefinedObject) return reset
    }
  const dropped = await wire.query(place, `drop role if exists ${identifier(handle)}`, patience)
  if (dropped.ok) return ok(undefined)
  if (dropped.failure.state !== dependent) return dropped
  const sentence = 'it is dead, but somebody granted it a privilege on an object of theirs, and only they can take it back by REVOKE'
  return fail({ ...dropped.failure, sentence })
}

/** undefined_object: a group that is not there */
const undefinedObject = '42704'

/** A prepared transaction keeps its locks without any session, and only its owner can end it, in its database. */
export async function rollBackPrepared(
  wire: Wire,
  place: Place,
  { handle, groups, modern }: Pick<Dead, 'handle' | 'groups' | 'modern'>,
): Promise<Result<undefined, WireFailure>> {
  const found = await wire.query(place, preparedBy(handle, groups, modern), patience)
  if (!found.ok) return found
  for (const [database, open] of Object.entries(Object.groupBy(found.value, ({ database }) => String(database)))) {
    const ended = await wire.session({ ...place, database }, patience, async (run) => {
      for (const { gid, owner } of open ?? []) {
        if (owner !== handle) await run(joinGroup(String(owner), modern))
        await run(`set role ${identifier(String(owner))}`)
        await run(`rollback prepared ${literal(String(gid))}`)
        await run('reset role')
        if (owner !== handle) await run(leaveGroup(String(owner), modern))
      }
      return undefined
    })
    if (!ended.ok) return ended
  }
  return ok(undefined)
}

/** One database. Locks of others are not waited for: it is tried again. */
async function empty(run: Run, dead: Dead): Promise<undefined> {
  const { handle, prefix, modern } = dead
  const role = identifier(handle)
  await run(`set lock_timeout = '1s'`)
  await unlink(run, [handle])
  await tidyGroups(run, dead)
  try {
    await run(`drop owned by ${role}`)
  } catch (error) {
    if ((error as { code?: unknown }).code !== dependent) throw error
    // somebody else's view, for example: it keeps what it needs, under a role that can do nothing
    await run(makeGraveyard(prefix, modern))
    await run(`reassign owned by ${role} to ${identifier(graveyard(prefix))}`)
    await run(`drop owned by ${role}`)
  }
}

async function unlink(run: Run, owners: readonly string[]): Promise<void> {
  for (let batch = 0; batch < batches; batch++) {
    const [some] = await run(unlinkSome(owners))
    if (some?.['gone'] === 0) return
  }
}

/** What a member may do in the name of its group: default privileges, and before PostgreSQL 16 large objects, which a group never owns. */
async function tidyGroups(run: Run, { groups, modern }: Dead): Promise<void> {
  const touched = await run(`
    select r.rolname::text as name from pg_catalog.pg_roles r where r.rolname = any(array[${groups.map(literal).join(', ')}]::text[]) and (
      exists (select from pg_catalog.pg_default_acl d where d.defaclrole = r.oid)
      or ${modern ? 'false' : 'exists (select from pg_catalog.pg_largeobject_metadata m where m.lomowner = r.oid)'})`)
  for (const { name } of touched) {
    const group = String(name)
    await run(joinGroup(group, modern))
    await run(resetDefaults(group))
    if (!modern) await unlink(run, [group])
    await run(leaveGroup(group, modern))
  }
}
