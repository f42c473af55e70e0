// Every kind of provider with nothing outside: what it would send is kept and answered with what a source says that has no objections. A
// new type needs an entry in `sources`; the test that walks them says so.

import { generateKeyPairSync } from 'node:crypto'
import type { KubeClient, RequestOptions } from '../../src/kube/client.ts'
import { at, milliseconds, plus, seconds } from '../../src/lib/instant.ts'
import { Material } from '../../src/lib/material.ts'
import { ok, type Result } from '../../src/lib/result.ts'
import type { Http, HttpAnswer, HttpCall, HttpFailure } from '../../src/outbound/http.ts'
import type { Logins } from '../../src/ports/login.ts'
import type { Failure, Issued, Lease, Order, Provider } from '../../src/ports/provider.ts'
import { createAwsProvider } from '../../src/providers/aws/provider.ts'
import { createStsWire } from '../../src/providers/aws/wire.ts'
import { createGithubAppProvider } from '../../src/providers/github-app/provider.ts'
import { createGithubWire } from '../../src/providers/github-app/wire.ts'
import { createOauthProvider } from '../../src/providers/oauth/provider.ts'
import { createOauthWire } from '../../src/providers/oauth/wire.ts'
import { createPostgresProvider } from '../../src/providers/postgres/provider.ts'
import type { Wire as SqlWire } from '../../src/providers/postgres/wire.ts'
import { createServiceAccountTokenProvider } from '../../src/providers/service-account-token/provider.ts'
import { createVaultProvider } from '../../src/providers/vault/provider.ts'
import { createWire as createVaultWire } from '../../src/providers/vault/wire.ts'
import { createWebhookProvider } from '../../src/providers/webhook/provider.ts'
import { createWebhookWire } from '../../src/providers/webhook/wire.ts'
import { createAnchoredTokens } from '../../src/runtime/anchored.ts'
import { entropy, makeOrder, start } from '../issuer/world.ts'

const noKey = async (): Promise<{ readonly ok: false; readonly failure: string }> => ({ ok: false, failure: 'no such Secret' })

export interface Sent {
  readonly calls: HttpCall[]
  readonly statements: string[]
}

export interface Source {
  readonly provider: Provider<unknown>
  readonly sent: Sent
}

const prefix = 'tbabcdefghij'
export const lease: Lease = { handle: `${prefix}${'k'.repeat(26)}`, effectBy: plus(start, seconds(30)) }
/** Each look at it is a tenth of a second after the last: nothing here waits for time to pass. */
function quickClock() {
  let passed = 0
  return {
    now: () => start,
    monotonic: () => {
      passed += 100
      return milliseconds(passed)
    },
  }
}
const login = async () => ok(new Material('the-login-of-one-call'))
const logins: Logins = { task: login, operator: login }

/** What goes with a status other than 200, whatever kind of source it is. */
export const refusal = '{"errors":["invalid accessor"],"message":"Bad credentials"}'
/** JSON, or text as it is; a status, where it is not 200. */
type Answers = (call: HttpCall) => object | string | number
/** What a source answers instead; `undefined` for the truth. */
export type Lie = (call: HttpCall, truth: string) => Result<HttpAnswer, HttpFailure> | undefined
const truthful: Lie = () => undefined
/** Instead of 200 and the truth: another body. */
const saying =
  (when: (call: HttpCall) => boolean, change: (truth: string) => string): Lie =>
  (call, truth) =>
    when(call) ? ok({ status: 200, headers: {}, body: change(truth) }) : undefined
const changed =
  (change: (body: Block) => object) =>
  (truth: string): string =>
    JSON.stringify(change(JSON.parse(truth) as Block))
const to =
  (end: string) =>
  ({ url }: HttpCall): boolean =>
    url.endsWith(end)

function httpOf(answers: Answers, lie: Lie): { readonly http: Http; readonly sent: Sent } {
  const calls: HttpCall[] = []
  return {
    sent: { calls, statements: [] },
    http: {
      async call(call) {
        calls.push(call)
        const body = answers(call)
        const truth = typeof body === 'string' ? body : JSON.stringify(body)
        const status = typeof body === 'number' ? body : 200
        return lie(call, truth) ?? ok({ status, headers: {}, body: status === 200 ? truth : refusal })
      },
      close: () => undefined,
    },
  }
}

