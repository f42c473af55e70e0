// A provider at a GitHub, with the part of the ledger that it relies on: rows that take notes until they are to die, and keep what is given.

import { randomBytes } from 'node:crypto'
import { at, type Instant, milliseconds, plus, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { fail, ok, type Result } from '../../../src/lib/result.ts'
import { createHttp, type Http } from '../../../src/outbound/http.ts'
import type { Failure, Issued, Lease, Order, Provider, Reservation, Unrevoked } from '../../../src/ports/provider.ts'
import type { ReadKey } from '../../../src/providers/github-app/app.ts'
import type { GithubAppParams } from '../../../src/providers/github-app/params.ts'
import { createGithubAppProvider } from '../../../src/providers/github-app/provider.ts'
import { createGithubWire } from '../../../src/providers/github-app/wire.ts'
import { makeOrder, text } from '../../issuer/world.ts'
import { app, type Fake, pem } from './fake.ts'

const letters = 'abcdefghijklmnopqrstuvwxyz234567'
const random = (length: number): string => [...randomBytes(length)].map((byte) => letters[byte & 31]).join('')
const now = (): Instant => at(Date.now())

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

export interface World {
  readonly provider: Provider<GithubAppParams>
  readonly params: GithubAppParams
  readonly http: Http
  /** what was noted in each row, in order, and what was kept under it */
  readonly notes: Map<string, string[]>
  readonly values: Map<string, Material[]>
  readonly secret: { value: string; origin: string | undefined }
  /** fails each note or each keeping */
  refuse: 'note' | 'keep' | undefined
  /** milliseconds by which the operator's clock is ahead */
  passed: number
  lease(): Lease
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
  const prefix = `tb${random(10)}`
  const http = createHttp()
  const notes = new Map<string, string[]>()
  const values = new Map<string, Material[]>()
  const dying = new Set<string>()
  const clock = { now: () => plus(now(), milliseconds(world.passed)), monotonic: () => milliseconds(performance.now() + world.passed) }
  const secret: World['secret'] = { value: pem, origin: new URL(params.apiUrl).host }
  const readKey: ReadKey = async () => ok({ value: new Material(secret.value), origin: secret.origin })
  const provider = createGithubAppProvider({ wire: createGithubWire(http), clock, readKey, prefix })
  const no = (message: string): Result<never, Failure> => fail({ reason: 'IssueFailed', message })
  const withRow = (reservation: Reservation): Reservation => {
    const { lease } = reservation
    if (lease === undefined) return reservation
    const { handle } = lease
    const reference = notes.get(handle)?.at(-1)
    return {
      ...reservation,
      lease: { ...lease, ...(reference === undefined ? {} : { reference }) },
      async record(noted) {
        if (dying.has(handle) || world.refuse === 'note') return no('its row in the ledger is to die')
        notes.set(handle, [...(notes.get(handle) ?? []), noted])
        return ok(undefined)
      },
      async keep(value) {
        if (world.refuse === 'keep') return no('what ends it could not be kept')
        values.set(handle, [...(values.get(handle) ?? []), value])
        return dying.has(handle) ? no('what ends it was kept for a row of the ledger that is to die') : ok(undefined)
      },
      kept: async () => ok(values.get(handle) ?? []),
    }
  }
  const world: World = {
    http,
    params,
    notes,
    values,
    secret,
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
    lease: () => ({ handle: `${prefix}${random(26)}`, effectBy: plus(now(), seconds(30)) }),
    order(change) {
      const issuedAt = clock.now()
      return makeOrder({ audience: undefined, scopes: [], github: ask, issuedAt, expiresAt: plus(issuedAt, seconds(600)), ...change })
    },
    async issue(change) {
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
  }
  return world
}

export function value<T>(result: Result<T, Failure>): T {
  if (!result.ok) throw new Error(`${result.failure.reason}: ${result.failure.message}`)
  return result.value
}
