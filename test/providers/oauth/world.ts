// A provider at an authorization server, with the part of the ledger that it relies on: rows that take notes until they are to die.

import { randomBytes } from 'node:crypto'
import { at, type Instant, milliseconds, plus, seconds } from '../../../src/lib/instant.ts'
import type { Material } from '../../../src/lib/material.ts'
import { fail, ok, type Result } from '../../../src/lib/result.ts'
import { createHttp, type Http } from '../../../src/outbound/http.ts'
import type { ClientAssertions, Logins } from '../../../src/ports/login.ts'
import type { Failure, Issued, Lease, Order, Provider, Reservation, Unrevoked } from '../../../src/ports/provider.ts'
import type { OauthParams } from '../../../src/providers/oauth/params.ts'
import { createOauthProvider } from '../../../src/providers/oauth/provider.ts'
import { createOauthWire } from '../../../src/providers/oauth/wire.ts'
import { entropy, makeOrder, text } from '../../issuer/world.ts'
import { assertions, clientId, type Fake, logins } from './fake.ts'

const letters = 'abcdefghijklmnopqrstuvwxyz234567'
const random = (length: number): string => [...randomBytes(length)].map((byte) => letters[byte & 31]).join('')
export const now = (): Instant => at(Date.now())

export interface World {
  /** as the ledger uses it: with what was noted in a row, and a row that is to die takes no notes */
  readonly provider: Provider<OauthParams>
  readonly params: OauthParams
  readonly http: Http
  /** what was noted in each row, in order */
  readonly notes: Map<string, string[]>
  /** milliseconds by which the clock is ahead */
  passed: number
  /** nothing can be kept */
  refuseKeeping: boolean
  /** nothing was kept of what was given until now: the process did not live to do it */
  forget(): void
  lease(): Lease
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
  const prefix = `tb${random(10)}`
  const http = createHttp()
  const notes = new Map<string, string[]>()
  const dying = new Set<string>()
  const values = new Map<string, Material[]>()
  const clock = { now: () => plus(now(), milliseconds(world.passed)), monotonic: () => milliseconds(performance.now() + world.passed) }
  const provider = createOauthProvider({ wire: createOauthWire(http), clock, entropy, prefix, ...as })
  const withRow = (reservation: Reservation): Reservation => {
    const handle = reservation.lease?.handle ?? ''
    const reference = notes.get(handle)?.at(-1)
    const record = async (noted: string): Promise<Result<undefined, Failure>> => {
      if (dying.has(handle)) return fail({ reason: 'IssueFailed', message: 'its row in the ledger is to die' })
      notes.set(handle, [...(notes.get(handle) ?? []), noted])
      return ok(undefined)
    }
    if (reservation.lease === undefined) return reservation
    const keep = async (kept: Material): Promise<Result<undefined, Failure>> => {
      if (world.refuseKeeping) return fail({ reason: 'IssueFailed', message: 'it could not be kept' })
      values.set(handle, [...(values.get(handle) ?? []), kept])
      return dying.has(handle) ? fail({ reason: 'IssueFailed', message: 'its row in the ledger is to die' }) : ok(undefined)
    }
    const kept = async () => ok(values.get(handle) ?? [])
    return { ...reservation, lease: { ...reservation.lease, ...(reference === undefined ? {} : { reference }) }, record, keep, kept }
  }
  const world: World = {
    http,
    params,
    notes,
    passed: 0,
    refuseKeeping: false,
    forget: () => values.clear(),
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
      const audience = params.audiences?.[0] ?? params.resources?.[0]
      const scopes = params.scopes.slice(0, 1)
      return makeOrder({ audience, scopes, issuedAt, expiresAt: plus(issuedAt, seconds(params.maxTTLSeconds)), ...defaults, ...change })
    },
    async issue(change, its = params) {
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
  }
  return world
}

export function value<T>(result: Result<T, Failure>): T {
  if (!result.ok) throw new Error(`${result.failure.reason}: ${result.failure.message}`)
  return result.value
}