const later = plus(start, seconds(600))
const webhookAnswers: Answers = ({ url }) => {
  const call = url.split('/').at(-1)
  if (call === 'ready') return { contract: 'v1' }
  if (call === 'inspect') return { state: 'Revoked' }
  return { fields: { key: 'k' }, expiresAt: new Date(later).toISOString() }
}
function vaultServer(): Answers {
  let dead = false
  return ({ url, body = '{}' }) => {
    if (url.endsWith('/login')) {
      const metadata = (JSON.parse(body) as Block)['role'] === 'operator' ? {} : { taskbound_handle: lease.handle }
      const auth = { client_token: 'hvs.t', accessor: 'acc', lease_duration: 60, renewable: true, token_type: 'service', metadata }
      return { auth }
    }
    if (url.endsWith('/revoke-accessor')) dead = true
    if (url.endsWith('/lookup-accessor') || url.endsWith('/sys/leases/lookup'))
      return dead ? 403 : { data: { accessor: 'acc', meta: { taskbound_handle: lease.handle } } }
    if (url.includes('/auth/token/')) return { auth: { lease_duration: 600, client_token: 'hvs.t', accessor: 'acc', renewable: true } }
    return { lease_id: `${new URL(url).pathname.slice('/v1/'.length)}/x`, lease_duration: 600, renewable: true, data: { username: 'u' } }
  }
}

const session = (call: HttpCall): string => {
  const form = new URLSearchParams(call.body)
  if (form.get('Action') !== 'AssumeRoleWithWebIdentity') return '<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>'
  return `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/payroll/${lease.handle}</Arn><AssumedRoleId>A:${lease.handle}</AssumedRoleId></AssumedRoleUser>
    <Credentials><AccessKeyId>ASIAAAAAAAAAAAAAAAAA</AccessKeyId><SecretAccessKey>${'s'.repeat(40)}</SecretAccessKey><SessionToken>${'t'.repeat(40)}</SessionToken>
    <Expiration>${new Date(plus(start, seconds(900))).toISOString()}</Expiration></Credentials>
  </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`
}

/** Ends what it was asked to end: of a token it says that it is active until then. */
function authorizationServer(): Answers {
  const dead = new Set<string | null>()
  return ({ url, body }) => {
    const form = new URLSearchParams(body)
    const token = form.get('token')
    if (url.endsWith('/revoke')) dead.add(token)
    if (url.endsWith('/introspect')) return { active: token === 'an-access-token' && !dead.has(token) }
    return { access_token: 'an-access-token', token_type: 'Bearer', expires_in: 300 }
  }
}

/** What an API server answers who makes an anchor, a token and a review of it. */
function tokenServer(asked: HttpCall[]): Pick<KubeClient, 'request'> {
  return {
    async request<T>({ method = 'GET', path, body }: RequestOptions) {
      asked.push({ method, url: `https://api.example${path}`, body: JSON.stringify(body ?? {}), limit: 0 } as HttpCall)
      const { spec = {} } = (body ?? {}) as { spec?: { audiences?: readonly string[]; expirationSeconds?: number } }
      const [, , , , namespace, , account] = path.split('/')
      const claims = {
        aud: spec.audiences,
        sub: `system:serviceaccount:${namespace}:${account}`,
        iat: 0,
        exp: spec.expirationSeconds,
        'kubernetes.io': {
          namespace,
          serviceaccount: { name: account },
          secret: { name: `taskbound-${lease.handle}.anchor`, uid: 'anchor' },
        },
      }
      const token = `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`
      return ok({ status: 200, body: { metadata: { uid: 'anchor' }, status: { token, authenticated: false } } as T }) as never
    },
  }
}

/** A provider of each type, and a block that it takes; every call of one is to be of the same shape whatever the texts are. */
type Block = Readonly<Record<string, unknown>>
const first = (list: unknown): unknown => (Array.isArray(list) ? list[0] : undefined)
const texts = (...values: readonly unknown[]): readonly string[] => values.map(String)
const nowhere = (): readonly unknown[] => []

