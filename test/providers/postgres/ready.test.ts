// What Ready says of a server, a login and a connection that are not right, in words that an administrator understands.

import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { generateAuthority } from '../../../src/issuer/ca.ts'
import type { PostgresParams } from '../../../src/providers/postgres/params.ts'
import { placeOf } from '../../../src/providers/postgres/wire.ts'
import { entropy } from '../../issuer/world.ts'
import type { Postgres } from '../../support/postgres/server.ts'
import { documented, done, makeWorld, now, startServer, type World } from './world.ts'

let server: Postgres
const worlds: World[] = []
const doors: Server[] = []
const world = (change: Partial<PostgresParams> = {}): World => {
  const made = makeWorld(server, change)
  worlds.push(made)
  return made
}
beforeAll(async () => {
  server = await startServer({ version: 18, standby: true })
  await server.query(
    "create role plain login password 'plain'; create role nogroups login createrole password 'nogroups'; create role \"O'Hara \"\"x\"\"\" login password 'x'",
  )
}, 120_000)
afterAll(async () => {
  await Promise.all(worlds.map((one) => one.close()))
  await server.stop()
  for (const door of doors) door.close()
})

/** A port where something else answers than a PostgreSQL with TLS. */
async function door(answer: (write: (bytes: Uint8Array | string) => void, end: () => void) => void): Promise<number> {
  const listening = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () =>
      answer(
        (bytes) => socket.write(bytes),
        () => socket.destroy(),
      ),
    )
  }).listen(0, '127.0.0.1')
  doors.push(listening)
  await new Promise((resolve) => listening.once('listening', resolve))
  return (listening.address() as { port: number }).port
}

const closed = async (): Promise<number> => {
  const port = await door(() => undefined)
  await new Promise((resolve) => doors.pop()?.close(resolve))
  return port
}

describe('Ready says what is wrong:', () => {
  const rows: readonly (readonly [string, string, RegExp, () => World | Promise<World>])[] = [
    ['nobody listens', 'ProviderUnreachable', /refuses the connection/, async () => world({ port: await closed() })],
    ['the name does not resolve', 'ProviderUnreachable', /cannot be resolved/, () => world({ host: 'nowhere.invalid' })],
    ['no TLS', 'ProviderUnreachable', /TLS/, async () => world({ port: await door((write) => write('N')) })],
    ['not PostgreSQL', 'ProviderUnreachable', /connection/, async () => world({ port: await door((write) => write('HTTP/1.1 400\r\n')) })],
    ['cut at once', 'ProviderUnreachable', /connection/, async () => world({ port: await door((_, end) => end()) })],
    [
      'another authority',
      'ProviderUnreachable',
      /caBundle/,
      () => world({ caBundle: generateAuthority({ dns: ['localhost'], ips: [] }, now(), entropy).certificate }),
    ],
    [
      'an address that nobody allowed',
      'ProviderUnreachable',
      /`localhost` resolves to .* list it in .*`allowedAddresses`/,
      () => world({ allowedAddresses: [] }),
    ],
    [
      'a network that is none',
      'ProviderConfigInvalid',
      /`allowedAddresses` holds `10\.0\.0\.0\/99`/,
      () => world({ allowedAddresses: ['10.0.0.0/99'] }),
    ],
    ['a certificate for another name', 'ProviderUnreachable', /does not name `host`/, () => world({ host: '127.0.0.1' })],
    ['a password that is wrong', 'ProviderUnreachable', /password/, () => given(world(), { username: 'taskbound', password: 'wrong' })],
    ['no such login', 'ProviderUnreachable', /password/, () => given(world(), { username: 'nobody', password: 'x' })],
    ['no Secret', 'ProviderConfigInvalid', /Secret `db-login` is missing/, () => given(world(), 'Secret `db-login` is missing')],
    [
      'a Secret for another server',
      'ProviderConfigInvalid',
      /taskbound\.dev\/origin/,
      () => given(world(), { username: 'taskbound', password: 'change-me', origin: 'elsewhere:5432' }),
    ],
    [
      'a login without CREATEROLE',
      'ProviderConfigInvalid',
      /ALTER ROLE plain CREATEROLE/,
      () => given(world(), { username: 'plain', password: 'plain' }),
    ],
    [
      'a login that may not give the group',
      'ProviderConfigInvalid',
      /payroll_read/,
      () => given(world(), { username: 'nogroups', password: 'nogroups' }),
    ],
    ['a database that does not exist', 'ProviderConfigInvalid', /`nope`/, () => world({ databases: ['payroll', 'nope'] })],
    ['a first database that does not exist', 'ProviderUnreachable', /database does not exist/, () => world({ databases: ['nope'] })],
    ['a group that does not exist', 'GroupCanOutliveTask', /`nope` does not exist/, () => world({ groups: ['nope'] })],
    ['a standby for the primary', 'ProviderConfigInvalid', /standby/, () => world({ port: server.standbyPort ?? 0 })],
    [
      'an endpoint that is down',
      'ProviderUnreachable',
      /refuses the connection/,
      async () => world({ endpoints: [{ host: 'localhost', port: await closed() }] }),
    ],
    ['a bundle that is none', 'ProviderConfigInvalid', /caBundle/, () => world({ caBundle: 'nonsense' })],
    ['a predefined role', 'ProviderConfigInvalid', /pg_monitor/, () => world({ groups: ['pg_monitor'] })],
    ['a name with a quote', 'ProviderConfigInvalid', /letters/, () => world({ databases: ['a"b'] })],
  ]
  const given = (one: World, login: World['login']): World => {
    one.login = login
    return one
  }

  test.each(rows)('%s', async (_name, reason, message, make) => {
    const one = await make()
    const answer = await one.provider.ready(one.params)
    expect(answer).toEqual({ ok: false, failure: { reason, message: expect.stringMatching(message) } })
    expect(answer.ok ? '' : answer.failure.message).not.toMatch(/\.$|Error|ECONN|undefined/)
  })

  test('a database that the groups may enter and the login may not', async () => {
    await server.query('revoke connect on database archive from public; grant connect on database archive to payroll_read')
    const one = world({ databases: ['payroll'] })
    expect(await one.provider.ready(one.params)).toMatchObject({ failure: { message: expect.stringContaining('`archive`') } })
    await server.query('grant connect on database archive to public; revoke connect on database archive from payroll_read')
    expect(await one.provider.ready(one.params)).toEqual(done)
  })
})

