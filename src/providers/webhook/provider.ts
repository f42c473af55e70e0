// Credentials from somebody's own service, by a contract over HTTPS. The service is not believed more than it must be: what it gives is held
// against what was asked for, and that it revoked is asked for again.

import { isHandleOf } from '../../core/lease.ts'
import { splitKey } from '../../core/names.ts'
import { formatTime, seconds } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { inTurn } from '../../lib/turns.ts'
import type { Clock } from '../../ports/clock.ts'
import { lifeEnd, minTtl } from '../../ports/lives.ts'
import type { Logins } from '../../ports/login.ts'
import type { Failure, Issued, Lease, Order, Provider, Reservation, Sight } from '../../ports/provider.ts'
import { judgeParams, judgeRequest, maxTtl, promises, type WebhookParams } from './params.ts'
import { createProofs, type Proof, type ReadKey } from './proofs.ts'
import type { State, WebhookWire } from './wire.ts'

export interface WebhookDependencies {
  readonly wire: WebhookWire
  readonly logins: Logins
  readonly readKey: ReadKey
  readonly clock: Pick<Clock, 'monotonic'>
  /** what all handles of this installation begin with */
  readonly prefix: string
}

const patience = 10_000
/** A handle that the service does not know is not one that it ended. */
const sights: Readonly<Record<State, Sight>> = { Live: 'Alive', Revoked: 'Dead', Unknown: 'Unknown' }

export function createWebhookProvider({ wire, logins, readKey, clock, prefix }: WebhookDependencies): Provider<WebhookParams> {
  const proofs = createProofs(logins, readKey, clock)
  const ours = (handle: string): boolean => isHandleOf(prefix, handle)

  async function make(
    params: WebhookParams,
    order: Order,
    lease: Lease | undefined,
    call: 'issue' | 'renew',
  ): Promise<Result<Issued, Failure>> {
    const failed = (message: string): Result<never, Failure> =>
      fail({ reason: 'IssueFailed', message: `credential \`${order.credential}\`: ${message}` })
    const problem = judgeParams(params) ?? judgeRequest(params, { ...order, name: order.credential, ttl: minTtl })
    if (problem !== undefined) return fail(problem)
    if (lease === undefined) return failed('it has no row in the ledger')
    if (!ours(lease.handle)) return failed('its row in the ledger has no handle of this installation')
    const expiresAt = lifeEnd(order, maxTtl(params))
    if (expiresAt <= order.issuedAt) return failed('it would be dead on arrival: its expiry is not after its issue')
    const proof = await proofs.task(params, order)
    if (!proof.ok) return failed(proof.failure)
    const left = (): number => Math.min(patience, order.deadline - clock.monotonic())
    const made = await wire.make(params, proof.value, call, { ...asked(order, lease), expiresAt: formatTime(expiresAt) }, left)
    if (!made.ok) return failed(made.failure)
    // what lives longer than was asked for is not delivered; its handle is killed as that of any attempt that failed
    if (made.value.expiresAt > expiresAt) return failed('what it gave lives longer than was asked for')
    if (made.value.expiresAt <= order.issuedAt) return failed('what it gave is dead on arrival')
    return ok(made.value)
  }

  /** One call of the operator's own about a handle, with a login for it: a service may refuse to see one twice. */
  async function own<T>(
    params: WebhookParams | undefined,
    handle: string,
    call: (params: WebhookParams, proof: Proof) => Promise<Result<T, string>>,
  ): Promise<Result<T, Failure>> {
    const unconfirmed = (message: string): Result<never, Failure> =>
      fail({ reason: 'RevocationUnconfirmed', message: `\`${handle}\`: ${message}` })
    if (params === undefined) return unconfirmed('the settings of its provider are not known')
    if (!ours(handle)) return unconfirmed('it is no handle of this installation')
    const proof = await proofs.operator(params)
    if (!proof.ok) return unconfirmed(proof.failure)
    const done = await call(params, proof.value)
    return done.ok ? done : unconfirmed(done.failure)
  }

  return {
    type: 'webhook',
    promises,
    async ready(params) {
      const problem = judgeParams(params)
      if (problem !== undefined) return fail(problem)
      proofs.forget(params)
      const proof = await proofs.operator(params)
      const answer = proof.ok ? await wire.ready(params, proof.value) : proof
      return answer.ok ? ok(undefined) : fail({ reason: 'ProviderUnreachable', message: `${new URL(params.url).host}: ${answer.failure}` })
    },
    check: judgeRequest,
    reserve: () => ok({}),
    issue: (params, order, { lease }) => make(params, order, lease, 'issue'),
    renew: (params, order, { lease }) => make(params, order, lease, 'renew'),
    async revoke(params, { lease }: Reservation) {
      if (lease === undefined) return ok(undefined)
      const revoked = await own(params, lease.handle, (known, proof) => wire.revoke(known, proof, lease.handle))
      if (!revoked.ok) return revoked
      // that the call succeeded says nothing
      return own(params, lease.handle, async (known, proof) => {
        const state = await wire.inspect(known, proof, lease.handle)
        if (!state.ok) return state
        return state.value === 'Revoked' ? ok(undefined) : fail(`it says that it revoked it, and then that it is ${state.value}`)
      })
    },
    outside: {
      settling: seconds(30),
      renewal: 'InPlace',
      clean: (params, { handle, effectBy }) => own(params, handle, (known, proof) => wire.forget(known, proof, handle, effectBy)),
      async list(params, wanted) {
        const proof = await proofs.operator(params)
        const listed = proof.ok ? await wire.list(params, proof.value, wanted) : proof
        if (!listed.ok) return fail({ reason: 'ProviderUnreachable', message: `${new URL(params.url).host}: ${listed.failure}` })
        return ok(listed.value.filter((handle) => handle.startsWith(wanted) && ours(handle)))
      },
      inspection: {
        batch: 40,
        look: (params, leases) =>
          inTurn(leases, async ({ handle }) => {
            const state = await own(params, handle, (known, proof) => wire.inspect(known, proof, handle))
            return state.ok ? sights[state.value] : 'Unknown'
          }),
      },
    },
  }
}

/** What a call says of the task: the login token says the same, signed. */
function asked(order: Order, { handle, effectBy }: Lease): object {
  return {
    handle,
    effectBy: new Date(effectBy).toISOString(),
    credential: order.credential,
    scopes: order.scopes,
    agent: order.agent,
    action: order.action,
    task: { ...splitKey(order.task), uid: order.taskUid, attempt: order.attempt },
  }
}
