// A static provider over Secrets in memory, with the rows that it relies on.

import { plus, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { fail, ok } from '../../../src/lib/result.ts'
import type { Order, Provider } from '../../../src/ports/provider.ts'
import type { StaticParams } from '../../../src/providers/static/params.ts'
import { createStaticProvider, type StoredValue } from '../../../src/providers/static/provider.ts'
import { makeOrder } from '../../issuer/world.ts'
import { createRows, type Rows } from '../rows.ts'

export const params: StaticParams = { secretRef: { name: 'legacy' }, keys: ['api-key'], maxTTLSeconds: 3600 }

export interface World extends Rows {
  readonly provider: Provider<StaticParams>
  readonly secrets: Record<string, StoredValue>
  /** why nothing can be read */
  broken: string | undefined
  reads: number
  order(change?: Partial<Order>): Order
}

export function makeWorld(): World {
  const rows = createRows()
  const { clock, prefix } = rows
  const provider = createStaticProvider({
    async readValue(name) {
      world.reads += 1
      if (world.broken !== undefined) return fail(world.broken)
      const found = world.secrets[name]
      return found === undefined ? fail(`Secret \`${name}\` does not exist`) : ok(found)
    },
    clock,
    prefix,
  })
  const world: World = Object.assign(rows, {
    provider: rows.under(provider),
    secrets: { legacy: { data: { 'api-key': new Material('long-lived-5f1'), other: new Material('not-listed') }, origin: 'static' } },
    broken: undefined,
    reads: 0,
    order(change?: Partial<Order>) {
      const issuedAt = clock.now()
      return makeOrder({ audience: undefined, scopes: [], issuedAt, expiresAt: plus(issuedAt, seconds(600)), ...change })
    },
  })
  return world
}
