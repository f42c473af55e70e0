// `oauth` where no Keycloak is: tokens of a strict stand-in for an authorization server, which is asked what is alive.

import { startFake } from '../../../providers/oauth/fake.ts'
import { startHttpsProxy } from '../../../support/faults/httpsproxy.ts'
import { createAuthorized } from '../../support/authorized.ts'
import { digest } from '../../support/scenario.ts'
import { kept, noted, outside, source } from '../points.ts'
import type { Fields, Step, SubjectType } from '../subject.ts'

const to = 'oauth'
const tokenOf = (fields: Fields): string => fields['api'] ?? ''

// what it asks about to see whether the server answers is nobody's, and longer
const about = (step: Step, path: string) => source(to, step, `POST ${path}`, `^POST ${path} .*\\btoken=[\\w-]{32}(&|$)`)
const asked = (step: 'issue' | 'renew') => [
  noted(step, 'the note of the request', 1),
  source(to, step, 'POST /token', '^POST /token '),
  kept(step),
  about(step, '/introspect'),
]

export const strictOauth: SubjectType = {
  points: outside([...asked('issue'), ...asked('renew'), about('end', '/revoke'), about('end', '/introspect'), kept('end')]),
  async start({ scenario, gate, operator, ttlSeconds, now }) {
    const authorized = createAuthorized(scenario, ttlSeconds)
    const fake = await startFake()
    fake.clock = now
    const proxy = gate === undefined ? undefined : await startHttpsProxy(gate, to, fake.issuer, fake.caBundle)
    if (proxy !== undefined) Object.assign(fake, { issuer: proxy.address, caBundle: proxy.caBundle })
    await authorized.provideAt(fake, operator)
    return {
      provider: String((authorized.credential['providerRef'] as { name: string }).name),
      server: 'a strict stand-in for an authorization server',
      credential: authorized.credential,
      renewal: 'Successor',
      lostExpires: true,
      alive: async () => fake.living().map(digest),
      idOf: (fields) => digest(tokenOf(fields)),
      works: async (fields) => fake.alive(tokenOf(fields)),
      async close() {
        await authorized.close()
        await proxy?.close()
        await fake.close()
      },
    }
  },
}
