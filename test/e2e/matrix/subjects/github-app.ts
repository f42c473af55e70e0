// `githubApp`: tokens of a strict stand-in for GitHub, which is asked as whoever has one asks it.

import { request } from 'node:https'
import { seeCall } from '../../../providers/github-app/fake.ts'
import { createHubbed } from '../../support/hubbed.ts'
import type { SourceType } from '../subject.ts'

const [method, path] = seeCall.split(' ')

export const githubApp: SourceType = {
  async start({ scenario }) {
    const { fake, credential, close } = await createHubbed(scenario)
    const ask = (token: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        request(
          {
            ...{ host: 'localhost', port: fake.port, ca: fake.caBundle, method, path: `/${path}` },
            headers: {
              authorization: `Bearer ${token}`,
              accept: 'application/vnd.github+json',
              'x-github-api-version': '2022-11-28',
              'user-agent': 'an agent',
            },
          },
          (answer) => answer.resume().once('end', () => resolve(answer.statusCode)),
        )
          .once('error', reject)
          .end()
      })
    return {
      provider: String((credential['providerRef'] as { name: string }).name),
      server: "a strict stand-in for GitHub that answers in GitHub's published types, by a call with the token",
      credential: { ...credential, audience: undefined, scopes: undefined },
      async works(fields) {
        const status = await ask(fields['git.token'] ?? '')
        if (status !== 200 && status !== 401) throw new Error(`GitHub answered ${status}`)
        return status === 200
      },
      close,
    }
  },
}
