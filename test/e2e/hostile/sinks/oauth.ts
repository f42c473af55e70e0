// An authorization server that is shown the client's assertions, the logins of tasks, and the tokens that it gave.

import { clientId, startFake } from '../../../providers/oauth/fake.ts'
import { trustIn } from '../../support/authorized.ts'
import { credentialOf, type World } from '../world.ts'
import { type Sink, visitor } from './sink.ts'

export async function oauthSink({ scenario, operator, provide, atEnd }: World): Promise<Sink> {
  const fake = await startFake()
  atEnd(fake.close)
  fake.trusted = await trustIn(operator)
  const audience = `https://orders.${scenario.name}.example`
  const provider = await provide('oauth-sink', {
    type: 'oauth',
    oauth: {
      issuer: fake.issuer,
      caBundle: fake.caBundle,
      clientId,
      grant: 'TokenExchange',
      scopes: ['payroll:read'],
      audiences: [audience],
      maxTTLSeconds: 300,
    },
  })
  const credential = { ...credentialOf(provider, 'payroll:read'), audience, ttlSeconds: 300 }
  return { type: 'oauth', visit: visitor(scenario, 'oauth', credential), sent: () => fake.requests }
}
