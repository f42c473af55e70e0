// Whether somebody ended a role is told by the primary, of that very role, and by nothing else.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Postgres } from '../../support/postgres/server.ts'
import { makeWorld, startServer, type World } from './world.ts'

let server: Postgres
let world: World
beforeAll(async () => {
  server = await startServer({ version: 18, standby: true })
  world = makeWorld(server)
}, 120_000)
afterAll(async () => {
  await world?.close()
  await server?.stop()
})

const look = (leases: readonly { handle: string }[], change: Partial<World['params']> = {}, by = world) =>
  by.provider.outside?.inspection?.look(
    { ...by.params, ...change },
    leases.map(({ handle }) => ({ ...world.lease(), handle })),
  )

test('one that may not log in any more is dead, and so is one that is gone; the others live, in the order that was asked for', async () => {
  const [locked, dropped, kept] = [await world.issue(), await world.issue(), await world.issue()]
  await server.query(`alter role ${locked.handle} nologin`)
  await server.query(`drop role ${dropped.handle}`)
  expect(await look([kept, dropped, kept, locked])).toEqual(['Alive', 'Dead', 'Alive', 'Dead'])
  const many = [...Array(world.provider.outside?.inspection?.batch).keys()].map((i) => (i === 321 ? locked : kept))
  expect((await look(many))?.flatMap((sight, i) => (sight === 'Alive' ? [] : [i]))).toEqual([321])
})

test.each<readonly [string, (server: Postgres) => Partial<World['params']>, Partial<World['login'] & object>]>([
  ['a standby, which may lag behind', ({ standbyPort = 0 }) => ({ port: standbyPort, endpoints: [] }), {}],
  ['a server that is not there', () => ({ port: 1 }), {}],
  ['a login that is refused', () => ({}), { password: 'another' }],
])('nothing is concluded from %s', async (_name, change, login) => {
  const params = change(server)
  const other = makeWorld(server, params)
  const { host, port } = other.params
  other.login = { username: 'taskbound', ...(world.login as object), ...login, origin: `${host}:${port}` } as World['login']
  const { handle } = await world.issue()
  await server.query(`drop role ${handle}`)
  expect(await look([{ handle }], {}, { ...other, lease: world.lease })).toEqual(['Unknown'])
  await other.close()
})
