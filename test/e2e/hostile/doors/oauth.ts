// A strict authorization server that the operator is a client of: who asks, for whom, and what it gave. Whoever has stolen something may be a
// client there himself.

import { createRequester, type Reply } from '../../../cluster/requester.ts'
import { assertions, clientId, clientKeyring, startFake } from '../../../providers/oauth/fake.ts'
import { createAuthorized, trustIn } from '../../support/authorized.ts'
import type { World } from '../world.ts'
import type { Door } from './door.ts'

type Form = Readonly<Record<string, string>>

export async function oauthDoors({ scenario, operator, atEnd }: World): Promise<readonly Door[]> {
  const fake = await startFake()
  atEnd(fake.close)
  const authorized = createAuthorized(scenario)
  atEnd(authorized.close)
  const trusted = await trustIn(operator)
  fake.trusted = { ...trusted, client: { keys: [...trusted.client.keys, ...clientKeyring.jwks().keys] } }
  await authorized.provide({ issuer: fake.issuer, caBundle: fake.caBundle, grant: 'TokenExchange' })

  const asker = createRequester({ server: fake.issuer, ca: fake.caBundle })
  atEnd(asker.close)
  const ask = (path: string, assertion: string, form: Form): Promise<Reply> => {
    const authentication = {
      client_id: clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }
    const body = new URLSearchParams({ ...form, ...authentication }).toString()
    return asker.request('POST', path, body, { contentType: 'application/x-www-form-urlencoded' })
  }
  async function askAsAnother(path: string, form: Form): Promise<Reply> {
    const assertion = await assertions.of(clientId, fake.issuer)
    return ask(path, assertion.ok ? new TextDecoder().decode(assertion.value.reveal()) : '', form)
  }

  /** What the operator asks for a token with, before anybody has seen it: an assertion is taken once. */
  async function caught(field: string, task: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>()
    fake.before = ({ path, form }) => {
      if (path !== '/token') return undefined
      fake.before = undefined
      resolve(form[field] ?? '')
      return { status: 400, body: { error: 'invalid_scope' } }
    }
    await authorized.task(task)
    return promise
  }
  const jwt = 'urn:ietf:params:oauth:token-type:jwt'
  return [
    {
      name: 'the authorization server, of who asks,',
      own: () => caught('client_assertion', 'own-assertion'),
      takes: async (word) => (await ask('/token', word, { grant_type: 'client_credentials', scope: 'payroll:read' })).status === 200,
    },
    {
      name: 'the authorization server, of whom it is for,',
      own: () => caught('subject_token', 'own-subject'),
      async takes(word) {
        const grant = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', scope: 'payroll:read' }
        return (await askAsAnother('/token', { ...grant, subject_token: word, subject_token_type: jwt })).status === 200
      },
    },
    {
      name: 'the authorization server, of what it gave,',
      own: async () => scenario.active(await authorized.task('own-access')),
      takes: async (word) => (await askAsAnother('/introspect', { token: word })).body.active !== false,
    },
  ]
}