export interface Kind {
  readonly params: Block
  /** what a task asks for at such a block */
  asks(params: Block): Partial<Order>
  /** the URLs of the block below which it asks */
  bases(params: Block): readonly unknown[]
  /** what it could pretend; a sentence where there is nothing of the kind that it could say */
  readonly lies: Readonly<Record<(typeof pretences)[number], Lie | string>>
  make(lie?: Lie): Source
  /** of a source that is asked over HTTPS */
  readonly answers?: () => Answers
}

export const pretences = ['a broader scope', 'a longer life', 'what is of somebody else', 'a success that did nothing'] as const

/** Knows one installation, and a token until it is ended. */
function github(): Answers {
  let dead = false
  return ({ url, method }) => {
    if (url.endsWith('/access_tokens'))
      return {
        token: 'ghs_aaaaaaaaaaaaaaaaaaaa',
        expires_at: new Date(plus(start, seconds(3600))).toISOString().replace('.000', ''),
        permissions: { contents: 'read', metadata: 'read' },
        repository_selection: 'selected',
        repositories: [{ name: 'ledger', full_name: 'corp/ledger', owner: { login: 'corp' } }],
      }
    if (method === 'DELETE') dead = true
    if (url.includes('installation/repositories')) return dead ? 401 : {}
    return { id: 7, account: { login: 'corp' }, permissions: { contents: 'read' }, suspended_at: null }
  }
}
export const privateKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

