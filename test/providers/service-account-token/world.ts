// A provider at the fake API server, with the part of the ledger that it relies on: rows that take a note until they are to die.

import { randomBytes } from 'node:crypto'
import { asUid } from '../../../src/core/names.ts'
import { at, milliseconds, plus, seconds } from '../../../src/lib/instant.ts'
import { fail, ok, type Result } from '../../../src/lib/result.ts'
import type { Failure, Issued, Lease, Order, Provider, Reservation, Unrevoked } from '../../../src/ports/provider.ts'
import type { ServiceAccountTokenParams } from '../../../src/providers/service-account-token/params.ts'
import { createServiceAccountTokenProvider } from '../../../src/providers/service-account-token/provider.ts'
import { createAnchoredTokens } from '../../../src/runtime/anchored.ts'
import { makeOrder, text } from '../../issuer/world.ts'
import { createFake, type Fake } from './fake.ts'

const letters = 'abcdefghijklmnopqrstuvwxyz234567'
const random = (length: number): string => [...randomBytes(length)].map((byte) => letters[byte & 31]).join('')
export const audience = 'https://registry.corp.example'

export const params: ServiceAccountTokenParams = {
  audiences: [audience, 'https://other.corp.example'],
  verification: 'TokenReview',
  allowApiServerAudience: false,
  maxTTLSeconds: 3600,
}

export interface World {
  readonly fake: Fake
  /** as the ledger uses it */
  readonly provider: Provider<ServiceAccountTokenParams>
  /** without a row */
  readonly bare: Provider<ServiceAccountTokenParams>
  /** the same, where revoking is asked for again until all is dead */
  readonly settling: Provider<ServiceAccountTokenParams>
  /** the row's notes, and whether it is to die */
  readonly notes: Map<string, string>
  readonly dying: Set<string>
  lease(): Lease
  /** the row as its provider is shown it later */
  noted(lease: Lease): Lease
  order(change?: Partial<Order>): Order
  issue(change?: Partial<Order>, its?: ServiceAccountTokenParams): Promise<Result<Issued, Failure> & { readonly lease: Lease }>
  /** a leader of a later term, which remembers nothing */
  successor(): Provider<ServiceAccountTokenParams>
}

/** Until when it says that it may yet work, as milliseconds from now. */
export const timeLeft = ({ passed }: Fake, asked: Result<undefined, Unrevoked>): number | undefined =>
  asked.ok || asked.failure.until === undefined ? undefined : asked.failure.until - Date.now() - passed

export function makeWorld(): World {
  const fake = createFake()
  const prefix = `tb${random(10)}`
  const clock = {
    now: () => at(Date.now() + fake.passed),
    monotonic: () => milliseconds(performance.now() + fake.passed),
  }
  const notes = new Map<string, string>()
  const dying = new Set<string>()
  const create = () =>
    createServiceAccountTokenProvider({ tokens: createAnchoredTokens(fake.client), clock, prefix, namespace: 'taskbound-system' })

  function withRow(reservation: Reservation): Reservation {
    const { lease } = reservation
    if (lease === undefined) return reservation
    const reference = notes.get(lease.handle)
    const record = async (noted: string): Promise<Result<undefined, Failure>> => {
      if (dying.has(lease.handle)) return fail({ reason: 'IssueFailed', message: 'its row in the ledger is to die' })
      notes.set(lease.handle, noted)
      return ok(undefined)
    }
    return { ...reservation, lease: { namespace: 'finance', ...lease, ...(reference === undefined ? {} : { reference }) }, record }
  }
  const rowed = (inner: Provider<ServiceAccountTokenParams>): Provider<ServiceAccountTokenParams> => ({
    ...inner,
    issue: (its, order, reservation) => inner.issue(its, order, withRow(reservation)),
    renew: (its, order, reservation) => inner.renew(its, order, withRow(reservation)),
    revoke(its, reservation) {
      dying.add(reservation.lease?.handle ?? '')
      return inner.revoke(its, withRow(reservation))
    },
  })
  const bare = create()
  const provider = rowed(bare)

  const world: World = {
    fake,
    notes,
    dying,
    bare,
    provider,
    settling: {
      ...provider,
      async revoke(its, reservation) {
        for (;;) {
          const done = await provider.revoke(its, reservation)
          const left = timeLeft(fake, done)
          if (left === undefined) return done
          fake.passed += left
        }
      },
    },
    lease: () => ({ handle: `${prefix}${random(26)}`, effectBy: plus(clock.now(), seconds(30)), namespace: 'finance' }),
    noted(lease) {
      const reference = notes.get(lease.handle)
      return reference === undefined ? lease : { ...lease, reference }
    },
    order(change) {
      const issuedAt = at(Math.floor(clock.now() / 1000) * 1000)
      const deadline = clock.monotonic() + 25_000
      const expiresAt = plus(issuedAt, seconds(900))
      const serviceAccountUid = asUid(fake.accountUid)
      return makeOrder({ credential: 'registry', audience, scopes: [], issuedAt, expiresAt, deadline, serviceAccountUid, ...change })
    },
    async issue(change, its = params) {
      const lease = world.lease()
      return { ...(await provider.issue(its, world.order(change), { lease })), lease }
    },
    successor: () => rowed(create()),
  }
  return world
}

export const tokenIn = ({ fields }: Issued): string => (fields['token'] === undefined ? '' : text(fields['token']))
