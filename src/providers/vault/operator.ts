// What the operator does at a Vault in its own name: it logs in, with a role that can read nothing a task asks for, looks things up, and
// ends them. Its token is kept while it lives, for the one server that gave it.

import type { Json } from '../../lib/json.ts'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logins } from '../../ports/login.ts'
import type { Sight } from '../../ports/provider.ts'
import { handleOfToken, readLogin } from './answers.ts'
import type { VaultParams } from './params.ts'
import { type Entry, mayBeMaking } from './reference.ts'
import type { VaultCall, VaultFailure, Wire } from './wire.ts'

export interface OperatorDeps {
  readonly wire: Wire
  readonly logins: Pick<Logins, 'operator'>
  readonly clock: Clock
}

export interface OwnLogin {
  /** A call in the operator's name; one that is refused is made once more with a fresh login. */
  call(params: VaultParams, call: Omit<VaultCall, 'token'>): Promise<Result<Json, VaultFailure>>
  /**
   * Ends a login and what was made by it, and looks until neither is there. Repeatable.
   * @returns `undefined` when it is dead, or why that is not known: a sentence
   */
  end(params: VaultParams, handle: string, entry: Entry): Promise<string | undefined>
  /** Whether what was made by one login is there: `Dead` only where the server itself says that the login or the lease is not. */
  sight(params: VaultParams, handle: string, entry: Entry): Promise<Sight>
  forget(params: VaultParams): void
}

const patience = 5_000
/** Ending a lease waits for the engine that made it. */
const endingPatience = 20_000

const broken = (sentence: string): Result<never, VaultFailure> => fail({ kind: 'broken', sentence, sent: false })

export function createOwnLogin({ wire, logins, clock }: OperatorDeps): OwnLogin {
  const known = new Map<string, { readonly token: Material; readonly until: number }>()
  const underWay = new Map<string, Promise<Result<Material, VaultFailure>>>()
  // a token is never shown to another server, nor past other authorities than those that vouched for it
  const keyOf = ({ address, caBundle, vaultNamespace, authMount, operatorRole, audience, allowedAddresses }: VaultParams): string =>
    JSON.stringify([address, caBundle, vaultNamespace, authMount, operatorRole, audience, allowedAddresses])

  async function logIn(params: VaultParams): Promise<Result<Material, VaultFailure>> {
    const signed = await logins.operator(params.audience)
    if (!signed.ok) return broken(signed.failure)
    const begun = clock.monotonic()
    const jwt = new TextDecoder().decode(signed.value.reveal())
    const answer = await wire.call(params, {
      method: 'POST',
      path: `auth/${params.authMount}/login`,
      body: { role: params.operatorRole, jwt },
      limit: patience,
    })
    if (!answer.ok) return fail({ ...answer.failure, sentence: `the login of \`operatorRole\`: ${answer.failure.sentence}` })
    const login = readLogin(answer.value, undefined)
    if (!login.ok) return broken(`the login of \`operatorRole\`: ${login.failure}`)
    known.set(keyOf(params), { token: login.value.token, until: begun + login.value.life * 800 })
    return ok(login.value.token)
  }

  function tokenOf(params: VaultParams): Promise<Result<Material, VaultFailure>> {
    const key = keyOf(params)
    const kept = known.get(key)
    if (kept !== undefined && clock.monotonic() < kept.until) return Promise.resolve(ok(kept.token))
    const begun = underWay.get(key) ?? logIn(params).finally(() => underWay.delete(key))
    underWay.set(key, begun)
    return begun
  }

  const own: OwnLogin = {
    async call(params, call) {
      for (let again = false; ; again = true) {
        const token = await tokenOf(params)
        if (!token.ok) return token
        const answer = await wire.call(params, { ...call, token: token.value })
        if (answer.ok || again || answer.failure.kind !== 'denied') return answer
        known.delete(keyOf(params))
      }
    },
    forget: (params) => void known.delete(keyOf(params)),
    async sight(params, handle, { accessor, lease }) {
      const look = (path: string, body: Json) => own.call(params, { method: 'PUT', path, body, limit: patience })
      const token = await look('auth/token/lookup-accessor', { accessor })
      if (!token.ok) return token.failure.kind === 'gone' ? 'Dead' : 'Unknown'
      if (lease === undefined || handleOfToken(token.value) !== handle) return 'Unknown'
      const found = await look('sys/leases/lookup', { lease_id: lease })
      if (found.ok) return 'Alive'
      return found.failure.kind === 'gone' ? 'Dead' : 'Unknown'
    },
    async end(params, handle, entry) {
      const { accessor, lease } = entry
      const lookUp = (path: string, body: Json) => own.call(params, { method: 'PUT', path, body, limit: patience })
      const token = () => lookUp('auth/token/lookup-accessor', { accessor })
      const found = await token()
      if (!found.ok && found.failure.kind !== 'gone') return found.failure.sentence
      if (found.ok && handleOfToken(found.value) !== handle) return 'the token that its row names was given to somebody else'
      if (found.ok && mayBeMaking(entry, clock.now()))
        return 'what was asked for by its login may still be under way; it is ended in seconds'
      // both are tried: a token ends also where the engine that made the lease does not answer
      const ending = [
        ...(lease === undefined ? [] : [{ path: 'sys/leases/revoke', body: { lease_id: lease, sync: true } }]),
        ...(found.ok ? [{ path: 'auth/token/revoke-accessor', body: { accessor } }] : []),
      ]
      for (const { path, body } of ending) {
        const ended = await own.call(params, { method: 'PUT', path, body, limit: endingPatience })
        if (!ended.ok && ended.failure.kind !== 'gone' && path === 'auth/token/revoke-accessor') return ended.failure.sentence
      }
      const left = [
        { what: 'the token', look: await token() },
        ...(lease === undefined ? [] : [{ what: 'the lease', look: await lookUp('sys/leases/lookup', { lease_id: lease }) }]),
      ]
      for (const { what, look } of left) {
        if (look.ok) return `${what} is still there: what made it could not end it yet`
        if (look.failure.kind !== 'gone') return look.failure.sentence
      }
      return undefined
    },
  }
  return own
}
