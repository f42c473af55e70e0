// What a task gets of its role: fields for those who build a connection themselves, a URL, and a file for libpq.

import { Material } from '../../lib/material.ts'
import type { PostgresParams } from './params.ts'

const text = (material: Material): string => new TextDecoder().decode(material.reveal())
/** `:` and `\` have a meaning in a password file. */
const escaped = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll(':', '\\:')
const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** Field name to bytes. All addresses are those of the primary; passwords are of [A-Za-z0-9_-] and need no escape. */
export function outputs(params: PostgresParams, username: string, password: Material): Readonly<Record<string, Material>> {
  const { host, port, databases, caBundle } = params
  const [database = 'postgres'] = databases
  const url = `postgresql://${username}:${text(password)}@${inUrl(host)}:${port}/${encodeURIComponent(database)}?sslmode=verify-full`
  const lines = databases.map((name) => [escaped(host), port, escaped(name), username, text(password)].join(':'))
  return {
    username: new Material(username),
    password,
    host: new Material(host),
    port: new Material(String(port)),
    database: new Material(database),
    url: new Material(url),
    pgpass: new Material(`${lines.join('\n')}\n`),
    ...(caBundle === undefined ? {} : { 'ca.crt': new Material(caBundle) }),
  }
}
