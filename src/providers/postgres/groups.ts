// What makes a group role outlive a task that is its member: whatever a member can do as the group, or through its rights, and leave
// behind. One query finds it, in one database; the shared catalogs in it speak for all databases.

import type { Statement } from './wire.ts'

/** One thing that is wrong with a group. */
export interface GroupFault {
  readonly group: string
  readonly role: string
  readonly fault: keyof typeof faults
  /** the object that it is about, where there is one */
  readonly object: string
}

export const faults = {
  missing: 'does not exist',
  login: 'can log in; `ALTER ROLE %r NOLOGIN`',
  power: 'is superuser, or has CREATEROLE, CREATEDB, REPLICATION or BYPASSRLS; take it away by ALTER ROLE',
  predefined: 'is a member of the predefined role `%o`; grant the rights that are needed themselves',
  owns: 'owns objects, in some database; `REASSIGN OWNED BY %r TO` their administrator',
  admin: 'has the ADMIN OPTION on `%o`; `REVOKE ADMIN OPTION FOR %o FROM %r`',
  createSchema: 'may create in schema `%o` of this database, directly or by PUBLIC; `REVOKE CREATE ON SCHEMA %o FROM` whoever has it',
  createDatabase: 'may create schemas in database `%o`; `REVOKE CREATE ON DATABASE %o FROM` whoever has it',
  createTablespace: 'may create in tablespace `%o`; `REVOKE CREATE ON TABLESPACE %o FROM` whoever has it',
  grantOption: 'may grant rights on `%o` to others; `REVOKE GRANT OPTION FOR` them',
  trigger: 'holds TRIGGER on `%o`, directly or by PUBLIC, and a trigger outlives who made it; `REVOKE TRIGGER ON %o FROM` whoever has it',
  alterSystem: 'may change the setting `%o` of the server; `REVOKE ALTER SYSTEM ON PARAMETER %o FROM` whoever has it',
  prepared: 'has the prepared transaction `%o`; before PostgreSQL 16 the groups of tasks must be used by nobody else',
} as const

/** A sentence that names group, database and what mends it. */
export function describeFault({ group, role, fault, object }: GroupFault, database: string): string {
  const whose = group === role ? `group \`${group}\`` : `group \`${group}\`, by its membership in \`${role}\`,`
  const text = faults[fault].replaceAll('%r', role).replaceAll('%o', object)
  return `${whose} ${text} (looked at in database \`${database}\`)`
}

/** Catalog, its column of privileges, and what its objects are called by. */
const aclSources = [
  ['pg_class', 'relacl', 'oid::regclass'],
  ['pg_namespace', 'nspacl', 'nspname'],
  ['pg_proc', 'proacl', 'oid::regprocedure'],
  ['pg_database', 'datacl', 'datname'],
  ['pg_type', 'typacl', 'oid::regtype'],
  ['pg_language', 'lanacl', 'lanname'],
  ['pg_foreign_data_wrapper', 'fdwacl', 'fdwname'],
  ['pg_foreign_server', 'srvacl', 'srvname'],
  ['pg_tablespace', 'spcacl', 'spcname'],
  ['pg_largeobject_metadata', 'lomacl', 'oid'],
  ['pg_parameter_acl', 'paracl', 'parname'],
] as const

/**
 * Rows of {@link GroupFault}, at most one a group and fault; none when all groups are good.
 * Everything that a group is a member of counts as the group itself.
 */
export const groupFaults = (groups: readonly string[]): Statement => ({ name: 'group-faults', text: faultsOf, values: [groups] })

