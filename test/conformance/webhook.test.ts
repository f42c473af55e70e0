// `npm run conformance`: what every provider must do, and the rules of the contract, asked of anybody's service for a provider of type
// `webhook`. The service must trust the issuer of logins that this serves; docs/how-to/webhook.md tells how it is called.

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll } from '@jest/globals'
import { oidcRoutes } from '../../src/http/oidc/routes.ts'
import { createHttpServer, type HttpServer } from '../../src/http/server.ts'
import { generateKeyDocument } from '../../src/issuer/key-document.ts'
import { createKeyring } from '../../src/issuer/keyring.ts'
import { createLogins, loginIdentity } from '../../src/issuer/logins.ts'
import type { Issued } from '../../src/ports/provider.ts'
import type { WebhookParams } from '../../src/providers/webhook/params.ts'
import { describeProvider } from '../contract/provider.ts'
import { entropy } from '../issuer/world.ts'
import { describeRules } from '../providers/webhook/rules.ts'
import { callWith, clock, makeWorld, now, type World } from '../providers/webhook/world.ts'

/** `TASKBOUND_WEBHOOK_<name>` */
function setting(name: string, otherwise?: string): string {
  const value = process.env[`TASKBOUND_WEBHOOK_${name}`] ?? otherwise
  if (value === undefined) throw new Error(`TASKBOUND_WEBHOOK_${name} is not set; docs/how-to/webhook.md says what it is`)
  return value
}

const ca = setting('CA', '')
const params: WebhookParams = {
  url: setting('URL').replace(/\/+$/, ''),
  audience: setting('AUDIENCE'),
  scopes: setting('SCOPES').split(','),
  allowedAddresses: setting('ALLOWED_ADDRESSES', '127.0.0.0/8,::1').split(','),
  revocationBoundSeconds: 5,
  maxTTLSeconds: 3600,
  ...(ca === '' ? {} : { caBundle: readFileSync(ca, 'utf8') }),
}
const identity = { url: setting('ISSUER', 'http://127.0.0.1:8089'), trustDomain: 'conformance.example' }

const keyring = await createKeyring(await generateKeyDocument(now(), 'ES256', ['Login']))
if (!keyring.ok) throw new Error(keyring.failure)
const logins = createLogins({ signer: keyring.value, identity, clock, entropy })
const unavailable = async () => 'unavailable' as const
const routes = oidcRoutes({
  identity,
  keyring: () => keyring.value,
  logins: { identity: loginIdentity(identity), keyring: () => keyring.value },
  statuses: { publish: unavailable, publishHere: unavailable },
})
const silent = { debug() {}, info() {}, warn() {}, error() {} }

let server: HttpServer
const worlds: World[] = []
beforeAll(async () => {
  const { hostname, port } = new URL(identity.url)
  server = createHttpServer({ name: 'issuer', host: hostname, port: Number(port || 80), routes, log: silent })
  await server.start()
  console.log(`logins are of the issuer ${loginIdentity(identity).url}; the service must trust it`)
})
afterAll(async () => {
  await Promise.all(worlds.map((world) => world.close()))
  await server?.stop()
})

function world(): World {
  const made = makeWorld(params, logins, async () => undefined)
  worlds.push(made)
  return made
}

describeProvider(`webhook at ${params.url}`, async () => {
  const one = world()
  const handles = new Map<Issued, string>()
  const remember =
    (call: 'issue' | 'renew') =>
    async (...args: Parameters<typeof one.provider.issue>) => {
      const made = await one.provider[call](...args)
      if (made.ok) handles.set(made.value, args[2].lease?.handle ?? '')
      return made
    }
  let broken = ''
  return {
    provider: { ...one.provider, issue: remember('issue'), renew: remember('renew') },
    get params() {
      return broken === '' ? params : { ...params, url: `${params.url}/${broken}` }
    },
    order: one.order,
    lease: one.lease,
    // what its keys open is not known here: the service is asked
    async accepts(issued) {
      const login = await logins.operator(params.audience)
      if (!login.ok) throw new Error(login.failure)
      const token = new TextDecoder().decode(login.value.reveal())
      return (await callWith(params, 'inspect', token, { handle: handles.get(issued) })).body['state'] === 'Live'
    },
    breakSource(canary) {
      broken = canary
    },
  }
})

describeRules(`at ${params.url}`, async () => ({
  ...world(),
  logins,
  call: (name, login, body) => callWith(params, name, login, body),
}))