test('the login of the set-up is a member of nothing that would let it read, and no superuser', async () => {
  expect(documented('setup')).not.toMatch(/superuser/i)
  const client = await server.login('taskbound', 'change-me', { database: 'payroll' })
  await expect(client.query('select from app.t')).rejects.toMatchObject({ code: '42501' })
  await client.end()
})

test('a login whose password was changed is read again without waiting', async () => {
  const one = world()
  await (await one.issue()).revoke()
  await server.query("alter role taskbound password 'another'")
  try {
    one.login = { username: 'taskbound', password: 'another' }
    const left = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'taskbound'"
    while ((await server.query(left)).length > 0);
    const task = await one.issue()
    expect(await task.revoke()).toEqual(done)
  } finally {
    await server.query("alter role taskbound password 'change-me'")
  }
})

test('no variable of the environment means anything', async () => {
  const hostile = {
    ...{ PGHOST: 'nowhere.invalid', PGHOSTADDR: '192.0.2.1', PGPORT: '1', PGUSER: 'nobody', PGPASSWORD: 'wrong', PGDATABASE: 'nope' },
    ...{ PGOPTIONS: '-c search_path=app -c default_transaction_read_only=on', PGSSLMODE: 'disable', PGSSLNEGOTIATION: 'direct' },
    ...{ PGREPLICATION: 'database', PGBINARY: '1', PGAPPNAME: 'other', PGCLIENTENCODING: 'LATIN1', PGCLIENT_ENCODING: 'LATIN1' },
    ...{
      PGPASSFILE: '/nonexistent',
      PGSERVICE: 'x',
      PGCONNECT_TIMEOUT: '1',
      PGTARGETSESSIONATTRS: 'standby',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
    },
    ...{ PGFALLBACK_APPLICATION_NAME: 'x', PGSTATEMENT_TIMEOUT: '1', PGLOCK_TIMEOUT: '1', PGKEEPALIVES: '0' },
  }
  const before = { ...process.env }
  const quiet = process.emitWarning
  Object.assign(process.env, hostile)
  process.emitWarning = () => undefined
  try {
    const one = world()
    expect(await one.provider.ready(one.params)).toEqual(done)
    const task = await one.issue()
    const asked = await one.wire.query(
      placeOf(one.params, one.params, { username: 'taskbound', password: 'change-me' }),
      "select current_setting('search_path') as path, current_setting('application_name') as name, current_database() as db",
      5_000,
    )
    expect(asked).toEqual({ ok: true, value: [{ path: expect.stringMatching(/^pg_catalog/), name: 'taskbound', db: 'payroll' }] })
    expect(await task.revoke()).toEqual(done)
    const stranger = world({ caBundle: generateAuthority({ dns: ['localhost'], ips: [] }, now(), entropy).certificate })
    expect((await stranger.provider.ready(stranger.params)).ok).toBe(false)
  } finally {
    for (const name of Object.keys(hostile)) delete process.env[name]
    Object.assign(process.env, before)
    process.emitWarning = quiet
  }
})
