// The statements that are sent, each one transaction: what must hold together is decided by the server, not between two round trips.

import { identifier, literal, textArray } from './quoting.ts'

/** SQLSTATEs of our own, class TB: nothing of PostgreSQL's begins so. */
export const states = { tooLate: 'TB001', standby: 'TB002', notAlive: 'TB004' } as const

/** A block of PL/pgSQL; the tag cannot be in a text that was generated or restricted. */
const block = (body: string): string => `do $taskbound$ ${body} $taskbound$`

const raise = (state: string, message = literal(`taskbound: ${state}`)): string =>
  `raise exception using errcode = ${literal(state)}, message = ${message};`

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
begin
  if pg_is_in_recovery() then ${raise(states.standby)} end if;
  ${inTime(role.effectBy)}
  create role ${handle} login inherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls
    connection limit ${role.connectionLimit} valid until ${literal(role.validUntil)} password ${literal(role.verifier)};
  ${role.groups.map((group) => `grant ${identifier(group)} to ${handle}${member};`).join(' ')}
  execute format('grant ${handle} to %I${mine}', current_user);
  ${role.statementTimeoutSeconds === undefined ? '' : `alter role ${handle} set statement_timeout = '${role.statementTimeoutSeconds}s';`}
  -- it may have waited for a lock on the way
  ${inTime(role.effectBy)}
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
  if pg_is_in_recovery() then ${raise(states.standby)} end if;
  perform set_config('lock_timeout', '2s', true);
  -- once it is said that the role is closed no crash may open it again
  if current_setting('synchronous_commit') = 'off' then perform set_config('synchronous_commit', 'local', true); end if;
  if not exists (select from pg_catalog.pg_roles where rolname = ${literal(handle)}) then
    create role ${identifier(handle)} nologin;
    execute format('grant ${identifier(handle)} to %I${modern ? ' with inherit true, set true' : ''}', current_user);
  end if;
  alter role ${identifier(handle)} nologin password null connection limit 0 valid until '-infinity';
  -- whoever holds a lock on a group must not keep the role open: its rights go now if they can, and with the role at the latest
  perform set_config('lock_timeout', '100ms', true);
  for held in select g.rolname as name from pg_catalog.pg_auth_members m
    join pg_catalog.pg_roles g on g.oid = m.roleid join pg_catalog.pg_roles r on r.oid = m.member where r.rolname = ${literal(handle)}
  loop
    begin execute format('revoke %I from ${identifier(handle)}', held.name); exception when others then null; end;
  end loop;
end`)

/** Cuts the role's sessions at one server and tells how many there were. */
export const cutSessions = (handle: string): string =>
  `select count(pg_terminate_backend(pid))::int as cut from pg_catalog.pg_stat_activity where usename = ${literal(handle)}`

export const listRoles = (prefix: string): string =>
  `select rolname as name from pg_catalog.pg_roles where starts_with(rolname, ${literal(prefix)}) and rolname ~ '^tb[a-z2-7]{36}$'`

/** Of each name whether one can log in as it, in the order of the names. Only a primary can tell. */
export const sightsOf = (handles: readonly string[]): string => `
select pg_is_in_recovery() as standby, coalesce(r.rolcanlogin, false) as alive
from unnest(${textArray(handles)}) with ordinality h(name, place) left join pg_catalog.pg_roles r on r.rolname = h.name order by h.place`

/**
 * What a standby must have replayed to know of what is committed now. Not the position of insertion: where a record ends with its page that
 * one is already behind the head of the next page, which no standby reaches before there is another record.
 */
export const position = 'select pg_current_wal_flush_lsn()::text as lsn'

/**
 * Cuts, and tells what one server knows of the role and its sessions: `closed` when it can let nobody in as the role any more. A standby
 * must have replayed the closing, and must be asked whether it is one: a primary that once recovered from a crash still has the position
 * of that replay. `arriving` are logins whose user is not shown yet: each has a transaction of its own from before its password is
 * checked. They are looked at first, so that one that has just arrived is among the sessions. In recovery the process that replays looks
 * alike, but for its number 0.
 */
export const cutSessionsAfter = (handle: string, lsn: string): string => `
with arriving as materialized (
  select array(select l.pid from pg_catalog.pg_locks l
    where l.locktype = 'virtualxid' and l.granted and l.mode = 'ExclusiveLock' and l.virtualtransaction !~ '/0$') as pids
)
select not exists (select from pg_catalog.pg_roles where rolname = ${literal(handle)} and rolcanlogin)
    and (not pg_is_in_recovery() or coalesce(pg_last_wal_replay_lsn() >= ${literal(lsn)}::pg_lsn, false)) as closed,
  s.cut, array(select unnest(a.pids) except select unnest(s.known)) as arriving,
  exists (select from pg_catalog.pg_locks l where not l.granted and l.pid = any(a.pids) and l.pid <> all(s.known)) as held
