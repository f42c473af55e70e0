// The statements that are sent, each one transaction: what must hold together is decided by the server, not between two round trips.

import { groupFaults } from './groups.ts'
import { identifier, literal, textArray } from './quoting.ts'

/** SQLSTATEs of our own, class TB: nothing of PostgreSQL's begins so. */
export const states = { tooLate: 'TB001', standby: 'TB002', badGroup: 'TB003', notAlive: 'TB004' } as const

/** A block of PL/pgSQL; the tag cannot be in a text that was generated or restricted. */
const block = (body: string): string => `do $taskbound$ ${body} $taskbound$`

const raise = (state: string, message = literal('')): string => `raise exception using errcode = ${literal(state)}, message = ${message};`

/** A call that was delayed on its way must not act after its row may have been given up for dead. */
const inTime = (effectBy: string): string =>
  `if clock_timestamp() > ${literal(effectBy)}::timestamptz then ${raise(states.tooLate)} end if;`

export interface NewRole {
  readonly handle: string
  readonly verifier: string
  readonly groups: readonly string[]
  readonly connectionLimit: number
  readonly statementTimeoutSeconds: number | undefined
  /** RFC 3339 */
  readonly validUntil: string
  readonly effectBy: string
  /** whether the server knows WITH INHERIT and SET: 16 or newer */
  readonly modern: boolean
}

/** Whether a role that exists is alive or was killed, creating one of its name fails. */
export function createRole(role: NewRole): string {
  const handle = identifier(role.handle)
  const member = role.modern ? ' with inherit true, set false' : ''
  const mine = role.modern ? ' with inherit true, set true' : ''
  return block(`
declare fault record;
begin
  if pg_is_in_recovery() then ${raise(states.standby)} end if;
  ${inTime(role.effectBy)}
  for fault in ${groupFaults(role.groups)} loop ${raise(states.badGroup, 'to_json(fault)::text')} end loop;
  create role ${handle} login inherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls
    connection limit ${role.connectionLimit} valid until ${literal(role.validUntil)} password ${literal(role.verifier)};
  ${role.groups.map((group) => `grant ${identifier(group)} to ${handle}${member};`).join(' ')}
  execute format('grant ${handle} to %I${mine}', current_user);
  ${role.statementTimeoutSeconds === undefined ? '' : `alter role ${handle} set statement_timeout = '${role.statementTimeoutSeconds}s';`}
end`)
}

/** Only what is alive is prolonged. */
export const prolongRole = (handle: string, validUntil: string, effectBy: string): string =>
  block(`
begin
  ${inTime(effectBy)}
  if not exists (select from pg_catalog.pg_roles where rolname = ${literal(handle)} and rolcanlogin) then ${raise(states.notAlive)} end if;
  alter role ${identifier(handle)} valid until ${literal(validUntil)};
end`)

/**
 * From its commit on nobody can log in as the role, and what it may have left behind, such as functions that run with its rights, has no
 * rights. Where there is none, one is made that cannot log in: a creation that comes late fails.
 */
export const closeRole = (handle: string, modern: boolean): string =>
  block(`
declare held record;
begin
  if not exists (select from pg_catalog.pg_roles where rolname = ${literal(handle)}) then
    create role ${identifier(handle)} nologin;
    execute format('grant ${identifier(handle)} to %I${modern ? ' with inherit true, set true' : ''}', current_user);
  end if;
  alter role ${identifier(handle)} nologin password null connection limit 0 valid until '-infinity';
  for held in select g.rolname as name from pg_catalog.pg_auth_members m
    join pg_catalog.pg_roles g on g.oid = m.roleid join pg_catalog.pg_roles r on r.oid = m.member where r.rolname = ${literal(handle)}
  loop execute format('revoke %I from ${identifier(handle)}', held.name); end loop;
end`)

/** Cuts the role's sessions at one server and tells how many there were. */
export const cutSessions = (handle: string): string =>
  `select count(pg_terminate_backend(pid))::int as cut from pg_catalog.pg_stat_activity where usename = ${literal(handle)}`

export const listRoles = (prefix: string): string =>
  `select rolname as name from pg_catalog.pg_roles where starts_with(rolname, ${literal(prefix)}) and rolname ~ '^tb[a-z2-7]{36}$'`

/** Where the log of changes ends now: what a standby must have replayed to know of them. */
export const position = `select pg_current_wal_insert_lsn()::text as lsn`

/** The same of a standby's own view, with whether it has got that far; a primary always has. */
export const cutSessionsAfter = (handle: string, lsn: string): string =>
  `select coalesce(pg_last_wal_replay_lsn() >= ${literal(lsn)}::pg_lsn, true) as replayed, (${cutSessions(handle)}) as cut`

/** What is left of a role: whether it is there, and in which databases something belongs to it. */
export const remains = (handle: string): string => `
select r.rolcanlogin as alive, array(
  select d.datname::text from pg_catalog.pg_shdepend s join pg_catalog.pg_database d on d.oid = s.dbid
    where s.refclassid = 'pg_catalog.pg_authid'::regclass and s.refobjid = r.oid
  union select x.database::text from pg_catalog.pg_prepared_xacts x where x.owner = r.rolname
) as databases from pg_catalog.pg_roles r where r.rolname = ${literal(handle)}`

export const preparedBy = (handle: string): string =>
  `select gid from pg_catalog.pg_prepared_xacts where owner = ${literal(handle)} and database = current_database()`

/** A role without a right or a member that can log in, for what others depend on and so cannot be dropped. */
export const graveyard = (prefix: string): string => `${prefix}_graveyard`

export const makeGraveyard = (prefix: string, modern: boolean): string =>
  block(`
begin
  if not exists (select from pg_catalog.pg_roles where rolname = ${literal(graveyard(prefix))}) then
    create role ${identifier(graveyard(prefix))} nologin;
    execute format('grant ${identifier(graveyard(prefix))} to %I${modern ? ' with inherit true, set true' : ''}', current_user);
  end if;
end`)

/** What Ready asks the primary first. */
export const setUp = (databases: readonly string[], groups: readonly string[]): string => `
select current_setting('server_version_num')::int as version, pg_is_in_recovery() as standby, r.rolname as login,
  r.rolsuper or r.rolcreaterole as creates,
  (select min(n) from unnest(${textArray(databases)}) n
    where not exists (select from pg_catalog.pg_database d where d.datname = n and d.datallowconn)) as missing,
  (select min(g.rolname) from pg_catalog.pg_roles g where g.rolname = any(${textArray(groups)})
    and not r.rolsuper and current_setting('server_version_num')::int >= 160000
    and not pg_has_role(r.oid, g.oid, 'MEMBER WITH ADMIN OPTION')) as ungrantable,
  array(select d.datname::text from pg_catalog.pg_database d where d.datallowconn and exists (
    select from pg_catalog.pg_roles g where g.rolname = any(${textArray(groups)}) and has_database_privilege(g.oid, d.oid, 'CONNECT'))
    order by 1) as entered
from pg_catalog.pg_roles r where r.rolname = current_user`
