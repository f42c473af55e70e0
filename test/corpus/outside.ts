// Every kind of provider with nothing outside: what it would send is kept and answered with what a source says that has no objections. A
// new type needs an entry in `sources`; the test that walks them says so.

import { at, milliseconds, plus, seconds } from '../../src/lib/instant.ts'
import { Material } from '../../src/lib/material.ts'
import { ok } from '../../src/lib/result.ts'
import type { Http, HttpCall } from '../../src/outbound/http.ts'
import type { Logins } from '../../src/ports/login.ts'
import type { Lease, Order, Provider } from '../../src/ports/provider.ts'
import { createPostgresProvider } from '../../src/providers/postgres/provider.ts'
import type { Wire as SqlWire } from '../../src/providers/postgres/wire.ts'
import { createVaultProvider } from '../../src/providers/vault/provider.ts'
import { createWire as createVaultWire } from '../../src/providers/vault/wire.ts'
import { createWebhookProvider } from '../../src/providers/webhook/provider.ts'
import { createWebhookWire } from '../../src/providers/webhook/wire.ts'
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

type Answers = (call: HttpCall) => object

function httpOf(answers: Answers): { readonly http: Http; readonly sent: Sent } {
  const calls: HttpCall[] = []
  return {
    sent: { calls, statements: [] },
    http: {
      async call(call) {
        calls.push(call)
        return ok({ status: 200, headers: {}, body: JSON.stringify(answers(call)) })
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

/** A provider of each type, and a block that it takes; every call of one is to be of the same shape whatever the texts are. */
export const sources: Readonly<Record<string, { readonly params: Readonly<Record<string, unknown>>; make(): Source }>> = {
  postgres: {
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
  vault: {
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
  const record = async () => ok(undefined)
  const request = { name: order.credential, audience: order.audience, scopes: order.scopes, ttl: seconds(600) }
  provider.promises(params)
  await provider.ready(params)
  const refused = provider.check(params, request)
  const issued = await provider.issue(params, order, { lease, record })
  await provider.renew(params, order, { lease, record })
  await provider.revoke(params, { lease })
  await provider.outside?.clean(params, { ...lease, effectBy: at(0) })
  await provider.outside?.list(params, prefix)
  return refused === undefined && issued.ok
}
