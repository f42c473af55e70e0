// A database that asks for the password in the clear, and gives nobody a role.

import { ownCertificate } from '../../../support/certificate.ts'
import { eventually } from '../../../support/cluster.ts'
import { startSqlSink } from '../../../support/sqlsink.ts'
import type { World } from '../world.ts'
import type { Sink } from './sink.ts'

export const password = 'of-the-login-at-the-sink-alone'

export async function postgresSink({ scenario, provide, secret, atEnd }: World): Promise<Sink> {
  const own = ownCertificate()
  const sql = await startSqlSink(own)
  atEnd(sql.close)
  const name = `${scenario.name}-sql-sink`
  await secret(name, `localhost:${sql.port}`, { username: 'taskbound', password })
  await provide('sql-sink', {
    type: 'postgres',
    postgres: {
      host: 'localhost',
      port: sql.port,
      databases: ['postgres'],
      groups: ['app_read'],
      caBundle: own.ca,
      loginSecretRef: { name },
    },
  })
  return {
    type: 'postgres',
    // whether it is ready is asked without a task
    async visit() {
      await eventually(
        () => {
          if (!sql.received.join(' ').includes(password)) throw new Error('it was shown no password')
        },
        { timeoutMs: 60_000 },
      )
    },
    sent: () => sql.received,
  }
}
