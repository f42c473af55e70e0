// A provider at the fake API server, with the rows that it relies on.

import { asUid } from '../../../src/core/names.ts'
import { at, milliseconds, plus, seconds } from '../../../src/lib/instant.ts'
import type { Result } from '../../../src/lib/result.ts'
import type { Failure, Issued, Lease, Order, Provider, Unrevoked } from '../../../src/ports/provider.ts'
import type { ServiceAccountTokenParams } from '../../../src/providers/service-account-token/params.ts'
import { createServiceAccountTokenProvider } from '../../../src/providers/service-account-token/provider.ts'
import { createAnchoredTokens } from '../../../src/runtime/anchored.ts'
import { makeOrder, text } from '../../issuer/world.ts'
import { createRows, type Rows } from '../rows.ts'
import { createFake, type Fake } from './fake.ts'

export const audience = 'https://registry.corp.example'

export const params: ServiceAccountTokenParams = {
  audiences: [audience, 'https://other.corp.example'],
  verification: 'TokenReview',
  allowApiServerAudience: false,
  maxTTLSeconds: 3600,
}

export interface World extends Pick<Rows, 'notes' | 'dying' | 'noted'> {
  readonly fake: Fake
  /** as the ledger uses it */
  readonly provider: Provider<ServiceAccountTokenParams>
  /** without a row */
  readonly bare: Provider<ServiceAccountTokenParams>
  /** the same, where revoking is asked for again until all is dead */
  readonly settling: Provider<ServiceAccountTokenParams>
  lease(): Lease
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
  const rows = createRows()
  const clock = {
    now: () => at(Date.now() + fake.passed),
    monotonic: () => milliseconds(performance.now() + fake.passed),
  }
  const create = () =>
    createServiceAccountTokenProvider({
      tokens: createAnchoredTokens(fake.client),
      clock,
      prefix: rows.prefix,
      namespace: 'taskbound-system',
    })

  const bare = create()
  const provider = rows.under(bare)

  const world: World = {
    fake,
    notes: rows.notes,
    dying: rows.dying,
    noted: rows.noted,
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
    lease: () => rows.lease({ namespace: 'finance' }),
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
    successor: () => rows.under(create()),
  }
  return world
}

export const tokenIn = ({ fields }: Issued): string => (fields['token'] === undefined ? '' : text(fields['token']))
