// A value that exists already: a Secret of the operator's namespace, copied to a task. It is an exception. Nothing is made and nothing is
// ended: the row in the ledger says who was given it, and that it works on. Must never say that anything was revoked.

import { isHandleOf } from '../../core/lease.ts'
import { seconds } from '../../lib/instant.ts'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import { lifeEnd, minTtl } from '../../ports/lives.ts'
import type { Failure, Issued, Order, Provider, Reservation } from '../../ports/provider.ts'
import { judgeParams, judgeRequest, maxTtl, promises, type StaticParams } from './params.ts'

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
  const ours = (handle: string): boolean => isHandleOf(prefix, handle)

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

  async function give(
    params: StaticParams,
    order: Order,
    { lease, record }: Reservation,
    first: boolean,
  ): Promise<Result<Issued, Failure>> {
    const failed = (message: string): Result<never, Failure> =>
      fail({ reason: 'IssueFailed', message: `credential \`${order.credential}\`: ${message}` })
    const problem = judgeParams(params) ?? judgeRequest(params, { ...order, name: order.credential, ttl: minTtl })
    if (problem !== undefined) return fail(problem)
    if (lease === undefined || record === undefined) return failed('it has no row in the ledger')
    if (!ours(lease.handle)) return failed('its row in the ledger has no handle of this installation')
    if (first !== (lease.reference === undefined))
      return failed(first ? 'something was given under its row already' : 'nothing was given under its row')
    const expiresAt = lifeEnd(order, maxTtl(params))
    if (expiresAt <= order.issuedAt) return failed('it would be dead on arrival: its expiry is not after its issue')
    const fields = await read(params)
    if (!fields.ok) return failed(fields.failure)
    const noted = await record(given)
    if (!noted.ok) return noted
    return clock.monotonic() < order.deadline ? ok({ fields: fields.value, expiresAt }) : failed('there was no time left to give it')
  }

  return {
    type: 'static',
    promises,
    async ready(params) {
      const problem = judgeParams(params)
      if (problem !== undefined) return fail(problem)
      const fields = await read(params)
      return fields.ok ? ok(undefined) : fail({ reason: 'ProviderConfigInvalid', message: fields.failure })
    },
    check: judgeRequest,
    reserve: () => ok({}),
    issue: (params, order, reservation) => give(params, order, reservation, true),
    renew: (params, order, reservation) => give(params, order, reservation, false),
    // there is nothing that was made for it; that the value works on is told by the ledger, because no bound is promised
    async revoke(params, { lease }) {
      if (lease === undefined || (params !== undefined && ours(lease.handle))) return ok(undefined)
      return fail({ reason: 'RevocationUnconfirmed', message: 'its row in the ledger has no provider, or no handle of this installation' })
    },
    outside: {
      settling: seconds(0),
      renewal: 'InPlace',
      clean: async (_params, { handle }) =>
        ours(handle) ? ok(undefined) : fail({ reason: 'RevocationUnconfirmed', message: 'it is no handle of this installation' }),
      list: async () => ok(undefined),
    },
  }
}