from arriving a, lateral (
  select count(case when x.usename = ${literal(handle)} then pg_terminate_backend(x.pid) end)::int as cut,
    array_agg(x.pid) filter (where x.usesysid is not null or x.datid is not null) as known
  from pg_catalog.pg_stat_activity x where a.pids is not null
) s`

/** The roles as which a task can have prepared transactions: its own, and before PostgreSQL 16 its groups. */
const selves = (handle: string, groups: readonly string[], modern: boolean): string => textArray(modern ? [handle] : [handle, ...groups])

/**
 * What is left of a role: whether it is there, and in which databases something belongs to it, or something of its doing to its groups:
 * default privileges, and before PostgreSQL 16, where it could become its group, whatever the group owns, since a group owns nothing.
 */
export const remains = (handle: string, groups: readonly string[], modern: boolean, notBefore: string): string => `
select r.rolcanlogin as alive, clock_timestamp() <= ${literal(notBefore)}::timestamptz as early, array(
  select d.datname::text from pg_catalog.pg_shdepend s join pg_catalog.pg_database d on d.oid = s.dbid
    where s.refclassid = 'pg_catalog.pg_authid'::regclass and s.refobjid = r.oid
  union select d.datname::text from pg_catalog.pg_shdepend s join pg_catalog.pg_database d on d.oid = s.dbid
    join pg_catalog.pg_roles g on g.oid = s.refobjid and g.rolname = any(${textArray(groups)})
    where s.refclassid = 'pg_catalog.pg_authid'::regclass and s.deptype = 'o'
    ${modern ? "and s.classid = 'pg_catalog.pg_default_acl'::regclass" : ''}
  union select x.database::text from pg_catalog.pg_prepared_xacts x where x.owner = any(${selves(handle, groups, modern)})
) as databases from pg_catalog.pg_roles r where r.rolname = ${literal(handle)}`

/** Its open prepared transactions, in all databases. */
export const preparedBy = (handle: string, groups: readonly string[], modern: boolean): string => `
select gid, owner::text as owner, database::text as database from pg_catalog.pg_prepared_xacts
where owner = any(${selves(handle, groups, modern)}) order by database`

/** Removes some of a role's large objects and tells how many: each needs a lock, of which one transaction can have only so many. */
export const unlinkSome = (owners: readonly string[]): string => `
select count(lo_unlink(o.oid))::int as gone from (
  select m.oid from pg_catalog.pg_largeobject_metadata m join pg_catalog.pg_roles r on r.oid = m.lomowner
  where r.rolname = any(${textArray(owners)}) limit 1000) o`

/** The login takes a group's rights, or gives them back. On 16 and later it is the one that gave them. */
export const joinGroup = (group: string, modern: boolean): string =>
  block(`begin execute format('grant ${identifier(group)} to %I${modern ? ' with inherit true, set false' : ''}', current_user); end`)
export const leaveGroup = (group: string, modern: boolean): string =>
  block(`begin execute format('revoke ${identifier(group)} from %I${modern ? ' granted by %1$I' : ''}', current_user); end`)

/** Takes back every default privilege set for a group in this database, until they are PostgreSQL's own again. */
export const resetDefaults = (group: string): string =>
  block(`
declare held record;
begin
  for held in
    select d.defaclnamespace as schema, case when n.nspname is null then '' else format(' in schema %I', n.nspname) end as place,
      case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'
        when 'n' then 'schemas' when 'L' then 'large objects' end as kind,
      (select string_agg(distinct case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end, ', ')
        from aclexplode(d.defaclacl) x) as grantees
    from pg_catalog.pg_default_acl d left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
    where pg_get_userbyid(d.defaclrole) = ${literal(group)}
  loop
    if held.grantees is not null then
      execute format('alter default privileges for role ${identifier(group)}%s revoke all on %s from %s', held.place, held.kind, held.grantees);
    end if;
    if held.schema = 0 then
      execute format('alter default privileges for role ${identifier(group)} grant all on %s to ${identifier(group)}', held.kind);
      if held.kind = 'functions' then execute 'alter default privileges for role ${identifier(group)} grant execute on functions to public'; end if;
      if held.kind = 'types' then execute 'alter default privileges for role ${identifier(group)} grant usage on types to public'; end if;
    end if;
  end loop;
end`)

/** Before PostgreSQL 16 a task could become its group, and so change how it logs in, which it never does. */
export const resetGroup = (group: string): string =>
  block(`
declare held record;
begin
  alter role ${identifier(group)} password null;
  for held in select d.datname as name from pg_catalog.pg_db_role_setting s join pg_catalog.pg_roles r on r.oid = s.setrole
    left join pg_catalog.pg_database d on d.oid = s.setdatabase where r.rolname = ${literal(group)}
  loop
    execute 'alter role ${identifier(group)} ' || case when held.name is null then '' else format('in database %I ', held.name) end || 'reset all';
  end loop;
end`)

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
