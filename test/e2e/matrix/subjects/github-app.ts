// `githubApp`: tokens of a strict stand-in for GitHub, which is asked as whoever has one asks it.

import { seeCall } from '../../../providers/github-app/fake.ts'
import { createHubbed } from '../../support/hubbed.ts'
import type { SourceType } from '../subject.ts'

export const githubApp: SourceType = {
  async start({ scenario }) {
    const { ask, credential, close } = await createHubbed(scenario)
    return {
      provider: String((credential['providerRef'] as { name: string }).name),
      server: "a strict stand-in for GitHub that answers in GitHub's published types, by a call with the token",
      credential: { ...credential, audience: undefined, scopes: undefined },
      async works(fields) {
        const status = await ask(seeCall, fields['git.token'] ?? '')
        if (status !== 200 && status !== 401) throw new Error(`GitHub answered ${status}`)
        return status === 200
      },
      close,
    }
  },
}
