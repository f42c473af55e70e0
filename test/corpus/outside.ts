// Every kind of provider with nothing outside: what it would send is kept and answered with what a source says that has no objections. A
// new type needs an entry in `sources`; the test that walks them says so.

import type { KubeClient, RequestOptions } from '../../src/kube/client.ts'
import { at, milliseconds, plus, seconds } from '../../src/lib/instant.ts'
import { Material } from '../../src/lib/material.ts'
import { ok } from '../../src/lib/result.ts'
import type { Http, HttpCall } from '../../src/outbound/http.ts'
import type { Logins } from '../../src/ports/login.ts'
import type { Lease, Order, Provider } from '../../src/ports/provider.ts'
import { createAwsProvider } from '../../src/providers/aws/provider.ts'
import { createStsWire } from '../../src/providers/aws/wire.ts'
import { createMemoryKeeper } from '../../src/providers/oauth/kept.ts'
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

/** JSON, or text as it is. */
type Answers = (call: HttpCall) => object | string

function httpOf(answers: Answers): { readonly http: Http; readonly sent: Sent } {
  const calls: HttpCall[] = []
  return {
    sent: { calls, statements: [] },
    http: {
      async call(call) {
        calls.push(call)
        const body = answers(call)
        return ok({ status: 200, headers: {}, body: typeof body === 'string' ? body : JSON.stringify(body) })
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
const vaultAnswers: Answers = ({ url }) => {
  if (url.endsWith('/login'))
    return {
      auth: {
        client_token: 'hvs.t',
        accessor: 'acc',
        lease_duration: 60,
        renewable: true,
        token_type: 'service',
        metadata: { taskbound_handle: lease.handle },
      },
    }
  if (url.includes('/auth/token/')) return { auth: { lease_duration: 600 } }
  return { lease_id: `${new URL(url).pathname.slice('/v1/'.length)}/x`, lease_duration: 600, data: { username: 'u' } }
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
  make(): Source
}

export const sources: Readonly<Record<string, Kind>> = {
  aws: {
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
    make() {
      const { http, sent } = httpOf(session)
      return { provider: createAwsProvider({ wire: createStsWire(http), clock: quickClock(), logins, prefix }) as Provider<unknown>, sent }
    },
  },
  oauth: {
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
    make() {
      const { http, sent } = httpOf(authorizationServer())
      const provider = createOauthProvider({
        wire: createOauthWire(http),
        clock: quickClock(),
        entropy,
        logins,
        assertions: { of: login },
        keeper: createMemoryKeeper(),
        prefix,
      })
      return { provider: provider as Provider<unknown>, sent }
    },
  },
  postgres: {
    asks: ({ groups }) => ({ scopes: texts(first(groups)) }),
    bases: nowhere,
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
    make() {
      const calls: HttpCall[] = []
      const tokens = createAnchoredTokens(tokenServer(calls))
      const provider = createServiceAccountTokenProvider({ tokens, clock: quickClock(), prefix, namespace: 'taskbound-system' })
      return { provider: provider as Provider<unknown>, sent: { calls, statements: [] } }
    },
  },
  vault: {
    asks: ({ paths }) => ({ scopes: texts((first(paths) as Block | undefined)?.['path']) }),
    bases: ({ address }) => [address],
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
    make() {
      const { http, sent } = httpOf(vaultAnswers)
      return {
        provider: createVaultProvider({ wire: createVaultWire(http), clock: quickClock(), logins, prefix }) as Provider<unknown>,
        sent,
      }
    },
  },
  webhook: {
    asks: ({ scopes }) => ({ scopes: texts(first(scopes)) }),
    bases: ({ url }) => [url],
    params: {
      url: 'https://keys.example/api',
      audience: 'https://keys.example',
      scopes: ['read'],
      revocationBoundSeconds: 5,
      maxTTLSeconds: 3600,
    },
    make() {
      const { http, sent } = httpOf(webhookAnswers)
      return {
        provider: createWebhookProvider({ wire: createWebhookWire(http), clock: quickClock(), logins, prefix }) as Provider<unknown>,
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

/** All that is ever asked of a provider, one after the other. What it refuses is refused; what it throws is thrown. */
export async function live({ provider }: Source, params: unknown, order: Order): Promise<boolean> {
  let reference: string | undefined
  const record = async (noted: string) => {
    reference = noted
    return ok(undefined)
  }
  const row = () => ({ ...lease, namespace: 'finance', ...(reference === undefined ? {} : { reference }) })
  const request = { name: order.credential, audience: order.audience, scopes: order.scopes, ttl: seconds(600) }
  provider.promises(params)
  await provider.ready(params)
  provider.check(params, request)
  const issued = await provider.issue(params, order, { lease, record })
  await provider.renew(params, order, { lease: row(), record })
  await provider.revoke(params, { lease: row() })
  await provider.outside?.clean(params, { ...row(), effectBy: at(0) })
  await provider.outside?.list(params, prefix)
  return issued.ok
}
