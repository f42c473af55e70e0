// A provider at a GitHub, with the rows that it relies on.

import { plus, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { ok, type Result } from '../../../src/lib/result.ts'
import { createHttp, type Http } from '../../../src/outbound/http.ts'
import type { Failure, Issued, Lease, Order, Provider, Unrevoked } from '../../../src/ports/provider.ts'
import type { ReadKey } from '../../../src/providers/github-app/app.ts'
import type { GithubAppParams } from '../../../src/providers/github-app/params.ts'
import { createGithubAppProvider } from '../../../src/providers/github-app/provider.ts'
import { createGithubWire } from '../../../src/providers/github-app/wire.ts'
import { makeOrder, text } from '../../issuer/world.ts'
import { createRows, type Rows, value } from '../rows.ts'
import { app, type Fake, pem } from './fake.ts'

export const fakeParams = ({ port, caBundle }: Pick<Fake, 'port' | 'caBundle'>): GithubAppParams => ({
  apiUrl: `https://localhost:${port}`,
  caBundle,
  account: app.account,
  clientId: app.clientId,
  installationId: app.installationId,
  privateKeySecretRef: { name: 'github-app' },
  repositories: ['ledger', 'reports'],
  permissions: { contents: 'write', issues: 'read' },
  maxTTLSeconds: 3600,
  allowedAddresses: ['127.0.0.0/8', '::1'],
})
export const ask = { repositories: ['ledger'], permissions: { contents: 'read' } } as const

export interface World extends Rows {
  readonly provider: Provider<GithubAppParams>
  readonly params: GithubAppParams
  readonly http: Http
  readonly secret: { value: string; origin: string | undefined }
  order(change?: Partial<Order>): Order
  issue(change?: Partial<Order>): Promise<Task>
}

export interface Task {
  readonly lease: Lease
  readonly issued: Issued
  readonly token: string
  renew(change?: Partial<Order>): Promise<Result<Issued, Failure>>
  revoke(params?: GithubAppParams): Promise<Result<undefined, Unrevoked>>
}

export function makeWorld(params: GithubAppParams): World {
  const rows = createRows()
  const { clock, prefix } = rows
  const http = createHttp()
  const secret: World['secret'] = { value: pem, origin: new URL(params.apiUrl).host }
  const readKey: ReadKey = async () => ok({ value: new Material(secret.value), origin: secret.origin })
  const provider = createGithubAppProvider({ wire: createGithubWire(http), clock, readKey, prefix })
  const world: World = Object.assign(rows, {
    http,
    params,
    secret,
    provider: rows.under(provider),
    order(change?: Partial<Order>) {
      const issuedAt = clock.now()
      return makeOrder({ audience: undefined, scopes: [], github: ask, issuedAt, expiresAt: plus(issuedAt, seconds(600)), ...change })
    },
    async issue(change?: Partial<Order>): Promise<Task> {
      const lease = world.lease()
      const issued = value(await world.provider.issue(params, world.order(change), { lease }))
      return {
        lease,
        issued,
        token: issued.fields['token'] === undefined ? '' : text(issued.fields['token']),
        renew: (next) => world.provider.renew(params, world.order({ ...change, ...next }), { lease }),
        revoke: (theirs = params) => world.provider.revoke(theirs, { lease }),
      }
    },
  })
  return world
}
