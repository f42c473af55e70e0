// Tokens of the agent's own ServiceAccount, each bound to an empty Secret that is made first and deleted first. What is said to the API
// server is behind `AnchoredTokens`; nothing here decides who may have a token.

import { isHandleOf } from '../../core/lease.ts'
import { splitKey } from '../../core/names.ts'
import { type Duration, earliest, type Instant, milliseconds, plus, seconds, toSeconds, wholeSecond } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Anchor, AnchoredTokens } from '../../ports/anchored.ts'
import type { Clock } from '../../ports/clock.ts'
import { createOutsideProvider, type Making, type Row } from '../../ports/outside.ts'
import type { Failure, Issued, Lease, Order, Provider, Sight, Unrevoked } from '../../ports/provider.ts'
import { judgeToken } from './claims.ts'
import {
  apiServerAudience,
  heldFor,
  judgeParams,
  judgePlace,
  judgeRequest,
  leastLife,
  promises,
  remembered,
  type ServiceAccountTokenParams,
} from './params.ts'
import { anchorName, readReference, writeReference } from './reference.ts'

export interface ServiceAccountTokenDependencies {
  readonly tokens: AnchoredTokens
  readonly clock: Clock
  /** what all handles of this installation begin with */
  readonly prefix: string
  /** the operator's own */
  readonly namespace: string
}

const patience = milliseconds(5_000)
const kept = seconds(600)

/** An anchor as it was last seen by this process, and since when, by the monotonic clock. */
interface Ending {
  readonly state: 'gone' | 'held'
  readonly since: Duration
}

