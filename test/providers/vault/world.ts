// A provider at a Vault, with the part of the ledger that it relies on: rows that take notes until they are to die.

import { randomBytes } from 'node:crypto'
import { at, type Instant, milliseconds, plus, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { fail, ok, type Result } from '../../../src/lib/result.ts'
import { createHttp, type Http } from '../../../src/outbound/http.ts'
import type { Logins } from '../../../src/ports/login.ts'
import type { Failure, Issued, Lease, Order, Provider, Reservation } from '../../../src/ports/provider.ts'
import type { VaultParams } from '../../../src/providers/vault/params.ts'
import { createVaultProvider } from '../../../src/providers/vault/provider.ts'
import { createWire } from '../../../src/providers/vault/wire.ts'
import { makeOrder, text } from '../../issuer/world.ts'
import { type Fake, paths } from './fake.ts'

const letters = 'abcdefghijklmnopqrstuvwxyz234567'
const random = (length: number): string => [...randomBytes(length)].map((byte) => letters[byte & 31]).join('')
export const now = (): Instant => at(Date.now())

export interface World {
  /** as the ledger uses it: with what was noted in a row, and a row that is to die takes no notes */
  readonly provider: Provider<VaultParams>
  readonly params: VaultParams
  readonly http: Http
  /** what was noted in each row, in order */
  readonly notes: Map<string, string[]>
  /** fails the note with this number, from 0, in every row */
  refuse: number | undefined
  passed: number
  lease(): Lease
  /** the row with what was noted in it last */
  noted(lease: Lease): Lease
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
  const prefix = `tb${random(10)}`
  const http = createHttp()
  const notes = new Map<string, string[]>()
  const dying = new Set<string>()
  const clock = { now: () => plus(now(), milliseconds(world.passed)), monotonic: () => milliseconds(performance.now() + world.passed) }
  const provider = createVaultProvider({ wire: createWire(http), clock, logins, prefix })
  const withRow = (reservation: Reservation): Reservation => {
    const handle = reservation.lease?.handle ?? ''
    const reference = notes.get(handle)?.at(-1)
    const record = async (noted: string): Promise<Result<undefined, Failure>> => {
      const before = notes.get(handle) ?? []
      if (dying.has(handle) || world.refuse === before.length)
        return fail({ reason: 'IssueFailed', message: 'its row in the ledger is to die' })
      notes.set(handle, [...before, noted])
      return ok(undefined)
    }
    if (reservation.lease === undefined) return reservation
    return { ...reservation, lease: { ...reservation.lease, ...(reference === undefined ? {} : { reference }) }, record }
  }
  const world: World = {
    http,
    params,
    notes,
    refuse: undefined,
    passed: 0,
    provider: {
      ...provider,
      issue: (its, order, reservation) => provider.issue(its, order, withRow(reservation)),
      renew: (its, order, reservation) => provider.renew(its, order, withRow(reservation)),
      revoke(its, reservation) {
        dying.add(reservation.lease?.handle ?? '')
        return provider.revoke(its, withRow(reservation))
      },
    },
    noted(lease) {
      const reference = notes.get(lease.handle)?.at(-1)
      return reference === undefined ? lease : { ...lease, reference }
    },
    lease: () => ({ handle: `${prefix}${random(26)}`, effectBy: plus(now(), seconds(30)) }),
    order(change) {
      const issuedAt = clock.now()
      const scopes = [params.paths[0]?.path ?? '']
      return makeOrder({ audience: undefined, scopes, issuedAt, expiresAt: plus(issuedAt, seconds(600)), ...defaults, ...change })
    },
    async issue(change, its = params) {
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
  }
  return world
}

export function value<T>(result: Result<T, Failure>): T {
  if (!result.ok) throw new Error(`${result.failure.reason}: ${result.failure.message}`)
  return result.value
}
