// A real PostgreSQL: whether a word is the password of the operator there, or of its owner.

import { createDatabase } from '../../support/database.ts'
import type { World } from '../world.ts'
import type { Door } from './door.ts'

export async function postgresDoor({ scenario, atEnd }: World): Promise<Door> {
  const database = await createDatabase(scenario)
  atEnd(database.close)
  const { username, password } = database.server.superuser
  return {
    name: 'PostgreSQL',
    own: async () => password,
    async takes(word) {
      const tried = await Promise.all(
        ['taskbound', username].map(async (user) => {
          const client = await database.server.login(user, word).catch(() => undefined)
          await client?.end()
          return client !== undefined
        }),
      )
      return tried.includes(true)
    },
  }
}