const faultsOf = `
with recursive asked(name) as (select unnest($1::text[])),
reach(top, oid) as (
  select a.name, r.oid from asked a join pg_catalog.pg_roles r on r.rolname = a.name
  union
  select g.top, m.roleid from reach g join pg_catalog.pg_auth_members m on m.member = g.oid
),
reached as (select g.top, r.* from reach g join pg_catalog.pg_roles r on r.oid = g.oid),
-- by the dependencies of the roles, which have an index: a database may have very many objects
granted as (
  select r.top, r.oid, r.rolname, d.classid, d.objid, d.objsubid from reached r
  join pg_catalog.pg_shdepend d on d.refclassid = 'pg_catalog.pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'a'
    and d.dbid in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
),
acls(top, oid, rolname, acl, object) as (
  ${aclSources
    .map(
      ([catalog, acl, name]) =>
        `select g.top, g.oid, g.rolname, o.${acl}, o.${name}::text from granted g
  join pg_catalog.${catalog} o on g.classid = 'pg_catalog.${catalog}'::regclass and g.objsubid = 0 and o.oid = g.objid`,
    )
    .join('\n  union all ')}
  union all select g.top, g.oid, g.rolname, o.attacl, o.attrelid::regclass || '.' || o.attname from granted g
  join pg_catalog.pg_attribute o on g.classid = 'pg_catalog.pg_class'::regclass and o.attrelid = g.objid and o.attnum = g.objsubid
  where g.objsubid <> 0
)
select a.name as group, a.name as role, 'missing' as fault, '' as object from asked a
  where not exists (select from pg_catalog.pg_roles r where r.rolname = a.name)
union all select top, rolname, 'login', '' from reached where rolcanlogin
union all select top, rolname, 'power', '' from reached where rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
union all select top, top, 'predefined', rolname from reached where oid < 16384
union all select top, rolname, 'owns', '' from reached r
  where exists (select from pg_catalog.pg_shdepend d
    where d.refclassid = 'pg_catalog.pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o'
    -- default privileges mean nothing where nothing is created, and any member can set them: they are removed with the task
    and d.classid <> 'pg_catalog.pg_default_acl'::regclass)
union all select r.top, r.rolname, 'admin', o.rolname from reached r
  join pg_catalog.pg_auth_members m on m.member = r.oid and m.admin_option join pg_catalog.pg_roles o on o.oid = m.roleid
union all select r.top, r.rolname, 'createSchema', min(n.nspname) from reached r
  join pg_catalog.pg_namespace n on n.nspname !~ '^pg_(toast_)?temp_' and has_schema_privilege(r.oid, n.oid, 'CREATE') group by 1, 2
union all select r.top, r.rolname, 'createDatabase', min(d.datname) from reached r
  join pg_catalog.pg_database d on d.datallowconn and has_database_privilege(r.oid, d.oid, 'CREATE') group by 1, 2
union all select r.top, r.rolname, 'createTablespace', min(t.spcname) from reached r
  join pg_catalog.pg_tablespace t on t.spcname !~ '^pg_' and has_tablespace_privilege(r.oid, t.oid, 'CREATE') group by 1, 2
union all select a.top, a.rolname, 'grantOption', min(a.object) from acls a, aclexplode(a.acl) x
  where x.grantee = a.oid and x.is_grantable group by 1, 2
union all select a.top, a.rolname, 'trigger', min(a.object) from acls a, aclexplode(a.acl) x
  where x.grantee = a.oid and x.privilege_type = 'TRIGGER' group by 1, 2
union all select a.name, a.name, 'trigger', c.oid::regclass::text from asked a,
  lateral (select c.oid from pg_catalog.pg_class c, aclexplode(c.relacl) x where x.grantee = 0 and x.privilege_type = 'TRIGGER' limit 1) c
union all select r.top, r.rolname, 'alterSystem', min(p.parname) from reached r, pg_catalog.pg_parameter_acl p, aclexplode(p.paracl) x
  where x.grantee in (0, r.oid) and x.privilege_type = 'ALTER SYSTEM' group by 1, 2
union all select r.top, r.rolname, 'prepared', min(x.gid) from reached r join pg_catalog.pg_prepared_xacts x on x.owner = r.rolname
  where current_setting('server_version_num')::int < 160000 group by 1, 2`
