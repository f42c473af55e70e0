// Credentials from somebody's own service, by a contract over HTTPS. The service is not believed more than it must be: what it gives is held
// against what was asked for, and that it revoked is asked for again.

import { isHandleOf } from '../../core/lease.ts'
import { splitKey } from '../../core/names.ts'
import { formatTime, seconds } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { inTurn } from '../../lib/turns.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logins } from '../../ports/login.ts'
import { createOutsideProvider, type Making, type Row } from '../../ports/outside.ts'
import type { Issued, Lease, Order, Provider, Sight } from '../../ports/provider.ts'
import { judgeParams, judgeRequest, promises, type WebhookParams } from './params.ts'
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

  async function make(params: WebhookParams, order: Order, { lease, first, end }: Making): Promise<Result<Issued, string>> {
    const proof = await proofs.task(params, order)
    if (!proof.ok) return proof
    const left = (): number => Math.min(patience, order.deadline - clock.monotonic())
    const body = { ...asked(order, lease), expiresAt: formatTime(end) }
    const made = await wire.make(params, proof.value, first ? 'issue' : 'renew', body, left)
    if (!made.ok) return made
    // what lives longer than was asked for is not delivered; its handle is killed as that of any attempt that failed
    if (made.value.expiresAt > end) return fail('what it gave lives longer than was asked for')
    if (made.value.expiresAt <= order.issuedAt) return fail('what it gave is dead on arrival')
    return made
  }

  /** One call of the operator's own about a handle, with a login for it: a service may refuse to see one twice. */
  async function own<T>(
    params: WebhookParams,
    handle: string,
    call: (proof: Proof) => Promise<Result<T, string>>,
  ): Promise<Result<T, string>> {
    const proof = await proofs.operator(params)
    const done = proof.ok ? await call(proof.value) : proof
    return done.ok ? done : fail(`\`${handle}\`: ${done.failure}`)
  }

  async function revoke(params: WebhookParams, { lease: { handle } }: Row): Promise<Result<undefined, string>> {
    const revoked = await own(params, handle, (proof) => wire.revoke(params, proof, handle))
    if (!revoked.ok) return revoked
    // that the call succeeded says nothing
    return own(params, handle, async (proof) => {
      const state = await wire.inspect(params, proof, handle)
      if (!state.ok) return state
      return state.value === 'Revoked' ? ok(undefined) : fail(`it says that it revoked it, and then that it is ${state.value}`)
    })
  }

  return createOutsideProvider(prefix, {
    type: 'webhook',
    promises,
    judge: judgeParams,
    check: judgeRequest,
    async ready(params) {
      proofs.forget(params)
      const proof = await proofs.operator(params)
      const answer = proof.ok ? await wire.ready(params, proof.value) : proof
      return answer.ok ? ok(undefined) : fail({ reason: 'ProviderUnreachable', message: `${new URL(params.url).host}: ${answer.failure}` })
    },
    make,
    revoke,
    outside: {
      settling: seconds(30),
      renewal: 'InPlace',
      clean: (params, { handle, effectBy }) => own(params, handle, (proof) => wire.forget(params, proof, handle, effectBy)),
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
            if (!ours(handle)) return 'Unknown'
            const state = await own(params, handle, (proof) => wire.inspect(params, proof, handle))
            return state.ok ? sights[state.value] : 'Unknown'
          }),
      },
    },
  })
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
