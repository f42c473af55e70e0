// A static provider over Secrets in memory, with the part of the ledger that it relies on.

import { randomBytes } from 'node:crypto'
import { at, milliseconds, plus, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { fail, ok } from '../../../src/lib/result.ts'
import type { Lease, Order, Provider, Reservation } from '../../../src/ports/provider.ts'
import type { StaticParams } from '../../../src/providers/static/params.ts'
import { createStaticProvider, type StoredValue } from '../../../src/providers/static/provider.ts'
import { makeOrder } from '../../issuer/world.ts'

const letters = 'abcdefghijklmnopqrstuvwxyz234567'
const random = (length: number): string => [...randomBytes(length)].map((byte) => letters[byte & 31]).join('')

export const params: StaticParams = { secretRef: { name: 'legacy' }, keys: ['api-key'], maxTTLSeconds: 3600 }

export interface World {
  readonly provider: Provider<StaticParams>
  readonly secrets: Record<string, StoredValue>
  /** why nothing can be read */
  broken: string | undefined
  /** a row that is to die takes no notes */
  dies: boolean
  reads: number
  lease(): Lease
  order(change?: Partial<Order>): Order
}

export function makeWorld(): World {
  const prefix = `tb${random(10)}`
  const notes = new Map<string, string>()
  const provider = createStaticProvider({
    async readValue(name) {
      world.reads += 1
      if (world.broken !== undefined) return fail(world.broken)
      const found = world.secrets[name]
      return found === undefined ? fail(`Secret \`${name}\` does not exist`) : ok(found)
    },
    clock: { monotonic: () => milliseconds(performance.now()) },
    prefix,
  })
  const withRow = (reservation: Reservation): Reservation => {
    const { lease } = reservation
    if (lease === undefined) return reservation
    const reference = notes.get(lease.handle)
    return {
      ...reservation,
      lease: { ...lease, ...(reference === undefined ? {} : { reference }) },
      async record(noted) {
        if (world.dies) return fail({ reason: 'IssueFailed', message: 'its row in the ledger is to die' })
        notes.set(lease.handle, noted)
        return ok(undefined)
      },
    }
  }
  const world: World = {
    provider: {
      ...provider,
      issue: (its, order, reservation) => provider.issue(its, order, withRow(reservation)),
      renew: (its, order, reservation) => provider.renew(its, order, withRow(reservation)),
    },
    secrets: { legacy: { data: { 'api-key': new Material('long-lived-5f1'), other: new Material('not-listed') }, origin: 'static' } },
    broken: undefined,
    dies: false,
    reads: 0,
    lease: () => ({ handle: `${prefix}${random(26)}`, effectBy: at(Date.now() + 30_000) }),
    order(change) {
      const issuedAt = at(Date.now())
      return makeOrder({ audience: undefined, scopes: [], issuedAt, expiresAt: plus(issuedAt, seconds(600)), ...change })
    },
  }
  return world
}
