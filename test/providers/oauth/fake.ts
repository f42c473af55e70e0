// A strict authorization server for tests: it takes `private_key_jwt` only as RFC 7523bis has it, each assertion once, and gives no scope or
// audience that its client may not have. Tests may put other answers in the place of its own.

import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import { createClientAssertions } from '../../../src/issuer/client-assertions.ts'
import { generateKeyDocument } from '../../../src/issuer/key-document.ts'
import { createKeyring, type Keyring } from '../../../src/issuer/keyring.ts'
import { createLogins, loginIdentity } from '../../../src/issuer/logins.ts'
import { at } from '../../../src/lib/instant.ts'
import type { Profile } from '../../../src/ports/signer.ts'
import { entropy, identity } from '../../issuer/world.ts'
import { type Answer, startStandIn } from '../../support/stand-in.ts'

export type Json = Record<string, unknown>
export interface Request {
  readonly path: string
  readonly form: Readonly<Record<string, string>>
}
export interface Token {
  readonly scope: string
  readonly aud: string | undefined
  /** milliseconds */
  readonly exp: number
  readonly sub: string
  revoked: boolean
}

export interface Trusted {
  readonly client: JSONWebKeySet
  readonly login: JSONWebKeySet
  readonly loginIssuer: string
}

export const clientId = 'taskbound'
const clock = { now: () => at(Date.now()) }
export async function keyringOf(profile: Profile): Promise<Keyring> {
  const keyring = await createKeyring(await generateKeyDocument(clock.now(), 'ES256', [profile]))
  if (!keyring.ok) throw new Error(keyring.failure)
  return keyring.value
}
export const clientKeyring = await keyringOf('ClientAssertion')
const loginKeyring = await keyringOf('Login')
export const assertions = createClientAssertions({ signer: clientKeyring, clock, entropy })
export const logins = createLogins({ signer: loginKeyring, identity, clock, entropy })

const error = (status: number, code: string): Answer => ({ status, body: { error: code, error_description: 'in words of its own' } })

const read = (incoming: IncomingMessage, text: string): Request => ({
  path: incoming.url ?? '',
  form: Object.fromEntries(new URLSearchParams(text)),
})

export async function startFake() {
  const server = await startStandIn(read, act)
  const tokens = new Map<string, Token>()
  const seen = new Set<string>()
  const fake = Object.assign(server, {
    tokens,
    /** seconds */
    life: 300,
    scopes: ['payroll:read', 'payroll:write'] as readonly string[],
    /** changes of its metadata */
    metadata: {} as Json,
    passed: 0,
    /** milliseconds since the epoch, where its clock is to be another one */
    clock: undefined as (() => number) | undefined,
    /** whose assertions and logins it takes */
    trusted: { client: clientKeyring.jwks(), login: loginKeyring.jwks(), loginIssuer: loginIdentity(identity).url } as Trusted,
    issuer: `https://localhost:${server.port}`,
    now: (): number => (fake.clock?.() ?? Date.now()) + fake.passed,
    living: (): readonly string[] => [...tokens.keys()].filter((token) => fake.alive(token)),
    alive: (token: string): boolean => {
      const known = tokens.get(token)
      return known !== undefined && !known.revoked && known.exp > fake.now()
    },
  })

  /** RFC 7523, as rfc7523bis tightens it. */
  async function authenticate({ form }: Request): Promise<boolean> {
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
    if (form['client_assertion_type'] !== type || form['client_id'] !== clientId) return false
    try {
      const { payload } = await jwtVerify(form['client_assertion'] ?? '', createLocalJWKSet(fake.trusted.client), {
        issuer: clientId,
        subject: clientId,
        typ: 'client-authentication+jwt',
        requiredClaims: ['exp', 'jti', 'aud'],
      })
      if (payload.aud !== fake.issuer || seen.has(payload.jti ?? '')) return false
      seen.add(payload.jti ?? '')
      return true
    } catch {
      return false
    }
  }

  async function subjectOf(form: Request['form']): Promise<JWTPayload | undefined> {
    if (form['grant_type'] === 'client_credentials') return { sub: clientId }
    if (form['subject_token_type'] !== 'urn:ietf:params:oauth:token-type:jwt') return undefined
    const rules = { issuer: fake.trusted.loginIssuer, audience: fake.issuer, requiredClaims: ['taskbound'] }
    const verified = await jwtVerify(form['subject_token'] ?? '', createLocalJWKSet(fake.trusted.login), rules).catch(() => undefined)
    return verified?.payload
  }

  async function give({ form }: Request): Promise<Answer> {
    const exchange = form['grant_type'] === 'urn:ietf:params:oauth:grant-type:token-exchange'
    if (!exchange && form['grant_type'] !== 'client_credentials') return error(400, 'unsupported_grant_type')
    const subject = await subjectOf(form)
    if (subject === undefined) return error(400, 'invalid_grant')
    const asked = (form['scope'] ?? '').split(' ')
    if (!asked.every((scope) => fake.scopes.includes(scope))) return error(400, 'invalid_scope')
    const access = randomBytes(24).toString('base64url')
    const scope = asked.join(' ')
    const token = {
      scope,
      aud: form['audience'] ?? form['resource'],
      exp: fake.now() + fake.life * 1000,
      sub: subject.sub ?? '',
      revoked: false,
    }
    tokens.set(access, token)
    const issued = exchange ? { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' } : {}
    return { status: 200, body: { access_token: access, token_type: 'Bearer', expires_in: fake.life, scope, ...issued } }
  }

  function introspect({ form }: Request): Answer {
    const token = tokens.get(form['token'] ?? '')
    if (token === undefined || !fake.alive(form['token'] ?? '')) return { status: 200, body: { active: false } }
    const { scope, aud, exp, sub } = token
    return { status: 200, body: { active: true, scope, aud, exp: Math.floor(exp / 1000), sub, client_id: clientId, iss: fake.issuer } }
  }

  async function act(request: Request): Promise<Answer> {
    if (request.path === '/.well-known/oauth-authorization-server') {
      const at = (path: string): string => `${fake.issuer}${path}`
      const endpoints = { token_endpoint: at('/token'), revocation_endpoint: at('/revoke'), introspection_endpoint: at('/introspect') }
      const able = { token_endpoint_auth_methods_supported: ['private_key_jwt'] }
      return { status: 200, body: { issuer: fake.issuer, ...endpoints, ...able, ...fake.metadata } }
    }
    if (!['/token', '/revoke', '/introspect'].includes(request.path)) return { status: 404, body: 'nothing here' }
    if (!(await authenticate(request))) return error(401, 'invalid_client')
    if (request.path === '/token') return give(request)
    if (request.path === '/introspect') return introspect(request)
    const token = tokens.get(request.form['token'] ?? '')
    if (token !== undefined) token.revoked = true
    return { status: 200 }
  }

  return fake
}

/** What an assertion in a request says, whoever signed it. */
export const saidBy = ({ form }: Request): JWTPayload => decodeJwt(form['client_assertion'] ?? '')

export type Fake = Awaited<ReturnType<typeof startFake>>
