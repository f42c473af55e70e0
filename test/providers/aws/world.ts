// A provider at an STS, with the rows that it relies on.

import { plus, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { ok } from '../../../src/lib/result.ts'
import { createHttp, type Http } from '../../../src/outbound/http.ts'
import type { Logins } from '../../../src/ports/login.ts'
import type { Order, Provider } from '../../../src/ports/provider.ts'
import type { AwsParams } from '../../../src/providers/aws/params.ts'
import { createAwsProvider } from '../../../src/providers/aws/provider.ts'
import { createStsWire } from '../../../src/providers/aws/wire.ts'
import { makeOrder } from '../../issuer/world.ts'
import { createRows, type Rows } from '../rows.ts'
import type { Fake } from './fake.ts'

export const policy = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::payroll/*' }],
})
export const params: AwsParams = {
  roleArn: 'arn:aws:iam::123456789012:role/agents/payroll',
  region: 'eu-central-1',
  audience: 'sts.amazonaws.com',
  sessions: [
    { name: 'payroll:read', policy },
    { name: 'payroll:write', policyArns: ['arn:aws:iam::123456789012:policy/write', 'arn:aws:iam::aws:policy/ReadOnlyAccess'] },
  ],
  maxTTLSeconds: 3600,
  allowedAddresses: ['127.0.0.0/8', '::1'],
}
export const fakeParams = ({ port, caBundle }: Fake): AwsParams => ({ ...params, endpoint: `https://localhost:${port}`, caBundle })

/** Login tokens as the fake reads them. */
const fakeLogins: Pick<Logins, 'task'> = {
  task: async (_order, audience, handle, tags) => ok(new Material(JSON.stringify({ audience, handle, tags }))),
}

export interface World extends Rows {
  readonly provider: Provider<AwsParams>
  readonly params: AwsParams
  readonly http: Http
  order(change?: Partial<Order>): Order
}

export function makeWorld(its: AwsParams, logins: Pick<Logins, 'task'> = fakeLogins, defaults: Partial<Order> = {}): World {
  const rows = createRows()
  const { clock, prefix } = rows
  const http = createHttp()
  const provider = createAwsProvider({ wire: createStsWire(http), clock, logins, prefix })
  return Object.assign(rows, {
    http,
    params: its,
    provider: rows.under(provider),
    order(change?: Partial<Order>) {
      const issuedAt = clock.now()
      return makeOrder({
        audience: undefined,
        scopes: ['payroll:read'],
        issuedAt,
        expiresAt: plus(issuedAt, seconds(1200)),
        ...defaults,
        ...change,
      })
    },
  })
}
