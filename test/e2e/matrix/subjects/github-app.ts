// `githubApp`: tokens of a strict stand-in for GitHub, which is asked as whoever has one asks it.

import { endCall, issueCall, seeCall } from '../../../providers/github-app/fake.ts'
import { type HttpsProxy, type Reached, startHttpsProxy } from '../../../support/faults/httpsproxy.ts'
import { createHubbed } from '../../support/hubbed.ts'
import { digest } from '../../support/scenario.ts'
import { kept, noted, outside, source } from '../points.ts'
import type { Fields, Step, SubjectType } from '../subject.ts'

const to = 'github'
const tokenOf = (fields: Fields): string => fields['git.token'] ?? ''

const call = (step: Step, at: string, its: string) => source(to, step, at, `^${its.replace(' ', ' /')}[? ]`)
const asked = (step: 'issue' | 'renew') => [
  noted(step, 'the note of the request', 1),
  call(step, 'the request of a token', issueCall),
  kept(step),
]

export const githubApp: SubjectType = {
  points: outside([
    ...asked('issue'),
    ...asked('renew'),
    call('end', 'the end of the token', endCall),
    call('end', 'the look for it', seeCall),
    kept('end'),
  ]),
  async start({ scenario, gate, now }) {
    let proxy: HttpsProxy | undefined
    const reach = async (reached: Reached): Promise<Reached> => {
      if (gate === undefined) return reached
      proxy = await startHttpsProxy(gate, to, reached.address, reached.caBundle)
      return proxy
    }
    const { fake, ask, credential, close } = await createHubbed(scenario, { reach })
    fake.now = now
    return {
      provider: String((credential['providerRef'] as { name: string }).name),
      server: "a strict stand-in for GitHub that answers in GitHub's published types, by a call with the token",
      credential: { ...credential, audience: undefined, scopes: undefined },
      renewal: 'Successor',
      lostExpires: true,
      alive: async () => fake.alive().map(digest),
      idOf: (fields) => digest(tokenOf(fields)),
      async works(fields) {
        const status = await ask(seeCall, tokenOf(fields))
        if (status !== 200 && status !== 401) throw new Error(`GitHub answered ${status}`)
        return status === 200
      },
      async close() {
        await close()
        await proxy?.close()
      },
    }
  },
}
