// Groups with which a task could leave something behind: refused at Ready and again at the issue, with the reason and the SQL that mends it.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Postgres } from '../../support/postgres/server.ts'
import { done, makeWorld, startServer, versions, type World } from './world.ts'

interface Bad {
  /** run as the superuser in `database`, before and after */
  readonly sql: string
  readonly undo: string
  readonly database?: string
  /** what the message must hold */
  readonly says: string
  /** seen by Ready only, which looks into every database; an issue looks into the first */
  readonly elsewhere?: true
}

const bad: Readonly<Record<string, Bad>> = {
  'can log in': { sql: 'alter role payroll_read login', undo: 'alter role payroll_read nologin', says: 'NOLOGIN' },
  'is a superuser': { sql: 'alter role payroll_read superuser', undo: 'alter role payroll_read nosuperuser', says: 'superuser' },
  'may make roles': { sql: 'alter role payroll_read createrole', undo: 'alter role payroll_read nocreaterole', says: 'CREATEROLE' },
  'may make databases': { sql: 'alter role payroll_read createdb', undo: 'alter role payroll_read nocreatedb', says: 'CREATEDB' },
  'may replicate': { sql: 'alter role payroll_read replication', undo: 'alter role payroll_read noreplication', says: 'REPLICATION' },
  'bypasses row security': { sql: 'alter role payroll_read bypassrls', undo: 'alter role payroll_read nobypassrls', says: 'BYPASSRLS' },
  'owns a table': {
    sql: 'create table app.owned (id int); alter table app.owned owner to payroll_read',
    undo: 'drop table app.owned',
    says: 'owns',
  },
  'owns something in a database that no provider names': {
    sql: 'create table owned (id int); alter table owned owner to payroll_read',
    undo: 'drop table owned',
    database: 'template1',
    says: 'owns',
  },
  'owns a large object': {
    sql: "do $$ declare o oid := lo_create(7777); begin execute 'alter large object 7777 owner to payroll_read'; end $$",
    undo: 'select lo_unlink(7777)',
    says: 'owns',
  },
  'owns a database': { sql: 'create database theirs owner payroll_read', undo: 'drop database theirs', says: 'owns' },
  'may create in a schema': {
    sql: 'grant create on schema app to payroll_read',
    undo: 'revoke create on schema app from payroll_read',
    says: 'REVOKE CREATE ON SCHEMA app',
  },
  'may create in a schema, as everybody may': {
    sql: 'grant create on schema public to public',
    undo: 'revoke create on schema public from public',
    says: 'REVOKE CREATE ON SCHEMA public',
  },
  'may create in a schema of another database': {
    sql: 'grant create on schema other to payroll_read',
    undo: 'revoke create on schema other from payroll_read',
    database: 'archive',
    says: 'archive',
    elsewhere: true,
  },
  'may create, as everybody may, in a database that no provider names': {
    sql: 'grant create on schema public to public',
    undo: 'revoke create on schema public from public',
    database: 'postgres',
    says: '`postgres`',
    elsewhere: true,
  },
  'may create schemas': {
    sql: 'grant create on database payroll to payroll_read',
    undo: 'revoke create on database payroll from payroll_read',
    says: 'REVOKE CREATE ON DATABASE payroll',
  },
  'may grant a privilege on': {
    sql: 'grant select on app.t to payroll_read with grant option',
    undo: 'revoke grant option for select on app.t from payroll_read',
    says: 'REVOKE GRANT OPTION FOR',
  },
  'may grant a column on': {
    sql: 'grant update (note) on app.t to payroll_read with grant option',
    undo: 'revoke update (note) on app.t from payroll_read',
    says: 'app.t.note',
  },
  'may grant the use of a function': {
    sql: 'create function app.f() returns int language sql as $$select 1$$; grant execute on function app.f() to payroll_read with grant option',
    undo: 'drop function app.f()',
    says: 'app.f()',
  },
  'may make triggers': {
    sql: 'grant trigger on app.t to payroll_read',
    undo: 'revoke trigger on app.t from payroll_read',
    says: 'REVOKE TRIGGER ON app.t',
  },
  'may make triggers, as everybody may': {
    sql: 'grant trigger on app.t to public',
    undo: 'revoke trigger on app.t from public',
    says: 'REVOKE TRIGGER ON app.t',
  },
  'may change settings of the server': {
    sql: 'grant alter system on parameter work_mem to payroll_read',
    undo: 'revoke alter system on parameter work_mem from payroll_read',
    says: 'ALTER SYSTEM',
  },
  'has the ADMIN OPTION': {
    sql: 'create role ordinary; grant ordinary to payroll_read with admin option',
    undo: 'drop role ordinary',
    says: 'ADMIN OPTION',
  },
  'is in a predefined role': {
    sql: 'grant pg_write_server_files to payroll_read',
    undo: 'revoke pg_write_server_files from payroll_read',
    says: 'pg_write_server_files',
  },
  'is, two steps on, in a group that may create': {
    sql: 'create role a; create role b; grant a to payroll_read; grant b to a; grant create on schema app to b',
    undo: 'revoke create on schema app from b; drop role a; drop role b',
    says: 'membership in `b`',
  },
  'does not exist': {
    sql: 'alter role payroll_read rename to gone',
    undo: 'alter role gone rename to payroll_read',
    says: 'does not exist',
  },
}

describe.each(versions)('at PostgreSQL %i a group that', (version) => {
  let server: Postgres
  let world: World
  beforeAll(async () => {
    server = await startServer({ version })
    world = makeWorld(server)
  }, 60_000)
  afterAll(async () => {
    await world.close()
    await server.stop()
  })

  test.each(Object.entries(bad))('%s is refused', async (_name, { sql, undo, database = 'payroll', says, elsewhere }) => {
    await server.query(sql, database)
    try {
      const wanted = { reason: 'GroupCanOutliveTask', message: expect.stringContaining(says) }
      expect(await world.provider.ready(world.params)).toEqual({ ok: false, failure: wanted })
      const lease = world.lease()
      const issued = await world.provider.issue(world.params, world.order({ scopes: ['payroll_read'] }), { lease })
      if (elsewhere === undefined) {
        expect(issued).toEqual({ ok: false, failure: wanted })
        expect(await server.query(`select from pg_roles where rolname = '${lease.handle}'`)).toEqual([])
      }
    } finally {
      await server.query(undo, database)
    }
    expect(await world.provider.ready(world.params)).toEqual(done)
  })

  test('is not asked for keeps nobody else waiting', async () => {
    await server.query('alter role payroll_read login')
    try {
      const order = world.order({ scopes: ['payroll_write'] })
      expect((await world.provider.issue(world.params, order, { lease: world.lease() })).ok).toBe(true)
    } finally {
      await server.query('alter role payroll_read nologin')
    }
  })
})
