// What a Vault answered, judged before anything of it is believed: a login, a lease, a value of a KV engine. Pure.

import { inner, type Json } from '../../lib/json.ts'
import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'

/** The metadata key under which the role's `claim_mappings` put the handle, so that a token says whose it is. */
export const handleKey = 'taskbound_handle'
/** The longest first life of a login: one whose answer was lost is dead by then. Seconds. */
export const firstLife = 60

export interface Login {
  readonly token: Material
  readonly accessor: string
  /** seconds */
  readonly life: number
}

export interface Leased {
  readonly id: string
  /** seconds */
  readonly life: number
  readonly renewable: boolean
  readonly fields: Readonly<Record<string, Material>>
}

const isWord = (value: unknown): value is string => typeof value === 'string' && /^[\x21-\x7E]{1,4096}$/.test(value)
const isLife = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0

/** What can be sent and given back, whatever else is wrong with the answer. */
export function tokenOf(answer: Json): Material | undefined {
  const token = inner(answer['auth'])['client_token']
  return isWord(token) ? new Material(token) : undefined
}

/** @param handle of a task's login; the operator's own has none */
export function readLogin(answer: Json, handle: string | undefined): Result<Login, string> {
  const auth = inner(answer['auth'])
  const [token, accessor, life] = [tokenOf(answer), auth['accessor'], auth['lease_duration']]
  if (token === undefined) return fail('it answered a login without a token')
  if (!isWord(accessor) || auth['token_type'] !== 'service')
    return fail('its login gives a token that cannot be ended: set `token_type=service` at the role')
  if (!isLife(life)) return fail('its login gives a token that does not expire: set `token_ttl` at the role')
  if (handle === undefined) return ok({ token, accessor, life })
  if (life > firstLife)
    return fail(`its login gives a token for longer than a minute at first: set \`token_ttl=${firstLife}s\` at the role`)
  if (auth['renewable'] !== true) return fail('its login gives a token that cannot be renewed: set no `token_explicit_max_ttl` at the role')
  if (inner(auth['metadata'])[handleKey] !== handle)
    return fail(`its token does not say whose it is: set \`claim_mappings\` of the role to map \`/taskbound/handle\` to \`${handleKey}\``)
  return ok({ token, accessor, life })
}

/** Whose an accessor is. */
export const handleOfToken = (answer: Json): unknown => inner(inner(answer['data'])['meta'])[handleKey]

/** @param path what was read: a lease of anything else is not ours to use or to end */
export function readLease(answer: Json, path: string): Result<Leased, string> {
  const [id, life] = [answer['lease_id'], answer['lease_duration']]
  if (id === '') return fail('what is at that path has no lease, so it cannot be ended: is it of kind `Static`?')
  if (!isWord(id) || !isLeaseOf(id, path)) return fail('it answered with a lease of something else')
  if (!isLife(life)) return fail('it answered with a lease that does not expire')
  const fields = readFields(inner(answer['data']))
  return fields.ok ? ok({ id, life, renewable: answer['renewable'] === true, fields: fields.value }) : fields
}

export const isLeaseOf = (id: string, path: string): boolean =>
  id.startsWith(`${path}/`) && /^[A-Za-z0-9._-]+$/.test(id.slice(path.length + 1))

/** A value of a KV engine of version 2. */
export function readValue(answer: Json): Result<Readonly<Record<string, Material>>, string> {
  if (answer['lease_id'] !== '') return fail('what is at that path has a lease: is it of kind `Lease`?')
  const data = inner(answer['data'])
  if (!isLife(inner(data['metadata'])['version'])) return fail('what is at that path is no secret of a KV engine of version 2')
  return readFields(inner(data['data']))
}

/** How long something lives on, in seconds, after it was asked to live longer. */
export function readLife(answer: Json, of: 'token' | 'lease'): Result<number, string> {
  const life = of === 'token' ? inner(answer['auth'])['lease_duration'] : answer['lease_duration']
  return isLife(life) ? ok(life) : fail(`it does not say how long the ${of} lives`)
}

const most = 64

function readFields(data: Json): Result<Readonly<Record<string, Material>>, string> {
  const entries = Object.entries(data).filter(([, value]) => value !== null && value !== '')
  if (entries.length === 0) return fail('what is at that path has no fields')
  if (entries.length > most) return fail(`what is at that path has more than ${most} fields`)
  if (!entries.every(([name]) => /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/.test(name)))
    return fail('a field of what is at that path has a name that cannot be a key of a Secret')
  const written = ([name, value]: [string, unknown]): [string, Material] => [
    name,
    new Material(typeof value === 'string' ? value : JSON.stringify(value)),
  ]
  return ok(Object.fromEntries(entries.map(written)))
}