export function createServiceAccountTokenProvider(deps: ServiceAccountTokenDependencies): Provider<ServiceAccountTokenParams> {
  const { tokens, clock, namespace: own } = deps
  const endings = new Map<string, Ending>()
  /** found out by a token, where the API server had not said */
  const admitted = new Set<string>()

  async function make(params: ServiceAccountTokenParams, order: Order, making: Making): Promise<Result<Issued, string | Failure>> {
    const { lease, record, first } = making
    const { namespace, name: task } = splitKey(order.task)
    const misplaced = judgePlace(namespace, order.serviceAccount, own)
    if (misplaced !== undefined) return fail(misplaced)
    if (first !== (lease.reference === undefined))
      return fail(first ? 'something was issued under its row already' : 'nothing was issued under its row')

    const anchor = first
      ? await within(order, (limit) =>
          tokens.anchor({ namespace, name: anchorName(lease.handle) }, { task, taskUid: order.taskUid, attempt: order.attempt }, limit),
        )
      : readReference(lease.handle, lease.reference ?? '')
    if (!anchor.ok) return anchor
    // no token is asked for until the row says by what it is ended; a row that is to die takes no such note
    const noted = first ? await record(writeReference(anchor.value)) : ok(undefined)
    const made = noted.ok ? await request(params, order, anchor.value, making.end) : noted
    if (made.ok) return made
    // repeated by whoever works off the row, where it is not heard; a renewal that failed leaves what it should follow as it is
    if (first) {
      const removed = await tokens.remove(anchor.value, patience)
      // nobody was given the token, so nobody can show it to an API server that remembers it
      if (removed.ok && removed.value === 'gone')
        remember(lease.handle, { state: 'gone', since: milliseconds(clock.monotonic() - remembered) })
    }
    return made
  }

  /** A call that is not sent after the order's deadline. */
  async function within<T>(order: Order, call: (limit: Duration) => Promise<Result<T, string>>): Promise<Result<T, string>> {
    const left = order.deadline - clock.monotonic()
    return left > 0 ? call(milliseconds(Math.min(patience, left))) : fail('its time was over before the API server was asked')
  }

  async function request(params: ServiceAccountTokenParams, order: Order, anchor: Anchor, end: Instant): Promise<Result<Issued, string>> {
    const audience = order.audience ?? ''
    const begun = clock.now()
    const life = seconds(toSeconds(milliseconds(Math.max(leastLife, end - begun))))
    const asked = { anchor, serviceAccount: order.serviceAccount, audience, life }
    const token = await within(order, (limit) => tokens.token(asked, limit))
    if (!token.ok) return token
    const lives = judgeToken(token.value, { ...asked, serviceAccountUid: order.serviceAccountUid })
    if (!lives.ok) return lives
    if (params.allowApiServerAudience !== true) {
      const admits = await within(order, (limit) => tokens.admits(token.value, limit))
      if (!admits.ok) return admits
      if (admits.value) {
        admitted.add(audience)
        return fail(apiServerAudience(audience))
      }
    }
    // by our own clock, whatever the API server's says; the few seconds that the shortest life takes too long are cut off with the anchor
    return ok({ fields: { token: token.value }, expiresAt: wholeSecond(earliest(end, plus(begun, lives.value)) ?? end) })
  }

  async function revoke(_params: ServiceAccountTokenParams, { lease }: Row): Promise<Result<undefined, string | Unrevoked>> {
    const { handle, reference, namespace } = lease
    if (reference === undefined) {
      // nothing was noted, so no token was asked for: what may be there is an empty Secret, which `clean` looks for again
      if (namespace !== undefined) await tokens.remove({ namespace, name: anchorName(handle) }, patience)
      return ok(undefined)
    }
    const anchor = readReference(handle, reference)
    if (!anchor.ok) return anchor
    const where = `anchor \`${anchor.value.namespace}/${anchor.value.name}\``
    const removed = endings.get(handle)?.state === 'gone' ? ok('gone' as const) : await tokens.remove(anchor.value, patience)
    if (!removed.ok) return fail(`${where}: ${removed.failure}`)
    const { since } = seen(handle, removed.value)
    // gone after it was held: whichever is earlier
    const left = since + (removed.value === 'gone' ? remembered : heldFor) - clock.monotonic()
    if (left <= 0) return ok(undefined)
    const what =
      removed.value === 'gone'
        ? 'is deleted; the API server may remember its token for ten seconds more'
        : 'is deleted and held by somebody\u2019s finalizer; its token is refused at the latest 70 seconds after'
    return fail({ reason: 'RevocationUnconfirmed', message: `${where} ${what}`, until: plus(clock.now(), milliseconds(left)) })
  }

  /** How an ending goes on. What is dead after it was held that long stays dead when it goes. */
  function seen(handle: string, state: Ending['state']): Ending {
    const before = endings.get(handle)
    if (before?.state === state) return before
    const now = clock.monotonic()
    const since = before === undefined ? now : milliseconds(Math.min(now, before.since + heldFor - remembered))
    return remember(handle, { state, since })
  }

  /** Kept after the end, should its row not take the word for it: counted twice, it would take twice as long. */
  function remember(handle: string, ending: Ending): Ending {
    for (const [old, { since }] of endings) {
      if (since > clock.monotonic() - kept) break
      endings.delete(old)
    }
    endings.delete(handle)
    endings.set(handle, ending)
    return ending
  }

  async function sightOf({ handle, reference }: Lease): Promise<Sight> {
    const anchor = isHandleOf(deps.prefix, handle) && reference !== undefined ? readReference(handle, reference) : undefined
    const stands = anchor?.ok === true ? await tokens.stands(anchor.value, patience) : undefined
    return stands?.ok === true ? (stands.value ? 'Alive' : 'Dead') : 'Unknown'
  }

  async function ready(params: ServiceAccountTokenParams): Promise<Result<undefined, Failure>> {
    const standing = await tokens.standing(patience)
    if (!standing.ok) return fail({ reason: 'ProviderUnreachable', message: standing.failure })
    const invalid = (message: string): Result<never, Failure> => fail({ reason: 'ProviderConfigInvalid', message })
    if (standing.value.problem !== undefined) return invalid(standing.value.problem)
    if (params.allowApiServerAudience === true) return ok(undefined)
    const open = params.audiences.find((audience) => audience === standing.value.issuer || admitted.has(audience))
    return open === undefined ? ok(undefined) : invalid(apiServerAudience(open))
  }

  return createOutsideProvider(deps.prefix, {
    type: 'serviceAccountToken',
    promises,
    judge: judgeParams,
    check: judgeRequest,
    ready,
    make,
    revoke,
    outside: {
      // a late token is bound to an anchor that is gone
      settling: seconds(0),
      renewal: 'Successor',
      async clean(_params, { handle, namespace }) {
        if (namespace === undefined) return ok(undefined)
        const removed = await tokens.remove({ namespace, name: anchorName(handle) }, patience)
        return removed.ok ? ok(undefined) : removed
      },
      inspection: { batch: 25, look: (_params, leases) => Promise.all(leases.map(sightOf)) },
    },
  })
}
