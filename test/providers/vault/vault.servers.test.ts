// The life of what a task gets of a real Vault, with Vault and PostgreSQL themselves asked what is alive.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { toTaskKey } from '../../../src/core/names.ts'
import { plus, seconds } from '../../../src/lib/instant.ts'
import type { Order } from '../../../src/ports/provider.ts'
import type { VaultParams } from '../../../src/providers/vault/params.ts'
import { text } from '../../issuer/world.ts'
import { eventually } from '../../support/cluster.ts'
import { value } from '../rows.ts'
import { startFake } from './fake.ts'
import { startLossy } from './lossy.ts'
import { allowed, letsIn, path, roles, type Setup, setUp } from './real.ts'
import { makeWorld, now, type World } from './world.ts'

const defaults = { ...allowed, task: toTaskKey('payroll', 'close-books') }
const done = { ok: true, value: undefined }
const unconfirmed = (message: string) => ({
  ok: false,
  failure: { reason: 'RevocationUnconfirmed', message: expect.stringContaining(message) },
})

let setup: Setup
let world: World
beforeAll(async () => {
  setup = await setUp()
}, 600_000)
afterAll(() => setup?.close())
beforeEach(() => {
  world = makeWorld(setup.params, setup.logins, defaults)
})
afterEach(() => world.http.close())

/** What Vault and the database have of this test's installation. */
async function left(): Promise<{ readonly logins: number; readonly leases: number; readonly roles: number }> {
  const prefix = world.lease().handle.slice(0, 12)
  const logins = (await setup.vault.logins()).filter(({ handle }) => handle.startsWith(prefix))
  return { logins: logins.length, leases: (await setup.vault.leases(path)).length, roles: (await roles(setup.database)).length }
}
const nothing = { logins: 0, leases: 0, roles: 0 }

test('a database role is there while its task lives, and its sessions end with it', async () => {
  expect(await left()).toEqual(nothing)
  const task = await world.issue()
  expect(await left()).toEqual({ logins: 1, leases: 1, roles: 1 })
  const session = await setup.database.login(task.fields['username'] ?? '', task.fields['password'] ?? '')
  expect((await session.query('select id from app.t')).rows).toEqual([{ id: 42 }])
  expect(await task.revoke()).toEqual(done)
  await expect(session.query('select 1')).rejects.toThrow()
  expect(await letsIn(setup.database, task.fields)).toBe(false)
  expect(await left()).toEqual(nothing)
})

test('token, lease and role live as long as was ordered and not longer, whatever their first life was', async () => {
  const task = await world.issue({ expiresAt: plus(now(), seconds(1800)) })
  expect(task.issued.expiresAt).toBe(Math.floor(task.order.expiresAt / 1000) * 1000)
  const [login] = (await setup.vault.logins()).filter(({ handle }) => handle === task.lease.handle)
  expect(login?.ttl).toBeGreaterThan(1790)
  expect(login?.ttl).toBeLessThanOrEqual(1800)
  const [lease = ''] = await setup.vault.leases(path)
  const { data } = (await setup.vault.ask('PUT', 'sys/leases/lookup', { lease_id: lease })) as { data: { ttl: number } }
  expect(data.ttl).toBeGreaterThan(1790)
  const [{ until } = {}] = await setup.database.query(
    `select extract(epoch from rolvaliduntil) as until from pg_roles where rolname = '${task.fields['username']}'`,
  )
  // Vault leaves a role some seconds more than its lease
  expect(Math.abs(Number(until) * 1000 - task.issued.expiresAt)).toBeLessThan(10_000)
  expect(await task.revoke()).toEqual(done)
  expect(await left()).toEqual(nothing)
})

test('what a renewal has replaced can be ended by itself, and its successor works on', async () => {
  const task = await world.issue({ attempt: 1 })
  const { fields } = value(await task.renew({ attempt: 2 }))
  const renewed = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, text(field)]))
  const retired = await world.provider.outside?.retirement?.retire(world.params, world.noted(task.lease), 2)
  expect(retired).toEqual({ ok: true, value: expect.not.stringContaining('"attempt":1') })
  expect([await letsIn(setup.database, task.fields), await letsIn(setup.database, renewed)]).toEqual([false, true])
  expect(await left()).toEqual({ logins: 1, leases: 1, roles: 1 })
  expect(await task.revoke()).toEqual(done)
  expect(await left()).toEqual(nothing)
})

