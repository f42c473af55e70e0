// A provider at a Vault, with the rows that it relies on.

import { at, type Instant, plus, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { ok, type Result } from '../../../src/lib/result.ts'
import { createHttp, type Http } from '../../../src/outbound/http.ts'
import type { Logins } from '../../../src/ports/login.ts'
import type { Failure, Issued, Lease, Order, Provider } from '../../../src/ports/provider.ts'
import type { VaultParams } from '../../../src/providers/vault/params.ts'
import { createVaultProvider } from '../../../src/providers/vault/provider.ts'
import { createWire } from '../../../src/providers/vault/wire.ts'
import { makeOrder, text } from '../../issuer/world.ts'
import { createRows, type Rows, value } from '../rows.ts'
import { type Fake, paths } from './fake.ts'

export const now = (): Instant => at(Date.now())

export interface World extends Rows {
  readonly provider: Provider<VaultParams>
  readonly params: VaultParams
  readonly http: Http
  order(change?: Partial<Order>): Order
  issue(change?: Partial<Order>, params?: VaultParams): Promise<Task>
}

export interface Task {
  readonly lease: Lease
  readonly issued: Issued
  readonly order: Order
  readonly fields: Readonly<Record<string, string>>
  renew(change?: Partial<Order>): Promise<Result<Issued, Failure>>
  revoke(params?: VaultParams): Promise<Result<undefined, Failure>>
}

/** Login tokens as the fake reads them. */
export const fakeLogins: Logins = {
  task: async (order, audience, handle) => {
    const [namespace, name] = order.task.split('/')
    return ok(new Material(JSON.stringify({ task: { namespace, name }, agent: order.agent, action: order.action, audience, handle })))
  },
  operator: async (audience) => ok(new Material(JSON.stringify({ audience }))),
}

export const fakeParams = ({ port, caBundle }: Fake): VaultParams => ({
  address: `https://localhost:${port}`,
  caBundle,
  authMount: 'jwt',
  role: 'tasks',
  operatorRole: 'operator',
  audience: 'https://vault.corp.example',
  paths: [
    { path: paths.lease, kind: 'Lease' },
    { path: paths.other, kind: 'Lease' },
  ],
  maxTTLSeconds: 3600,
  allowedAddresses: ['127.0.0.0/8', '::1'],
})

/** @param defaults of every order */
export function makeWorld(params: VaultParams, logins: Logins = fakeLogins, defaults: Partial<Order> = {}): World {
  const rows = createRows()
  const { clock, prefix } = rows
  const http = createHttp()
  const provider = createVaultProvider({ wire: createWire(http), clock, logins, prefix })
  const world: World = Object.assign(rows, {
    http,
    params,
    provider: rows.under(provider),
    order(change?: Partial<Order>) {
      const issuedAt = clock.now()
      const scopes = [params.paths[0]?.path ?? '']
      return makeOrder({ audience: undefined, scopes, issuedAt, expiresAt: plus(issuedAt, seconds(600)), ...defaults, ...change })
    },
    async issue(change?: Partial<Order>, its = params): Promise<Task> {
      const lease = world.lease()
      const order = world.order(change)
      const issued = value(await world.provider.issue(its, order, { lease }))
      return {
        lease,
        issued,
        order,
        fields: Object.fromEntries(Object.entries(issued.fields).map(([name, field]) => [name, text(field)])),
        renew: (next) => world.provider.renew(its, world.order({ ...change, ...next }), { lease }),
        revoke: (theirs = its) => world.provider.revoke(theirs, { lease }),
      }
    },
  })
  return world
}
