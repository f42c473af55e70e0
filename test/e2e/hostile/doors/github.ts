// A strict stand-in for GitHub: the App's own word, and tokens that it gave.

import { app, seeCall } from '../../../providers/github-app/fake.ts'
import { createHubbed } from '../../support/hubbed.ts'
import type { World } from '../world.ts'
import { type Door, isHeader } from './door.ts'

export async function githubDoors({ scenario, atEnd }: World): Promise<readonly Door[]> {
  const hubbed = await createHubbed(scenario)
  atEnd(hubbed.close)
  const door = (name: string, call: string, own: Door['own']): Door => ({
    name,
    own,
    takes: async (word) => isHeader(word) && (await hubbed.ask(call, word)) !== 401,
  })
  return [
    door('GitHub, of the App,', `GET app/installations/${app.installationId}`, async () => {
      await hubbed.active(await hubbed.task('own-app'))
      return hubbed.fake.requests.findLast(({ path }) => path.startsWith('app/'))?.bearer ?? ''
    }),
    door('GitHub, of a token,', seeCall, async () => hubbed.active(await hubbed.task('own-git'))),
  ]
}