test('what somebody ends there is told from what lives, and nothing while it is sealed', async () => {
  const tasks = [await world.issue(), await world.issue(), await world.issue()]
  const look = () =>
    world.provider.outside?.inspection?.look(
      world.params,
      tasks.map(({ lease }) => world.noted(lease)),
    )
  expect(await look()).toEqual(['Alive', 'Alive', 'Alive'])
  const [lease, accessor] = [0, 1].map((i) => JSON.parse(world.noted((tasks[i] as (typeof tasks)[0]).lease).reference ?? '')[0])
  await setup.vault.ask('PUT', 'sys/leases/revoke', { lease_id: lease.lease, sync: true })
  await setup.vault.ask('POST', 'auth/token/revoke-accessor', { accessor: accessor.accessor })
  expect(await look()).toEqual(['Dead', 'Dead', 'Alive'])
  await setup.vault.ask('PUT', 'sys/seal')
  expect(await look()).toEqual(['Unknown', 'Unknown', 'Unknown'])
  await setup.vault.unseal()
  await eventually(async () => expect(await look()).toEqual(['Dead', 'Dead', 'Alive']), { timeoutMs: 20_000 })
  for (const task of tasks) expect(await task.revoke()).toEqual(done)
})

test('a renewal is another credential; the one before works on, and both end with the task', async () => {
  const task = await world.issue()
  const renewed = value(await task.renew())
  const fields = Object.fromEntries(Object.entries(renewed.fields).map(([name, field]) => [name, text(field)]))
  expect(fields['username']).not.toBe(task.fields['username'])
  expect(await left()).toEqual({ logins: 2, leases: 2, roles: 2 })
  expect([await letsIn(setup.database, task.fields), await letsIn(setup.database, fields)]).toEqual([true, true])
  // after its expiry the first is ended and forgotten at the next renewal
  world.passed += 700_000
  value(await task.renew())
  expect(await letsIn(setup.database, task.fields)).toBe(false)
  expect(JSON.parse(world.notes.get(task.lease.handle)?.at(-1) ?? '[]')).toHaveLength(1)
  expect(await task.revoke()).toEqual(done)
  expect(await left()).toEqual(nothing)
})

describe('Vault itself refuses', () => {
  test.each<readonly [string, Partial<Order>]>([
    ['a task of another namespace', { task: toTaskKey('marketing', 'close-books') }],
    ['another agent', { agent: 'sales-clerk' }],
    ['another action', { action: 'payroll.delete' }],
  ])('%s', async (_what, change) => {
    const refused = await world.provider.issue(setup.params, world.order(change), { lease: world.lease() })
    expect(refused).toMatchObject({ ok: false, failure: { reason: 'IssueFailed', message: expect.stringContaining('`bound_claims`') } })
    expect(world.notes.size).toBe(0)
    expect(await left()).toEqual(nothing)
    const jwt = text(value2(await setup.logins.task(world.order(change), setup.params.audience, world.lease().handle)))
    const said = await setup.vault.call(undefined, 'POST', 'auth/jwt/login', { role: 'payroll-tasks', jwt })
    expect(said).toMatchObject({ status: 400, body: { errors: [expect.stringContaining('error validating claims')] } })
  })

  test('an audience that is not its own, and a key that is not the issuer\u2019s', async () => {
    const other = await world.provider.issue({ ...setup.params, audience: 'https://other.example' }, world.order(), {
      lease: world.lease(),
    })
    const strange = makeWorld(setup.params, setup.foreign, defaults)
    const forged = await strange.provider.issue(setup.params, strange.order(), { lease: strange.lease() })
    strange.http.close()
    for (const refused of [other, forged]) expect(refused).toMatchObject({ ok: false, failure: { reason: 'IssueFailed' } })
    expect(await left()).toEqual(nothing)
  })

  test('the operator, which can read nothing that a task can', async () => {
    const token = text(value2(await setup.logins.operator(setup.params.audience)))
    const asOperator = await setup.vault.call(undefined, 'POST', 'auth/jwt/login', { role: 'taskbound-operator', jwt: token })
    const { client_token: own } = asOperator.body['auth'] as { client_token: string }
    expect((await setup.vault.call(own, 'GET', path)).status).toBe(403)
    expect((await setup.vault.call(undefined, 'POST', 'auth/jwt/login', { role: 'payroll-tasks', jwt: token })).status).toBe(400)
  })
})

