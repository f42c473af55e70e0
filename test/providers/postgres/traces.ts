// Everything that a task could leave behind in a server, as lines of text that are compared before and after.

import type { Postgres } from '../../support/postgres/server.ts'

const perDatabase = `
select 'function ' || p.oid::regprocedure || ' definer ' || prosecdef || ' ' || pg_get_userbyid(proowner) || coalesce(proacl::text, '') as line from pg_proc p
union all select 'relation ' || c.oid::regclass || ' ' || pg_get_userbyid(relowner) || coalesce(relacl::text, '') from pg_class c
union all select 'column ' || attrelid::regclass || ' ' || attname || attacl::text from pg_attribute where attacl is not null
union all select 'schema ' || nspname || ' ' || pg_get_userbyid(nspowner) || coalesce(nspacl::text, '') from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
union all select 'default of ' || pg_get_userbyid(defaclrole) || ' ' || defaclobjtype::text || defaclacl::text from pg_default_acl
union all select 'large object ' || oid || ' ' || pg_get_userbyid(lomowner) || coalesce(lomacl::text, '') from pg_largeobject_metadata
union all select 'trigger ' || tgname || ' on ' || tgrelid::regclass from pg_trigger
union all select 'rule ' || rulename || ' on ' || ev_class::regclass from pg_rewrite where oid > 16384
union all select 'type ' || t.oid::regtype || ' ' || pg_get_userbyid(typowner) || coalesce(typacl::text, '') from pg_type t
union all select 'user mapping ' || umid || ' ' || usename from pg_user_mappings
union all select 'publication ' || pubname from pg_publication
union all select 'extension ' || extname from pg_extension`

const shared = `
select 'role ' || to_jsonb(a)::text as line from pg_authid a
union all select 'member ' || m.member::regrole || ' of ' || m.roleid::regrole || ' by ' || m.grantor::regrole || ' ' || admin_option from pg_auth_members m
union all select 'setting ' || setrole::regrole || ' ' || setconfig::text from pg_db_role_setting
union all select 'database ' || datname || coalesce(datacl::text, '') from pg_database
union all select 'tablespace ' || spcname || coalesce(spcacl::text, '') from pg_tablespace
union all select 'prepared transaction ' || gid || ' ' || owner from pg_prepared_xacts
union all select 'parameter ' || parname || paracl::text from pg_parameter_acl
union all select 'subscription ' || subname from pg_subscription
union all select 'slot ' || slot_name from pg_replication_slots
union all select 'dependency ' || (select count(*) from pg_shdepend)`

/** Sorted lines, each with the database that it is from. */
export async function traces(server: Postgres): Promise<readonly string[]> {
  const databases = (await server.query('select datname from pg_database where datallowconn')).map(({ datname }) => String(datname))
  const lines = (await server.query(shared)).map(({ line }) => String(line))
  for (const database of databases) lines.push(...(await server.query(perDatabase, database)).map(({ line }) => `${database}: ${line}`))
  return lines.sort()
}

/** What is in one of the two and not in the other. */
export function difference(before: readonly string[], after: readonly string[]): readonly string[] {
  const [old, young] = [new Set(before), new Set(after)]
  return [
    ...before.filter((line) => !young.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !old.has(line)).map((line) => `+ ${line}`),
  ]
}
