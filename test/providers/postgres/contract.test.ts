// What every provider must do, at PostgreSQL 15 and 18.

import { afterAll, beforeAll } from '@jest/globals'
import type { PostgresParams } from '../../../src/providers/postgres/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import type { Postgres } from '../../support/postgres/server.ts'
import { accepts, makeWorld, startServer, versions } from './world.ts'

const servers = new Map<number, Postgres>()
beforeAll(async () => {
  for (const version of versions) servers.set(version, await startServer({ version }))
})
afterAll(async () => {
  await Promise.all([...servers.values()].map((server) => server.stop()))
})

async function contractWorld(version: number): Promise<ProviderWorld<PostgresParams>> {
  const server = servers.get(version)
  if (server === undefined) throw new Error('no server')
  const world = makeWorld(server)
  return {
    ...world,
    plain: ['username', 'host', 'port', 'database', 'ca.crt'],
    accepts: (issued) => accepts(server, issued),
    // PostgreSQL's own message repeats the name of a login that it refuses
    breakSource(canary) {
      world.login = { username: canary, password: canary }
      world.pass(3_600_000)
    },
  }
}

for (const version of versions) describeProvider(`postgres, version ${version}`, () => contractWorld(version))
