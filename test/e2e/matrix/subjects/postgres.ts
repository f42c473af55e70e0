// `postgres`: roles of a real PostgreSQL, which is asked who can log in.

import { startSqlProxy } from '../../../support/faults/sqlproxy.ts'
import { createDatabase } from '../../support/database.ts'
import { outside, source } from '../points.ts'
import type { Fields, SubjectType } from '../subject.ts'

const to = 'postgres'
const closing = 'alter role "HANDLE" nologin password null'
const given = (fields: Fields) => ({
  username: fields['db.username'] ?? '',
  password: fields['db.password'] ?? '',
  url: fields['db.url'] ?? '',
})

export const postgres: SubjectType = {
  points: outside([
    source(to, 'issue', 'CREATE ROLE', 'create role "HANDLE" login'),
    source(to, 'renew', 'ALTER ROLE ... VALID UNTIL', 'alter role "HANDLE" valid until'),
    source(to, 'end', 'ALTER ROLE ... NOLOGIN', closing),
    source(to, 'end', 'the position in the log', 'pg_current_wal_flush_lsn', { since: closing }),
    source(to, 'end', 'the first look for sessions', 'usename = .HANDLE', { since: closing }),
    source(to, 'end', 'the last look for sessions', 'usename = .HANDLE', { since: closing, nth: 2 }),
  ]),
  async start({ scenario, gate }) {
    let close = async (): Promise<void> => undefined
    const database = await createDatabase(scenario, {}, async (server) => {
      if (gate === undefined) return server.port
      const proxy = await startSqlProxy(gate, to, server)
      close = proxy.close
      return { host: 'localhost', port: proxy.port, addresses: ['127.0.0.0/8', '::1'], ca: proxy.ca }
    })
    return {
      provider: database.name,
      server: `PostgreSQL ${database.server.version}`,
      credential: database.credential,
      renewal: 'InPlace',
      alive: database.alive,
      idOf: (fields) => given(fields).username,
      works: (fields) => database.works(given(fields)),
      // a dead role keeps its name until nothing can come late any more
      async leftovers() {
        const waiting = await database.awaited()
        return (await database.roles()).filter((role) => !waiting.includes(role))
      },
      async close() {
        await database.close()
        await close()
      },
    }
  },
}