export const sources: Readonly<Record<string, Kind>> = {
  aws: {
    answers: () => session,
    params: {
      roleArn: 'arn:aws:iam::123456789012:role/payroll',
      region: 'eu-central-1',
      endpoint: 'https://sts.example',
      audience: 'sts.amazonaws.com',
      sessions: [{ name: 'read', policy: '{"Statement":[]}', policyArns: ['arn:aws:iam::123456789012:policy/read'] }],
      maxTTLSeconds: 3600,
    },
    asks: ({ sessions }) => ({
      scopes: texts((first(sessions) as Block | undefined)?.['name']),
      expiresAt: plus(start, seconds(3600)),
    }),
    bases: ({ endpoint }) => [endpoint],
    lies: {
      'a broader scope': 'STS does not say what a session may do',
      'a longer life': saying(to('/'), (truth) =>
        truth.replace(/<Expiration>[^<]*/, `<Expiration>${new Date(plus(start, seconds(90_000))).toISOString()}`),
      ),
      'what is of somebody else': saying(to('/'), (truth) => truth.replaceAll(lease.handle, `${prefix}${'z'.repeat(26)}`)),
      'a success that did nothing': 'nothing is asked for to end a session: its time is waited for',
    },
    make(lie = truthful) {
      const { http, sent } = httpOf(session, lie)
      return { provider: createAwsProvider({ wire: createStsWire(http), clock: quickClock(), logins, prefix }) as Provider<unknown>, sent }
    },
  },
  githubApp: {
    answers: github,
    params: {
      apiUrl: 'https://api.github.example',
      clientId: 'Iv1.aaaa',
      installationId: 7,
      account: 'corp',
      repositories: ['ledger'],
      permissions: { contents: 'read' },
      privateKeySecretRef: { name: 'app-key' },
      maxTTLSeconds: 3600,
    },
    asks: ({ repositories, permissions }) =>
      ({
        scopes: [],
        github: { repositories: texts(first(repositories)), permissions: permissions as Record<string, string> },
      }) as Partial<Order>,
    bases: ({ apiUrl }) => [apiUrl],
    lies: {
      'a broader scope': saying(
        to('/access_tokens'),
        changed((body) => ({ ...body, permissions: { contents: 'write' } })),
      ),
      'a longer life': saying(
        to('/access_tokens'),
        changed((body) => ({ ...body, expires_at: '2030-01-01T00:00:00Z' })),
      ),
      'what is of somebody else': saying(
        to('/access_tokens'),
        changed((body) => ({ ...body, repositories: [{ name: 'ledger', full_name: 'other/ledger', owner: { login: 'other' } }] })),
      ),
      'a success that did nothing': saying(
        ({ url }) => url.includes('installation/repositories'),
        () => '{}',
      ),
    },
    make(lie = truthful) {
      const { http, sent } = httpOf(github(), lie)
      const provider = createGithubAppProvider({
        wire: createGithubWire(http),
        clock: quickClock(),
        readKey: async () => ok({ value: new Material(privateKey), origin: 'api.github.example:443' }),
        prefix,
      })
      return { provider: provider as Provider<unknown>, sent }
    },
  },
  oauth: {
    answers: authorizationServer,
    params: {
      issuer: 'https://login.example/realm',
      tokenEndpoint: 'https://login.example/realm/token',
      revocationEndpoint: 'https://login.example/realm/revoke',
      introspectionEndpoint: 'https://login.example/realm/introspect',
      clientId: 'taskbound',
      grant: 'ClientCredentials',
      revocation: 'Checked',
      scopes: ['read'],
      audiences: ['https://payroll.example'],
      maxTTLSeconds: 300,
    },
    asks: ({ scopes, audiences }) => ({ scopes: texts(first(scopes)), audience: String(first(audiences)) }),
    bases: ({ issuer, tokenEndpoint, revocationEndpoint, introspectionEndpoint }) => [
      tokenEndpoint,
      revocationEndpoint,
      introspectionEndpoint,
      issuer,
    ],
    lies: {
      'a broader scope': saying(
        to('/token'),
        changed((body) => ({ ...body, scope: 'read admin' })),
      ),
      'a longer life': saying(
        to('/token'),
        changed((body) => ({ ...body, expires_in: 90_000 })),
      ),
      'what is of somebody else': saying(
        to('/introspect'),
        changed((body) => ({ ...body, aud: ['https://other.example'] })),
      ),
      'a success that did nothing': saying(to('/introspect'), () => '{"active":true}'),
    },
    make(lie = truthful) {
      const { http, sent } = httpOf(authorizationServer(), lie)
      const provider = createOauthProvider({
        wire: createOauthWire(http),
        clock: quickClock(),
        entropy,
        logins,
        assertions: { of: login },
        prefix,
      })
      return { provider: provider as Provider<unknown>, sent }
    },
  },
  postgres: {
    asks: ({ groups }) => ({ scopes: texts(first(groups)) }),
    bases: nowhere,
    lies: {
      'a broader scope': 'this side grants the groups',
      'a longer life': 'this side sets the expiry, and the server cannot answer with another',
      'what is of somebody else': 'the role is made under the handle, or the statement fails',
      'a success that did nothing': 'test/providers/postgres/revoke.test.ts: each server is asked until nobody is in',
    },
    params: {
      host: 'db.example',
      port: 5432,
      databases: ['app'],
      groups: ['app_read'],
      loginSecretRef: { name: 'login' },
      maxTTLSeconds: 3600,
    },
    make() {
      const statements: string[] = []
      const wire: SqlWire = {
        async query(_place, sql) {
          statements.push(typeof sql === 'string' ? sql : sql.text)
          // nothing is wrong with a group, and nobody is in
          return ok(typeof sql !== 'string' && sql.name === 'group-faults' ? [] : [universal])
        },
        async session(_place, _limit, work) {
          return ok(
            await work(async (sql) => {
              statements.push(typeof sql === 'string' ? sql : sql.text)
              return []
            }),
          )
        },
        close: async () => undefined,
      }
      const provider = createPostgresProvider({
        wire,
        clock: quickClock(),
        entropy,
        readLogin: async () => ok({ username: 'taskbound', password: new Material('pw'), origin: 'db.example:5432' }),
        password: () => new Material('password'),
        prefix,
      })
      return { provider: provider as Provider<unknown>, sent: { calls: [], statements } }
    },
  },
  serviceAccountToken: {
    params: { audiences: ['https://payroll.example'], maxTTLSeconds: 3600, verification: 'TokenReview' },
    asks: ({ audiences }) => ({ audience: String(first(audiences)), scopes: [] }),
    bases: () => ['https://api.example'],
    lies: {
      'a broader scope': 'the API server is trusted, and its tokens have no scopes',
      'a longer life': 'test/providers/service-account-token/provider.test.ts: claims of the token',
      'what is of somebody else': 'test/providers/service-account-token/provider.test.ts: claims of the token',
      'a success that did nothing': 'the API server is trusted with its own Secrets',
    },
    make() {
      const calls: HttpCall[] = []
      const tokens = createAnchoredTokens(tokenServer(calls))
      const provider = createServiceAccountTokenProvider({ tokens, clock: quickClock(), prefix, namespace: 'taskbound-system' })
      return { provider: provider as Provider<unknown>, sent: { calls, statements: [] } }
    },
  },
  vault: {
    answers: vaultServer,
    asks: ({ paths }) => ({ scopes: texts((first(paths) as Block | undefined)?.['path']) }),
    bases: ({ address }) => [address],
    lies: {
      'a broader scope': 'a Vault does not say what a lease may do',
      'a longer life': saying(
        to('/login'),
        changed((body) => ({ auth: { ...(body['auth'] as Block), lease_duration: 90_000 } })),
      ),
      'what is of somebody else': saying(
        to('/creds/read'),
        changed((body) => ({ ...body, lease_id: 'database/creds/admin/x' })),
      ),
      'a success that did nothing': saying(to('/lookup-accessor'), () =>
        JSON.stringify({ data: { accessor: 'acc', meta: { taskbound_handle: lease.handle } } }),
      ),
    },
    params: {
      address: 'https://vault.example:8200',
      authMount: 'jwt',
      vaultNamespace: 'teams/finance',
      role: 'tasks',
      operatorRole: 'operator',
      audience: 'https://vault.example',
      paths: [{ path: 'database/creds/read', kind: 'Lease' }],
      maxTTLSeconds: 3600,
    },
    make(lie = truthful) {
      const { http, sent } = httpOf(vaultServer(), lie)
      return {
        provider: createVaultProvider({ wire: createVaultWire(http), clock: quickClock(), logins, prefix }) as Provider<unknown>,
        sent,
      }
    },
  },
  webhook: {
    answers: () => webhookAnswers,
    asks: ({ scopes }) => ({ scopes: texts(first(scopes)) }),
    bases: ({ url }) => [url],
    lies: {
      'a broader scope': 'the contract has no scopes in an answer: the key is good for what the service says it is',
      'a longer life': saying(
        to('/issue'),
        changed((body) => ({ ...body, expiresAt: new Date(plus(start, seconds(90_000))).toISOString() })),
      ),
      'what is of somebody else': 'the contract has no name in an answer: the handle is that of the call',
      'a success that did nothing': saying(to('/inspect'), () => '{"state":"Live"}'),
    },
    params: {
      url: 'https://keys.example/api',
      audience: 'https://keys.example',
      scopes: ['read'],
      revocationBoundSeconds: 5,
      maxTTLSeconds: 3600,
    },
    make(lie = truthful) {
      const { http, sent } = httpOf(webhookAnswers, lie)
      return {
        provider: createWebhookProvider({
          wire: createWebhookWire(http),
          clock: quickClock(),
          logins,
          readKey: noKey,
          prefix,
        }) as Provider<unknown>,
        sent,
      }
    },
  },
}