describe('an answer that is lost', () => {
  const calls = ['POST auth/jwt/login', `GET ${path}`, 'PUT sys/leases/renew', 'PUT auth/token/renew-self']
  // with `crashed` nothing more is heard of whoever asked, not even that it gives back what it has
  const cases = calls.flatMap((call) => [[call, 'and the operator goes on'] as const, [call, 'and the operator is gone'] as const])

  test.each(cases)('of %s, %s, leaves nothing alive', async (call, then) => {
    const lossy = await startLossy(setup.vault)
    let lost = false
    lossy.fate = (_n, asked) => {
      if (lost) return then === 'and the operator is gone' ? 'cut' : undefined
      lost = asked === call
      return lost ? 'lost' : undefined
    }
    const params = { ...setup.params, address: lossy.address, caBundle: lossy.caBundle }
    const lease = world.lease()
    const order = world.order({ expiresAt: plus(now(), seconds(1800)) })
    expect(await world.provider.issue(params, order, { lease })).toMatchObject({ ok: false, failure: { reason: 'IssueFailed' } })
    expect(lost).toBe(true)
    // what may still be being made is not cut off: Vault would lose it
    if (call === `GET ${path}`) {
      expect(await world.provider.revoke(setup.params, { lease })).toMatchObject(unconfirmed('may still be under way'))
      world.passed += 10_000
    }
    // whoever takes over has the row and nothing else
    expect(await world.provider.revoke(setup.params, { lease })).toEqual(done)
    await eventually(async () => expect(await left()).toMatchObject({ leases: 0, roles: 0 }))
    const logins = (await setup.vault.logins()).filter(({ handle }) => handle === lease.handle)
    // the one that nobody has heard of: unused, and dead within a minute
    expect(logins.length).toBe(call === 'POST auth/jwt/login' ? 1 : 0)
    for (const { ttl, accessor } of logins) {
      expect(ttl).toBeLessThanOrEqual(60)
      await setup.vault.ask('POST', 'auth/token/revoke-accessor', { accessor })
    }
    await lossy.close()
  })

  test('of each call of a revocation is made up for by the next', async () => {
    const lossy = await startLossy(setup.vault)
    const params = { ...setup.params, address: lossy.address, caBundle: lossy.caBundle }
    const task = await world.issue()
    const tries: unknown[] = []
    for (let n = 0; n < 20; n += 1) {
      const from = lossy.calls.length
      lossy.fate = (i) => (i === from + n ? 'lost' : undefined)
      const again = await world.issue()
      tries.push(await again.revoke(params), await again.revoke())
      expect(tries.at(-1)).toEqual(done)
      if (lossy.calls.length <= from + n) break
    }
    expect(tries.length).toBeGreaterThan(8)
    expect(await letsIn(setup.database, task.fields)).toBe(true)
    expect(await task.revoke()).toEqual(done)
    expect(await left()).toEqual(nothing)
    await lossy.close()
  })
})

test('a row that takes no note gets nothing: the login is given back', async () => {
  for (const refuse of [0, 1]) {
    const other = makeWorld(setup.params, setup.logins, defaults)
    other.refuses = (_, nth) => nth === refuse
    const lease = other.lease()
    expect((await other.provider.issue(setup.params, other.order(), { lease })).ok).toBe(false)
    await eventually(async () => expect(await left()).toEqual(nothing))
    expect((await setup.vault.logins()).filter(({ handle }) => handle === lease.handle)).toEqual([])
    other.http.close()
  }
})

test('while it is sealed it says so, and what was owed is paid when it is back', async () => {
  const task = await world.issue()
  await setup.vault.ask('PUT', 'sys/seal')
  const sealed = 'it is sealed'
  expect(await world.provider.ready(setup.params)).toMatchObject({
    failure: { reason: 'ProviderUnreachable', message: expect.stringContaining(sealed) },
  })
  expect(await world.provider.issue(setup.params, world.order(), { lease: world.lease() })).toMatchObject({
    failure: { reason: 'IssueFailed', message: expect.stringContaining(sealed) },
  })
  expect(await task.revoke()).toMatchObject(unconfirmed(sealed))
  await setup.vault.unseal()
  expect(await letsIn(setup.database, task.fields)).toBe(true)
  await eventually(async () => expect(await task.revoke()).toEqual(done), { timeoutMs: 20_000 })
  expect(await left()).toEqual(nothing)
}, 60_000)

