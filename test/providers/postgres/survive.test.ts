// What a task can do with a group that passed the check, and that nothing of it is there after its end.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Postgres } from '../../support/postgres/server.ts'
import { difference, traces } from './traces.ts'
import { done, makeWorld, startServer, type Task, versions, type World } from './world.ts'

/** Each is tried by itself; most are refused by the server, and those that are not must leave nothing. */
const attempts: readonly string[] = [
  `set role payroll_write; select lo_create(0); reset role`,
  `set role payroll_write; alter role payroll_write password 'mine'; reset role`,
  `set role payroll_write; alter role payroll_write set work_mem = '1MB'; reset role`,
  `set role payroll_write; alter default privileges grant select on tables to public; reset role`,
  `set role payroll_write; create function app.backdoor() returns setof app.t language sql security definer as 'table app.t'; reset role`,
  `set role taskbound`,
  `create function app.backdoor() returns setof app.t language sql security definer as 'table app.t'`,
  `create function public.backdoor() returns setof app.t language sql security definer as 'table app.t'`,
  `create function pg_temp.backdoor() returns setof app.t language sql security definer as 'table app.t'`,
  `create table app.mine (id int)`,
  `create temp table mine as table app.t`,
  `create temp view seen as table app.t; grant select on seen to public`,
  `create schema mine`,
  `alter default privileges grant select on tables to public`,
  `alter default privileges in schema app grant select on tables to payroll_read`,
  `alter default privileges for role payroll_write grant select on tables to public`,
  `alter default privileges for role payroll_write in schema app grant execute on functions to public`,
  `alter default privileges for role payroll_write revoke execute on functions from public`,
  `grant select on app.t to public`,
  `grant usage on schema app to public`,
  `do $$ declare o oid := lo_from_bytea(0, 'left behind'); begin execute format('grant select, update on large object %s to public', o); end $$`,
  `do $$ declare o oid := lo_create(0); begin execute format('alter large object %s owner to payroll_write', o); end $$`,
  // more than one transaction has locks for
  `do $$ begin for i in 1..case current_database() when 'payroll' then 40000 else 10 end loop
    perform lo_create(0); if i % 1000 = 0 then commit; end if; end loop; end $$`,
  `create trigger keep before update on app.t for each row execute function suppress_redundant_updates_trigger()`,
  `create rule keep as on update to app.t do instead nothing`,
  `create policy keep on app.t using (true)`,
  `create statistics app.keep on id, note from app.t`,
  `create publication keep`,
  `create role durable login`,
  `alter role current_user valid until 'infinity'`,
  `alter role current_user password 'my own'`,
  `alter role current_user set search_path = app`,
  `alter role current_user in database archive set search_path = app`,
  `alter role current_user createrole`,
  `comment on role payroll_write is 'was here'`,
  `do $$ begin execute format('grant %I to payroll_read', session_user); end $$`,
  `do $$ begin execute format('grant %I to ordinary', session_user); end $$`,
  `do $$ begin execute format('revoke %I from taskbound', session_user); end $$`,
  `grant payroll_write to ordinary`,
  `reassign owned by payroll_write to current_user`,
  `create user mapping for current_user server nowhere`,
  `listen channel`,
  `select pg_advisory_lock(1)`,
  `select pg_create_logical_replication_slot('keep', 'pgoutput')`,
  `begin; lock table app.t; prepare transaction 'it''s held \\ with a quote'`,
  `begin; select lo_create(0); prepare transaction 'held object'`,
  `insert into app.t values (1, 'legitimate'); delete from app.t where id = 1`,
  // from here on nobody can change the role: its row waits for this transaction, which no session holds
  `begin; alter role current_user password 'held'; prepare transaction 'held password'`,
]

async function tryAll(task: Task, database: string): Promise<readonly string[]> {
  const succeeded: string[] = []
  for (const attempt of attempts) {
    const session = await task.login({ database }).catch(() => task.login({ database }).catch(() => undefined))
    if (session === undefined) continue
    await session.query("set lock_timeout = '300ms'")
    const worked = await session.query(attempt).then(
      () => true,
      () => false,
    )
    if (worked) succeeded.push(attempt)
    await session.end()
    // what a task does to its own password is its own affair; the test wants to go on
    if (/^alter role current_user password/.test(attempt) && worked) await reset(task)
  }
  return succeeded
}
const reset = async (task: Task): Promise<void> => {
  await task.server.query(`alter role "${task.handle}" password '${task.password}'`).catch(() => undefined)
}

describe.each(versions)('at PostgreSQL %i', (version) => {
  let server: Postgres
  let world: World
  beforeAll(async () => {
    server = await startServer({ version })
    await server.query('create role ordinary login')
    world = makeWorld(server)
  }, 60_000)
  afterAll(async () => {
    await world.close()
    await server.stop()
  })

  test('nothing that a task did is left once it is cleaned, and none of it held up its end', async () => {
    expect(await world.provider.ready(world.params)).toEqual(done)
    const before = await traces(server)
    const task = await world.issue()
    const succeeded = [...(await tryAll(task, 'payroll')), ...(await tryAll(task, 'archive'))]
    expect(succeeded.length).toBeGreaterThan(10)
    const from = performance.now()
    expect(await task.revoke()).toEqual(done)
    expect(performance.now() - from).toBeLessThan(2_000)
    expect(await task.clean()).toEqual(done)
    expect(difference(before, await traces(server))).toEqual([])
    expect(await world.provider.ready(world.params)).toEqual(done)
  }, 120_000)
})
