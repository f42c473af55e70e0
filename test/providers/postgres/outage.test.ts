// A server that goes away: what is said meanwhile is true, and afterwards everything goes on.

import { createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { milliseconds } from '../../../src/lib/instant.ts'
import { eventually } from '../../support/cluster.ts'
import { createGate } from '../../support/faults/gate.ts'
import { startSqlProxy } from '../../support/faults/sqlproxy.ts'
import type { Postgres } from '../../support/postgres/server.ts'
import { accepts, done, makeWorld, startServer, type World } from './world.ts'

let server: Postgres
let world: World
beforeAll(async () => {
  server = await startServer({ version: 18 })
  world = makeWorld(server)
}, 60_000)
afterAll(async () => {
  await world.close()
  await server.stop()
})

test('while it is down nothing is taken for done, and once it is back everything is', async () => {
  const task = await world.issue()
  await server.down('SIGQUIT')
  const unreachable = {
    ok: false,
    failure: { message: expect.stringMatching(/refuses the connection|was cut|connection failed|shutting down/) },
  }
  expect(await task.revoke()).toMatchObject({ ...unreachable, failure: { reason: 'RevocationUnconfirmed', ...unreachable.failure } })
  expect(await world.provider.issue(world.params, world.order(), { lease: world.lease() })).toMatchObject(unreachable)
  expect(await world.provider.ready(world.params)).toMatchObject({ ok: false, failure: { reason: 'ProviderUnreachable' } })
  expect((await task.clean()).ok).toBe(false)
  expect((await world.provider.outside?.list(world.params, world.prefix))?.ok).toBe(false)
  await server.up()
  expect(await accepts(server, task.issued)).toBe(true)
  expect(await task.revoke()).toEqual(done)
  expect(await accepts(server, task.issued)).toBe(false)
  expect(await task.clean()).toEqual(done)
}, 60_000)

test('connections that a restart killed cost no revocation', async () => {
  const task = await world.issue()
  await server.down('SIGQUIT')
  await server.up()
  expect(await task.revoke()).toEqual(done)
}, 60_000)

test('a connection that is cut while a statement is answered fails that statement and nothing else', async () => {
  const gate = createGate()
  const proxy = await startSqlProxy(gate, 'it', server)
  const cut = makeWorld(server, { port: proxy.port, caBundle: proxy.ca })
  const trap = gate.set({ when: 'after', matches: ({ what }) => what.includes('create role') })
  const lease = cut.lease()
  const asking = cut.provider.issue(cut.params, cut.order(), { lease })
  await eventually(() => expect(trap.caught()).toBe(true))
  trap.release('cut')
  expect(await asking).toMatchObject({ ok: false, failure: { message: expect.stringMatching(/was cut|connection failed/) } })
  // it was made, and nobody heard of it
  expect(await server.query(`select rolcanlogin from pg_roles where rolname = '${lease.handle}'`)).toEqual([{ rolcanlogin: true }])
  expect(await cut.provider.revoke(cut.params, { lease })).toEqual(done)
  await cut.close()
  await proxy.close()
}, 20_000)

test('a server that takes the call and says nothing is not waited for beyond the time there is', async () => {
  const sockets: Socket[] = []
  const mute = createServer((socket) => void sockets.push(socket.on('error', () => undefined))).listen(0, '127.0.0.1')
  await new Promise((resolve) => mute.once('listening', resolve))
  const silent = makeWorld(server, { port: (mute.address() as { port: number }).port })
  const from = performance.now()
  const order = silent.order({ deadline: milliseconds(performance.now() + 300) })
  expect((await silent.provider.issue(silent.params, order, { lease: silent.lease() })).ok).toBe(false)
  expect(performance.now() - from).toBeLessThan(8_000)
  await silent.close()
  for (const socket of sockets) socket.destroy()
  mute.close()
}, 20_000)

test('nothing is sent when connecting took all the time that there was', async () => {
  const late = makeWorld(server)
  const order = late.order({ deadline: milliseconds(performance.now() + 500) })
  const lease = late.lease()
  const asking = late.provider.issue(late.params, order, { lease })
  late.pass(1_000)
  expect((await asking).ok).toBe(false)
  // everything that arrives is in its log
  await server.query("select 'the end of it'")
  expect(server.log()).toContain('the end of it')
  expect(server.log()).not.toContain(lease.handle)
  await late.close()
})
