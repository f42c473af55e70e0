// The end of a role: at once, whatever its task, another task or an administrator puts in the way, and for good.

import { once } from 'node:events'
import { createConnection } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type pg from 'pg'
import { at } from '../../../src/lib/instant.ts'
import { position } from '../../../src/providers/postgres/sql.ts'
import type { Postgres } from '../../support/postgres/server.ts'
import { value } from '../rows.ts'
import { accepts, done, makeWorld, now, replayed, startServer, type Task, versions, type World } from './world.ts'

const cut = { code: '57P01' }

/** A client that gets as far as to be asked for its password, and says nothing more. */
async function stopHalfway({ port }: Postgres): Promise<TLSSocket> {
  const plain = createConnection(port, '127.0.0.1')
  await once(plain, 'connect')
  plain.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]))
  await once(plain, 'data')
  const socket = connect({ socket: plain, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const parameters = Buffer.from('user\0taskbound\0database\0payroll\0\0')
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + parameters.length, 0)
  head.writeInt32BE(196_608, 4)
  socket.write(Buffer.concat([head, parameters]))
  await once(socket, 'data')
  return socket.on('error', () => undefined)
}

describe.each(versions)('at PostgreSQL %i', (version) => {
  let server: Postgres
  let world: World
  beforeAll(async () => {
    server = await startServer({ version, standby: true })
    world = makeWorld(server)
    expect(await world.provider.ready(world.params)).toEqual(done)
    // a busy machine takes its time to copy a server
  }, 120_000)
  afterAll(async () => {
    await world.close()
    await server.stop()
  })

  const superuser = (database = 'payroll') => server.login(server.superuser.username, server.superuser.password, { database })
  const role = async ({ handle }: { handle: string }) => (await server.query(`select * from pg_roles where rolname = '${handle}'`))[0]
  /** Resolves with what ended a session. */
  const ended = (session: pg.Client): Promise<unknown> =>
    new Promise((resolve) => {
      session.removeAllListeners('error')
      session.on('error', resolve)
    })
  async function revokedQuickly(task: Task): Promise<void> {
    const from = performance.now()
    expect(await task.revoke()).toEqual(done)
    expect(performance.now() - from).toBeLessThan(3_000)
    expect(await accepts(server, task.issued)).toBe(false)
    expect(await server.query(`select from pg_stat_activity where usename = '${task.handle}'`)).toEqual([])
    expect(await role(task)).toMatchObject({ rolcanlogin: false, rolconnlimit: 0 })
  }

  test('a role has what was ordered and nothing more', async () => {
    const task = await world.issue({ scopes: ['payroll_read'] }, { ...world.params, connectionLimit: 3, statementTimeoutSeconds: 7 })
    expect(await role(task)).toMatchObject({
      ...{ rolcanlogin: true, rolinherit: true, rolsuper: false, rolcreaterole: false, rolcreatedb: false },
      ...{ rolreplication: false, rolbypassrls: false, rolconnlimit: 3, rolvaliduntil: new Date(task.issued.expiresAt) },
    })
    const session = await task.login()
    expect((await session.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '7s' }])
    expect((await session.query('select note from app.t')).rows).toEqual([{ note: 'secret' }])
    await expect(session.query("insert into app.t values (2, 'no')")).rejects.toMatchObject({ code: '42501' })
    if (version >= 16) await expect(session.query('set role payroll_read')).rejects.toMatchObject({ code: '42501' })
  })

  test('open sessions are cut, at the primary and at the standby', async () => {
    const task = await world.issue()
    const first = ended(await task.login())
    const second = await task.login()
    await second.query('begin; lock table app.t in share mode')
    const busy = second.query('select pg_sleep(600)').catch((error) => error)
    await replayed(server)
    const standby = ended(await task.login({ port: server.standbyPort ?? 0 }))
    await revokedQuickly(task)
    expect(await first).toMatchObject(cut)
    expect(await busy).toMatchObject(cut)
    expect(await standby).toMatchObject(cut)
    await expect(server.login(task.handle, task.password, { port: server.standbyPort ?? 0 })).rejects.toMatchObject({ code: /28/ })
  })

  test('what a standby must reach is a position that it can reach, also where the log ends with a page', async () => {
    const client = await superuser()
    const inPage = async (lsn: string): Promise<number> =>
      Number((await client.query(`select (${lsn}::pg_lsn - '0/0') % 8192 as bytes`)).rows[0].bytes)
    // until the next record would come right after the head of a page, which is 24 bytes
    while ((await inPage('pg_current_wal_insert_lsn()')) !== 24) await client.query("select pg_logical_emit_message(false, 'fill', '')")
    const { rows } = await client.query(position)
    expect(await inPage(`'${rows[0].lsn}'`)).not.toBe(24)
    await client.end()
  }, 30_000)

  test('a standby that does not follow is not taken for done', async () => {
    const task = await world.issue()
    await replayed(server)
    const standby = await server.login(server.superuser.username, server.superuser.password, { port: server.standbyPort ?? 0 })
    await standby.query('select pg_wal_replay_pause()')
    // one that the standby lets in, and one of which it has yet to learn that there was one
    const unknown = await world.issue()
    try {
      for (const each of [task, unknown]) {
        expect(await each.revoke()).toEqual({
          ok: false,
          failure: { reason: 'RevocationUnconfirmed', message: expect.stringContaining('standby is behind') },
        })
        // it is closed where it can be, all the same
        expect(await accepts(server, each.issued)).toBe(false)
      }
    } finally {
      await standby.query('select pg_wal_replay_resume()')
      await standby.end()
    }
    for (const each of [task, unknown]) expect(await each.revoke()).toEqual(done)
  }, 30_000)

  describe('nothing of these holds up the end of a role:', () => {
    test('its own open transaction that changed its password', async () => {
      const task = await world.issue()
      const session = await task.login()
      await session.query("begin; alter role current_user password 'mine'")
      await revokedQuickly(task)
    })

    test('a prepared transaction that changed its password', async () => {
      const task = await world.issue()
      const session = await task.login({ database: 'archive' })
      await session.query("begin; alter role current_user password 'mine'; prepare transaction 'mine'")
      await revokedQuickly(task)
      expect(await server.query('select from pg_prepared_xacts')).toEqual([])
    })

    if (version < 16)
      test('the same, prepared in the name of its group', async () => {
        const task = await world.issue()
        const session = await task.login()
        await session.query("begin; alter role current_user password 'mine'; set role payroll_write; prepare transaction 'ours'")
        await revokedQuickly(task)
        expect(await server.query('select from pg_prepared_xacts')).toEqual([])
      })

    test('changes of its password in a loop, from all the sessions that it may have', async () => {
      const task = await world.issue()
      const sessions = await Promise.all(Array.from({ length: 8 }, () => task.login()))
      const loops = sessions.map((session) =>
        session
          .query(
            "do $$ begin loop begin alter role current_user password 'mine'; exception when others then null; end; commit; end loop; end $$",
          )
          .catch(() => undefined),
      )
      await revokedQuickly(task)
      await Promise.all(loops)
    })

    test('somebody who holds locks on the group', async () => {
      const task = await world.issue()
      const administrator = await superuser()
      await administrator.query('create role bystander')
      await administrator.query('begin; grant payroll_write to bystander; lock table app.t, pg_auth_members in share mode')
      try {
        await revokedQuickly(task)
      } finally {
        await administrator.query('rollback')
        await administrator.query('drop role bystander')
        await administrator.end()
      }
    })

    test("another task's view on its table, which goes to a role without rights when the dead one is cleaned", async () => {
      const [owner, user] = [await world.issue(), await world.issue()]
      // somebody gives the group too much while they live
      await server.query('grant create on schema app to payroll_write', 'payroll')
      const theirs = await owner.login()
      await theirs.query(`create table app.x (id int); grant select on app.x to "${user.handle}"`)
      await (await user.login()).query('create view app.v as select * from app.x')
      await revokedQuickly(owner)
      expect(await owner.clean()).toEqual(done)
      const [table] = await server.query("select relowner::regrole::text as owner from pg_class where oid = 'app.x'::regclass", 'payroll')
      expect(table).toEqual({ owner: `${world.prefix}_graveyard` })
      expect(await server.query(`select rolcanlogin, rolsuper from pg_roles where rolname = '${world.prefix}_graveyard'`)).toEqual([
        { rolcanlogin: false, rolsuper: false },
      ])
      await revokedQuickly(user)
      expect(await user.clean()).toEqual(done)
      await server.query('drop table app.x cascade; revoke create on schema app from payroll_write', 'payroll')
      expect(value((await world.provider.outside?.list(world.params, world.prefix)) ?? { ok: true, value: [] })).not.toContain(
        `${world.prefix}_graveyard`,
      )
    })
  })

  test('what somebody else granted it on an object of theirs holds up its removal until they take it back, never its end', async () => {
    const [task, other] = [await world.issue(), await world.issue()]
    // of another task it can be taken back for them
    await (await other.login()).query(`
      do $$ declare o oid := lo_create(0); begin execute format('grant select on large object %s to "${task.handle}"', o); end $$`)
    await revokedQuickly(task)
    expect(await task.clean()).toEqual(done)
    await revokedQuickly(other)
    expect(await other.clean()).toEqual(done)
    const third = await world.issue()
    await server.query(`grant select on app.t to "${third.handle}"`, 'payroll')
    await revokedQuickly(third)
    expect(await third.clean()).toEqual({
      ok: false,
      failure: { reason: 'RevocationUnconfirmed', message: expect.stringContaining('REVOKE') },
    })
    await server.query(`revoke select on app.t from "${third.handle}"`, 'payroll')
    expect(await third.clean()).toEqual(done)
  })

  test('a function that runs with the rights of its maker never runs with those of somebody else', async () => {
    const task = await world.issue()
    await server.query('grant create on schema app to payroll_write; grant usage on schema app to public', 'payroll')
    const theirs = await task.login()
    await theirs.query("create function app.who() returns text language sql security definer as 'select current_user::text'")
    await theirs.query("create function app.read() returns bigint language sql security definer as 'select count(*) from app.t'")
    await theirs.query('create view app.seen as select app.who()')
    const other = await world.issue({ scopes: ['payroll_read'] })
    const session = await other.login()
    expect((await session.query('select app.read()')).rows).toEqual([{ read: '1' }])
    await revokedQuickly(task)
    // dead, and not cleaned yet: its rights are gone with it
    await expect(session.query('select app.read()')).rejects.toMatchObject({ code: '42501' })
    expect(await task.clean()).toEqual(done)
    await expect(session.query('select app.who()')).rejects.toMatchObject({ code: '42883' })
    await server.query('revoke create on schema app from payroll_write; revoke usage on schema app from public', 'payroll')
    await other.revoke()
    await other.clean()
  })

  test('a creation that comes after the end fails, and one that meets it loses', async () => {
    const lease = world.lease()
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
    expect(await role(lease)).toMatchObject({ rolcanlogin: false })
    expect((await world.provider.issue(world.params, world.order(), { lease })).ok).toBe(false)
    for (let i = 0; i < 10; i++) {
      const raced = world.lease()
      const [issued, revoked] = await Promise.all([
        world.provider.issue(world.params, world.order(), { lease: raced }),
        world.provider.revoke(world.params, { lease: raced }),
      ])
      expect(revoked).toEqual(done)
      expect(await role(raced)).toMatchObject({ rolcanlogin: false })
      if (issued.ok) expect(await accepts(server, issued.value)).toBe(false)
    }
  })

  test('logins that race with the end are refused or cut, and those that stop halfway hold up nothing', async () => {
    const halfway = await Promise.all(Array.from({ length: 3 }, () => stopHalfway(server)))
    const task = await world.issue()
    let going = true
    const storm = Array.from({ length: 5 }, async () => {
      while (going) {
        const session = await server.login(task.handle, task.password, { database: 'payroll' }).catch(() => undefined)
        await session?.query('select pg_sleep(60)').catch(() => undefined)
        await session?.end()
      }
    })
    await task.login()
    await revokedQuickly(task)
    // nobody who was on the way got in behind its back
    expect(await server.query(`select from pg_stat_activity where usename = '${task.handle}'`)).toEqual([])
    going = false
    await Promise.all(storm)
    for (const socket of halfway) socket.destroy()
  }, 30_000)

  test('what is dead is not prolonged, and its expiry stays in the past', async () => {
    const task = await world.issue()
    await task.revoke()
    expect((await world.provider.renew(world.params, world.order(), { lease: task.lease })).ok).toBe(false)
    expect(await role(task)).toMatchObject({ rolcanlogin: false, rolvaliduntil: Number.NEGATIVE_INFINITY })
  })

  test('by the clock of the server a name is not given free while something may be sent for it', async () => {
    const task = await world.issue()
    await task.revoke()
    expect(await world.provider.outside?.clean(world.params, task.lease)).toMatchObject({
      ok: false,
      failure: { message: expect.stringContaining('by the clock of the server') },
    })
    expect(await role(task)).toMatchObject({ rolcanlogin: false })
    expect(await task.clean()).toEqual(done)
  })

  test('what is alive is not removed', async () => {
    const task = await world.issue()
    expect((await task.clean()).ok).toBe(false)
    expect(await accepts(server, task.issued)).toBe(true)
  })

  test('by the clock of the server nothing is made or prolonged after its time', async () => {
    const lease = world.lease({ effectBy: at(now() - 1) })
    const refused = { ok: false, failure: { reason: 'IssueFailed', message: expect.stringContaining('too late') } }
    expect(await world.provider.issue(world.params, world.order(), { lease })).toEqual(refused)
    expect(await role(lease)).toBeUndefined()
    const task = await world.issue()
    expect(await world.provider.renew(world.params, world.order(), { lease: { ...task.lease, ...{ effectBy: lease.effectBy } } })).toEqual(
      refused,
    )
  })

  test('a creation that waited for a lock beyond its time makes nothing', async () => {
    const administrator = await superuser()
    await administrator.query('begin; lock table pg_auth_members in share mode')
    const lease = world.lease({ effectBy: at(now() + 400) })
    const issuing = world.provider.issue(world.params, world.order(), { lease })
    // by the clock of the server, which decides
    await administrator.query(`select pg_sleep_until(to_timestamp(${lease.effectBy + 20} / 1000.0))`)
    await administrator.query('rollback')
    await administrator.end()
    expect((await issuing).ok).toBe(false)
    expect(await role(lease)).toBeUndefined()
  })

  test('two installations at one server leave each other alone', async () => {
    const other = makeWorld(server)
    const [mine, theirs] = [await world.issue(), await other.issue()]
    expect(value((await other.provider.outside?.list(other.params, other.prefix)) ?? { ok: true, value: [] })).toEqual([theirs.handle])
    expect((await other.provider.revoke(other.params, { lease: mine.lease })).ok).toBe(false)
    expect((await other.provider.outside?.clean(other.params, mine.lease))?.ok).toBe(false)
    expect(await theirs.revoke()).toEqual(done)
    expect(await theirs.clean()).toEqual(done)
    expect(await accepts(server, mine.issued)).toBe(true)
    await other.close()
  })

  test('the password is in no log of a server, in no view of its activity and in no catalog', async () => {
    const task = await world.issue()
    const watcher = await superuser()
    const { rows } = await watcher.query("select query from pg_stat_activity where application_name = 'taskbound'")
    expect(rows.length).toBeGreaterThan(0)
    await world.provider.renew(world.params, world.order(), { lease: task.lease })
    await task.login()
    const { rows: stored } = await watcher.query(`select rolpassword from pg_authid where rolname = '${task.handle}'`)
    expect(stored[0].rolpassword).toMatch(/^SCRAM-SHA-256\$/)
    await task.revoke()
    const { rows: gone } = await watcher.query(`select rolpassword from pg_authid where rolname = '${task.handle}'`)
    expect(gone).toEqual([{ rolpassword: null }])
    await watcher.end()
    const log = server.log()
    expect(log).toContain(task.handle)
    for (const text of [log, JSON.stringify(rows)]) expect(text).not.toContain(task.password)
  })
})
