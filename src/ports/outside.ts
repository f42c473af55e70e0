// What every provider whose credentials exist outside the cluster does alike, whatever its source: it makes and ends something only by
// settings that can be used, under a row of this installation, and within what it promises. Says no in the same words; talks to nobody.

import { isHandleOf } from '../core/lease.ts'
import type { Instant } from '../lib/instant.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { lifeEnd } from './lives.ts'
import type { Failure, Issued, Lease, Note, Order, Outside, Provider, Reservation, Unrevoked } from './provider.ts'

/** A row of the ledger whose handle is of this installation. */
export interface Row extends Reservation {
  readonly lease: Lease
}

/** What one issue or renewal is made under. */
export interface Making extends Row {
  readonly record: Note
  /** whether it is the issue, and not a renewal */
  readonly first: boolean
  /** when it dies: in whole seconds, and after its issue */
  readonly end: Instant
}

/** What a provider does in its own way. A failure that is a sentence becomes `IssueFailed`, or `RevocationUnconfirmed`. */
export interface OwnWay<Params> extends Pick<Provider<Params>, 'type' | 'handed' | 'promises' | 'ready' | 'check'> {
  /** Why the block cannot be used, or `undefined` when it can. Pure. */
  judge(params: Params): Failure | undefined
  make(params: Params, order: Order, making: Making): Promise<Result<Issued, string | Failure>>
  revoke(params: Params, row: Row): Promise<Result<undefined, string | Unrevoked>>
  readonly outside: Omit<Outside<Params>, 'clean' | 'list'> & {
    /** absent where nothing is left of what is dead */
    clean?(params: Params, lease: Lease): Promise<Result<undefined, string>>
    /** absent where the source cannot be asked */
    list?(params: Params, prefix: string): Promise<Result<readonly string[], Failure>>
  }
}

/** @param prefix what all handles of this installation begin with */
export function createOutsideProvider<Params>(prefix: string, { judge, make, revoke, ...own }: OwnWay<Params>): Provider<Params> {
  const foreign = 'its row in the ledger has no handle of this installation'

  function under(params: Params, order: Order, reservation: Reservation, first: boolean): Result<Making, string | Failure> {
    const { lease, record } = reservation
    const problem = judge(params) ?? own.check(params, { ...order, name: order.credential, ttl: own.promises(params).minTtl })
    if (problem !== undefined) return fail(problem)
    if (lease === undefined || record === undefined) return fail('it has no row in the ledger')
    if (!isHandleOf(prefix, lease.handle)) return fail(foreign)
    const end = lifeEnd(order, own.promises(params).maxTtl)
    if (end <= order.issuedAt) return fail('it would be dead on arrival: its expiry is not after its issue')
    return ok({ ...reservation, lease, record, first, end })
  }

  const give =
    (first: boolean): Provider<Params>['issue'] =>
    async (params, order, reservation) => {
      const making = under(params, order, reservation, first)
      const made = making.ok ? await make(params, order, making.value) : making
      return told(made, 'IssueFailed', `credential \`${order.credential}\`: `)
    }

  return {
    ...own,
    async ready(params) {
      const problem = judge(params)
      return problem === undefined ? own.ready(params) : fail(problem)
    },
    reserve: () => ok({}),
    issue: give(true),
    renew: give(false),
    async revoke(params, reservation) {
      const { lease } = reservation
      if (lease === undefined) return ok(undefined)
      if (params === undefined) return unconfirmed('the settings of its provider are not known')
      if (!isHandleOf(prefix, lease.handle)) return unconfirmed(foreign)
      return told(await revoke(params, { ...reservation, lease }), 'RevocationUnconfirmed')
    },
    outside: {
      list: async () => ok(undefined),
      ...own.outside,
      async clean(params, lease) {
        if (!isHandleOf(prefix, lease.handle)) return unconfirmed('it is no handle of this installation')
        return told((await own.outside.clean?.(params, lease)) ?? ok(undefined), 'RevocationUnconfirmed')
      },
    },
  }
}

export const unconfirmed = (message: string): Result<never, Failure> => fail({ reason: 'RevocationUnconfirmed', message })

/** A sentence becomes a failure for this reason. */
function told<T, F extends Failure>(done: Result<T, string | F>, reason: Failure['reason'], where = ''): Result<T, F | Failure> {
  if (done.ok) return done
  const { failure } = done
  return fail(typeof failure === 'string' ? { reason, message: `${where}${failure}` } : failure)
}
