// A value that exists already: a Secret of the operator's namespace, copied to a task. It is an exception. Nothing is made and nothing is
// ended: the row in the ledger says who was given it, and that it works on. Must never say that anything was revoked.

import { seconds } from '../../lib/instant.ts'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import { createOutsideProvider, type Making } from '../../ports/outside.ts'
import type { Failure, Issued, Order, Provider } from '../../ports/provider.ts'
import { judgeParams, judgeRequest, promises, type StaticParams } from './params.ts'

/** A Secret of the operator's namespace, as an administrator made it. */
export interface StoredValue {
  readonly data: Readonly<Record<string, Material>>
  /** annotation `taskbound.dev/origin` */
  readonly origin: string | undefined
}

export interface StaticDependencies {
  /** A failure is a sentence. */
  readonly readValue: (secret: string) => Promise<Result<StoredValue, string>>
  readonly clock: Pick<Clock, 'monotonic'>
  /** what all handles of this installation begin with */
  readonly prefix: string
}

/** Without this on it no Secret is handed out: keys and logins of the operator lie in the same namespace. */
const origin = 'static'
const given = 'given'
const mostBytes = 65_536

export function createStaticProvider({ readValue, clock, prefix }: StaticDependencies): Provider<StaticParams> {
  async function read({ secretRef, keys }: StaticParams): Promise<Result<Readonly<Record<string, Material>>, string>> {
    const found = await readValue(secretRef.name)
    if (!found.ok) return found
    const where = `Secret \`${secretRef.name}\``
    if (found.value.origin !== origin)
      return fail(`${where} does not say that it may be handed out: annotate it with \`taskbound.dev/origin: ${origin}\``)
    const fields: Record<string, Material> = {}
    for (const key of keys) {
      const value = Object.hasOwn(found.value.data, key) ? found.value.data[key] : undefined
      const size = value?.reveal().length ?? 0
      if (value === undefined || size === 0) return fail(`${where} has no key \`${key}\`, or it is empty`)
      if (size > mostBytes) return fail(`key \`${key}\` of ${where} has more than ${mostBytes} bytes`)
      fields[key] = value
    }
    return ok(fields)
  }

  async function make(params: StaticParams, order: Order, making: Making): Promise<Result<Issued, string | Failure>> {
    const { lease, record, first, end: expiresAt } = making
    if (first !== (lease.reference === undefined))
      return fail(first ? 'something was given under its row already' : 'nothing was given under its row')
    const fields = await read(params)
    if (!fields.ok) return fields
    const noted = await record(given)
    if (!noted.ok) return noted
    return clock.monotonic() < order.deadline ? ok({ fields: fields.value, expiresAt }) : fail('there was no time left to give it')
  }

  return createOutsideProvider(prefix, {
    type: 'static',
    promises,
    judge: judgeParams,
    check: judgeRequest,
    async ready(params) {
      const fields = await read(params)
      return fields.ok ? ok(undefined) : fail({ reason: 'ProviderConfigInvalid', message: fields.failure })
    },
    make,
    // there is nothing that was made for it; that the value works on is told by the ledger, because no bound is promised
    revoke: async () => ok(undefined),
    outside: { settling: seconds(0), renewal: 'InPlace' },
  })
}
