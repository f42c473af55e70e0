// A provider at an STS, with the part of the ledger that it relies on: rows that take notes until they are to die.

import { randomBytes } from 'node:crypto'
import { at, type Instant, milliseconds, plus, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { fail, ok } from '../../../src/lib/result.ts'
import { createHttp, type Http } from '../../../src/outbound/http.ts'
import type { Logins } from '../../../src/ports/login.ts'
import type { Lease, Order, Provider, Reservation } from '../../../src/ports/provider.ts'
import type { AwsParams } from '../../../src/providers/aws/params.ts'
import { createAwsProvider } from '../../../src/providers/aws/provider.ts'
import { createStsWire } from '../../../src/providers/aws/wire.ts'
import { makeOrder } from '../../issuer/world.ts'
import type { Fake } from './fake.ts'

const letters = 'abcdefghijklmnopqrstuvwxyz234567'
const random = (length: number): string => [...randomBytes(length)].map((byte) => letters[byte & 31]).join('')

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

export interface World {
  readonly provider: Provider<AwsParams>
  readonly params: AwsParams
  readonly http: Http
  /** what was noted in each row, in order */
  readonly notes: Map<string, string[]>
  passed: number
  now(): Instant
  lease(): Lease
  order(change?: Partial<Order>): Order
}

export function makeWorld(its: AwsParams, logins: Pick<Logins, 'task'> = fakeLogins, defaults: Partial<Order> = {}): World {
  const prefix = `tb${random(10)}`
  const http = createHttp()
  const notes = new Map<string, string[]>()
  const dying = new Set<string>()
  const clock = {
    now: () => at(Date.now() + world.passed),
    monotonic: () => milliseconds(performance.now() + world.passed),
  }
  const provider = createAwsProvider({ wire: createStsWire(http), clock, logins, prefix })
  const withRow = (reservation: Reservation): Reservation => {
    const { lease } = reservation
    if (lease === undefined) return reservation
    const before = notes.get(lease.handle) ?? []
    const reference = before.at(-1)
    return {
      ...reservation,
      lease: { ...lease, ...(reference === undefined ? {} : { reference }) },
      async record(noted) {
        if (dying.has(lease.handle)) return fail({ reason: 'IssueFailed', message: 'its row in the ledger is to die' })
        notes.set(lease.handle, [...(notes.get(lease.handle) ?? []), noted])
        return ok(undefined)
      },
    }
  }
  const world: World = {
    http,
    params: its,
    notes,
    passed: 0,
    now: clock.now,
    provider: {
      ...provider,
      issue: (theirs, order, reservation) => provider.issue(theirs, order, withRow(reservation)),
      renew: (theirs, order, reservation) => provider.renew(theirs, order, withRow(reservation)),
      revoke(theirs, reservation) {
        dying.add(reservation.lease?.handle ?? '')
        return provider.revoke(theirs, withRow(reservation))
      },
    },
    lease: () => ({ handle: `${prefix}${random(26)}`, effectBy: plus(clock.now(), seconds(30)) }),
    order(change) {
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
  }
  return world
}
