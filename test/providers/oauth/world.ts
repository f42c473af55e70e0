// A provider at an authorization server, with the rows that it relies on.

import { plus, seconds } from '../../../src/lib/instant.ts'
import type { Result } from '../../../src/lib/result.ts'
import { createHttp, type Http } from '../../../src/outbound/http.ts'
import type { ClientAssertions, Logins } from '../../../src/ports/login.ts'
import type { Failure, Issued, Lease, Order, Provider, Unrevoked } from '../../../src/ports/provider.ts'
import type { OauthParams } from '../../../src/providers/oauth/params.ts'
import { createOauthProvider } from '../../../src/providers/oauth/provider.ts'
import { createOauthWire } from '../../../src/providers/oauth/wire.ts'
import { entropy, makeOrder, text } from '../../issuer/world.ts'
import { createRows, type Rows } from '../rows.ts'
import { assertions, clientId, type Fake, logins } from './fake.ts'

export interface World extends Rows {
  readonly provider: Provider<OauthParams>
  readonly params: OauthParams
  readonly http: Http
  order(change?: Partial<Order>): Order
  issue(change?: Partial<Order>, params?: OauthParams): Promise<Task>
}

export interface Task {
  readonly lease: Lease
  readonly result: Result<Issued, Failure>
  /** the token, where there is one */
  readonly token: string
  renew(change?: Partial<Order>): Promise<Result<Issued, Failure>>
  revoke(params?: OauthParams): Promise<Result<undefined, Unrevoked>>
}

export const fakeParams = ({ issuer, caBundle }: Fake): OauthParams => ({
  issuer,
  caBundle,
  clientId,
  grant: 'ClientCredentials',
  revocation: 'Checked',
  scopes: ['payroll:read', 'payroll:write'],
  audiences: ['https://payroll.example'],
  resources: ['https://ledger.example/api'],
  maxTTLSeconds: 300,
  allowedAddresses: ['127.0.0.0/8', '::1'],
})

export interface Identity {
  readonly assertions: ClientAssertions
  readonly logins: Pick<Logins, 'task'>
}

/** @param defaults of every order */
export function makeWorld(params: OauthParams, as: Identity = { assertions, logins }, defaults: Partial<Order> = {}): World {
  const rows = createRows()
  const { clock, prefix } = rows
  const http = createHttp()
  const provider = createOauthProvider({ wire: createOauthWire(http), clock, entropy, prefix, ...as })
  const world: World = Object.assign(rows, {
    http,
    params,
    provider: rows.under(provider),
    order(change?: Partial<Order>) {
      const issuedAt = clock.now()
      const audience = params.audiences?.[0] ?? params.resources?.[0]
      const scopes = params.scopes.slice(0, 1)
      return makeOrder({ audience, scopes, issuedAt, expiresAt: plus(issuedAt, seconds(params.maxTTLSeconds)), ...defaults, ...change })
    },
    async issue(change?: Partial<Order>, its = params): Promise<Task> {
      const lease = world.lease()
      const result = await world.provider.issue(its, world.order(change), { lease })
      return {
        lease,
        result,
        token: result.ok && result.value.fields['token'] !== undefined ? text(result.value.fields['token']) : '',
        renew: (next) => world.provider.renew(its, world.order({ ...change, ...next }), { lease }),
        revoke: (theirs = its) => world.provider.revoke(theirs, { lease }),
      }
    },
  })
  return world
}
