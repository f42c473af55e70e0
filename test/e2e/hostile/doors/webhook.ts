// The reference server of webhooks.

import { createLocalJWKSet } from 'jose'
import { createWebhookServer } from '../../../../examples/webhook/webhook-server.ts'
import { createRequester } from '../../../cluster/requester.ts'
import { ownCertificate } from '../../../support/certificate.ts'
import { trustIn } from '../../support/authorized.ts'
import { credentialOf, type World } from '../world.ts'
import { type Door, isHeader } from './door.ts'

export async function webhookDoor({ scenario, operator, provide, atEnd }: World): Promise<Door> {
  const audience = `https://keys.${scenario.name}.example`
  const tls = ownCertificate()
  const trusted = await trustIn(operator)
  const keys = createLocalJWKSet(trusted.login)
  let shown = ''
  const server = createWebhookServer({
    tls,
    issuer: trusted.loginIssuer,
    audience,
    keys(header, token) {
      shown = `${header?.alg === undefined ? '' : token.protected}.${token.payload}.${token.signature}`
      return keys(header, token)
    },
  })
  const url = `https://localhost:${await server.listen()}`
  atEnd(server.close)
  const asker = createRequester({ server: url, ca: tls.ca })
  atEnd(asker.close)
  const provider = await provide('keys', { type: 'webhook', webhook: { url, audience, scopes: ['orders:read'], caBundle: tls.ca } })
  return {
    name: 'the reference server of webhooks',
    async own() {
      const key = await scenario.active(await scenario.task({ name: 'own-key', credential: credentialOf(provider, 'orders:read') }))
      if (server.scopesOf(key)?.join() !== 'orders:read') throw new Error('its key does not work')
      return shown
    },
    async takes(token) {
      if (!isHeader(token)) return false
      const body = { handle: `tb${'a'.repeat(36)}`, task: {}, prefix: 'tb' }
      const answers = await Promise.all(['issue', 'revoke', 'list'].map((call) => asker.request('POST', `/v1/${call}`, body, { token })))
      return answers.some(({ status }) => status !== 401)
    },
  }
}