test('while the engine cannot reach its database nothing is taken for dead', async () => {
  const task = await world.issue()
  await setup.database.down()
  expect(await task.revoke()).toMatchObject(unconfirmed('the lease is still there'))
  await setup.database.up()
  expect(await letsIn(setup.database, task.fields)).toBe(true)
  await eventually(async () => expect(await task.revoke()).toEqual(done), { timeoutMs: 20_000 })
  expect(await left()).toEqual(nothing)
}, 60_000)

test('somebody else who speaks for it, by another authority, is not believed', async () => {
  const fake = await startFake()
  expect(await world.provider.ready({ ...setup.params, caBundle: fake.caBundle })).toMatchObject({
    ok: false,
    failure: { reason: 'ProviderUnreachable', message: expect.stringContaining('authority that is not known') },
  })
  await fake.close()
})

test('a token of somebody else is not ended, whatever a row says', async () => {
  const [mine, theirs] = [await world.issue(), await world.issue()]
  const noted = world.notes.get(mine.lease.handle) ?? []
  world.notes.set(mine.lease.handle, world.notes.get(theirs.lease.handle) ?? [])
  expect(await mine.revoke()).toMatchObject(unconfirmed('was given to somebody else'))
  expect(await letsIn(setup.database, theirs.fields)).toBe(true)
  world.notes.set(mine.lease.handle, noted)
  expect([await mine.revoke(), await theirs.revoke()]).toEqual([done, done])
  expect(await left()).toEqual(nothing)
})

describe('values of a KV engine', () => {
  const kv: Partial<VaultParams> = { role: 'payroll-tasks', paths: [{ path: 'secret/data/payroll', kind: 'Static' }] }

  test('are shown as they are, by a login that is given back at once, and are promised to nobody as revocable', async () => {
    await setup.vault.ask('POST', 'secret/data/payroll', { data: { key: 'long-lived', port: 8443 } })
    await setup.vault.ask('PUT', 'sys/policies/acl/payroll-tasks', {
      policy: `path "secret/data/payroll" { capabilities = ["read"] }\npath "${path}" { capabilities = ["read"] }`,
    })
    const params = { ...setup.params, ...kv }
    expect(await world.provider.ready(params)).toEqual(done)
    expect(world.provider.promises(params)).toMatchObject({ revocation: 'ExpireOnly', bound: 2_147_483_647_000 })
    const task = await world.issue({ scopes: ['secret/data/payroll'] }, params)
    expect(task.fields).toEqual({ key: 'long-lived', port: '8443' })
    expect(await left()).toEqual(nothing)
    expect(await task.revoke(params)).toEqual(done)
  })

  test('are not taken for what has a lease, nor the other way round', async () => {
    const asLease: VaultParams = { ...setup.params, paths: [{ path: 'secret/data/payroll', kind: 'Lease' }] }
    const asValue: VaultParams = { ...setup.params, paths: [{ path, kind: 'Static' }] }
    for (const params of [asLease, asValue]) {
      const scopes = [params.paths[0]?.path ?? '']
      const refused = await world.provider.issue(params, world.order({ scopes }), { lease: world.lease() })
      expect(refused).toMatchObject({ ok: false, failure: { reason: 'IssueFailed', message: expect.stringContaining('of kind') } })
    }
    await eventually(async () => expect(await left()).toEqual(nothing))
  })
})

test('no secret is in a log of Vault, nor in a row', async () => {
  const task = await world.issue()
  const noted = JSON.stringify([...world.notes])
  await task.revoke()
  const log = setup.vault.log()
  expect(log).toContain(task.lease.handle)
  for (const shown of [noted, log]) expect(shown).not.toContain(task.fields['password'])
  expect(noted).not.toContain('hvs.')
})

const value2 = <T>(result: { ok: true; value: T } | { ok: false; failure: string }): T => {
  if (!result.ok) throw new Error(result.failure)
  return result.value
}
