// What makes a group role outlive a task that is its member: whatever a member can do as the group, or through its rights, and leave
// behind. One query finds it, in one database; the shared catalogs in it speak for all databases.

import { textArray } from './quoting.ts'

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
} as const

/** A sentence that names group, database and what mends it. */
export function describeFault({ group, role, fault, object }: GroupFault, database: string): string {
  const whose = group === role ? `group \`${group}\`` : `group \`${group}\`, by its membership in \`${role}\`,`
  const text = faults[fault].replaceAll('%r', role).replaceAll('%o', object)
  return `${whose} ${text} (looked at in database \`${database}\`)`
}

/**
 * Rows of {@link GroupFault}, at most one a group and fault; none when all groups are good.
 * Everything that a group is a member of counts as the group itself.
 */
export const groupFaults = (groups: readonly string[]): string => `
with recursive asked(name) as (select unnest(${textArray(groups)})),
reach(top, oid) as (
  select a.name, r.oid from asked a join pg_catalog.pg_roles r on r.rolname = a.name
  union
  select g.top, m.roleid from reach g join pg_catalog.pg_auth_members m on m.member = g.oid
),
reached as (select g.top, r.* from reach g join pg_catalog.pg_roles r on r.oid = g.oid),
acls(acl, object) as (
  select relacl, relname::text from pg_catalog.pg_class where relacl is not null
  union all select nspacl, nspname::text from pg_catalog.pg_namespace where nspacl is not null
  union all select proacl, proname::text from pg_catalog.pg_proc where proacl is not null
  union all select datacl, datname::text from pg_catalog.pg_database where datacl is not null
  union all select attacl, attname::text from pg_catalog.pg_attribute where attacl is not null
  union all select typacl, typname::text from pg_catalog.pg_type where typacl is not null
  union all select lanacl, lanname::text from pg_catalog.pg_language where lanacl is not null
  union all select fdwacl, fdwname::text from pg_catalog.pg_foreign_data_wrapper where fdwacl is not null
  union all select srvacl, srvname::text from pg_catalog.pg_foreign_server where srvacl is not null
  union all select spcacl, spcname::text from pg_catalog.pg_tablespace where spcacl is not null
  union all select lomacl, oid::text from pg_catalog.pg_largeobject_metadata where lomacl is not null
)
select a.name as group, a.name as role, 'missing' as fault, '' as object from asked a
  where not exists (select from pg_catalog.pg_roles r where r.rolname = a.name)
union all select top, rolname, 'login', '' from reached where rolcanlogin
union all select top, rolname, 'power', '' from reached where rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
union all select top, top, 'predefined', rolname from reached where oid < 16384
union all select top, rolname, 'owns', '' from reached r
  where exists (select from pg_catalog.pg_shdepend d
    where d.refclassid = 'pg_catalog.pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o')
union all select r.top, r.rolname, 'admin', o.rolname from reached r
  join pg_catalog.pg_auth_members m on m.member = r.oid and m.admin_option join pg_catalog.pg_roles o on o.oid = m.roleid
union all select r.top, r.rolname, 'createSchema', min(n.nspname) from reached r
  join pg_catalog.pg_namespace n on n.nspname !~ '^pg_(toast_)?temp_' and has_schema_privilege(r.oid, n.oid, 'CREATE') group by 1, 2
union all select r.top, r.rolname, 'createDatabase', min(d.datname) from reached r
  join pg_catalog.pg_database d on d.datallowconn and has_database_privilege(r.oid, d.oid, 'CREATE') group by 1, 2
union all select r.top, r.rolname, 'createTablespace', min(t.spcname) from reached r
  join pg_catalog.pg_tablespace t on t.spcname !~ '^pg_' and has_tablespace_privilege(r.oid, t.oid, 'CREATE') group by 1, 2
union all select r.top, r.rolname, 'grantOption', min(a.object) from reached r, acls a, aclexplode(a.acl) x
  where x.grantee = r.oid and x.is_grantable group by 1, 2`