/** What any statement wants to hear. */
const universal = {
  version: 180_000,
  closed: true,
  cut: 0,
  arriving: [],
  held: false,
  lsn: '0/1',
  alive: false,
  early: false,
  databases: [],
}

export const orderOf = (change: Partial<Order>): Order =>
  makeOrder({ audience: undefined, issuedAt: start, expiresAt: later, deadline: 1_000_000, ...change })

export interface Lived {
  readonly issued: Result<Issued, Failure>
  readonly renewed: Result<Issued, Failure>
  readonly revoked: Result<undefined, Failure>
}

/**
 * All that is ever asked of a provider, one after the other. What it refuses is refused; what it throws is thrown.
 */
export async function live({ provider }: Source, params: unknown, order: Order): Promise<Lived> {
  let reference: string | undefined
  const record = async (noted: string) => {
    reference = noted
    return ok(undefined)
  }
  const values: Material[] = []
  const keep = async (value: Material) => {
    values.push(value)
    return ok(undefined)
  }
  const kept = async () => ok(values)
  const row = () => ({ ...lease, namespace: 'finance', ...(reference === undefined ? {} : { reference }) })
  const request = { name: order.credential, audience: order.audience, scopes: order.scopes, ttl: seconds(600) }
  provider.promises(params)
  await provider.ready(params)
  provider.check(params, request)
  const issued = await provider.issue(params, order, { lease, record, keep, kept })
  const renewed = await provider.renew(params, order, { lease: row(), record, keep, kept })
  const revoked = await provider.revoke(params, { lease: row(), kept })
  await provider.outside?.clean(params, { ...row(), effectBy: at(0) })
  await provider.outside?.list(params, prefix)
  return { issued, renewed, revoked }
}
