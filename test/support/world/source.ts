// A source outside of the cluster, as PostgreSQL is one: roles by handle, a clock of its own that refuses what comes after its time, and
// killing that occupies the name. Notes at the moment whatever must never happen there.

import type { Lease } from '../../../src/core/lease.ts'
import type { Uid } from '../../../src/core/names.ts'
import type { Instant } from '../../../src/lib/instant.ts'
import { fail, ok } from '../../../src/lib/result.ts'
import type { Answer } from './server.ts'

export interface Role {
  readonly handle: string
  /** `undefined` for a name that was only occupied */
  readonly task: Uid | undefined
  readonly credential: string
  readonly state: 'alive' | 'dead'
  readonly expiresAt: Instant
}

export interface SourceDeps {
  /** the source's own clock, which nobody sets */
  readonly now: () => Instant
  /** the row as it stands in the API server */
  readonly row: (handle: string) => Lease | undefined
  readonly violations: string[]
}

export function createSource({ now, row, violations }: SourceDeps) {
  const roles = new Map<string, Role>()
  /** handles that somebody else ended while they lived */
  const killedOutside = new Set<string>()

  function create(made: Omit<Role, 'state'>, effectBy: Instant): Answer<undefined> {
    const { handle } = made
    if (source.down || now() > effectBy) return fail('failed')
    if (roles.has(handle)) return fail('exists')
    const state = row(handle)?.state
    if (state === undefined) violations.push(`${handle} was made without a row`)
    if (state === 'Revoked') violations.push(`${handle} was made after its row was closed`)
    roles.set(handle, { ...made, state: 'alive' })
    return ok(undefined)
  }

  /** Changes nothing of a dead one but its expiry. */
  function prolong(handle: string, expiresAt: Instant, effectBy: Instant): Answer<undefined> {
    const role = roles.get(handle)
    if (source.down || now() > effectBy || role?.state !== 'alive') return fail('failed')
    roles.set(handle, { ...role, expiresAt })
    return ok(undefined)
  }

  /** Also of what is not there: the name is taken from then on. */
  function kill(handle: string): Answer<undefined> {
    if (source.down) return fail('failed')
    const role = roles.get(handle)
    roles.set(handle, { handle, task: undefined, credential: '', expiresAt: now(), ...role, state: 'dead' })
    return ok(undefined)
  }

  /** Removes what is dead and nothing else, and not before its own clock would refuse to make it: whoever asks may have another clock. */
  function clean(handle: string, effectBy: Instant): Answer<undefined> {
    if (source.down || now() <= effectBy || roles.get(handle)?.state === 'alive') return fail('failed')
    roles.delete(handle)
    return ok(undefined)
  }

  /** By somebody else: only what lives, and its name stays taken. */
  function killOutside(handle: string): void {
    const role = roles.get(handle)
    if (role?.state !== 'alive') return
    roles.set(handle, { ...role, state: 'dead' })
    killedOutside.add(handle)
  }

  const source = {
    roles,
    down: false,
    now,
    create,
    prolong,
    kill,
    clean,
    killOutside,
    killedOutside,
    look: (handle: string): Answer<boolean> => (source.down ? fail('failed') : ok(roles.get(handle)?.state === 'alive')),
    list: (): Answer<readonly string[]> => (source.down ? fail('failed') : ok([...roles.keys()])),
    lives: (handle: string): boolean => roles.get(handle)?.state === 'alive',
  }
  return source
}
