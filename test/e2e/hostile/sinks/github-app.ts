// A GitHub that another App is installed at, which is shown that App's JWT, and the tokens that it gave.

import { makeKeys } from '../../../providers/github-app/fake.ts'
import { createHubbed } from '../../support/hubbed.ts'
import type { World } from '../world.ts'
import { type Sink, visitor } from './sink.ts'

export async function githubAppSink({ scenario, atEnd }: World): Promise<Sink> {
  const { fake, credential, close } = await createHubbed(scenario, { suffix: 'github-sink', pair: makeKeys() })
  atEnd(close)
  const visit = visitor(scenario, 'githubApp', { ...credential, audience: undefined, scopes: undefined })
  return { type: 'githubApp', visit, sent: () => fake.requests.map(({ headers, body }) => [headers, body]) }
}
