// What a Vault or an OpenBao gives a task that logs in there. Decides nothing about policy: the role's `bound_claims` there do, and the
// operator's own login can read nothing of it. What is said to the server is in wire.ts.

import { type Instant, plus, seconds, toSeconds, wholeSecond } from '../../lib/instant.ts'
import type { Json } from '../../lib/json.ts'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { inTurn } from '../../lib/turns.ts'
import type { Clock } from '../../ports/clock.ts'
import { minTtl } from '../../ports/lives.ts'
import type { Logins } from '../../ports/login.ts'
import { createOutsideProvider, type Making, type Row, unconfirmed } from '../../ports/outside.ts'
import type { Failure, Issued, Lease, Order, Provider, Sight } from '../../ports/provider.ts'
import { firstLife, type Login, readLease, readLife, readLogin, readValue, tokenOf } from './answers.ts'
import { createOwnLogin } from './operator.ts'
import { isStatic, judgeParams, judgeRequest, promises, type VaultParams } from './params.ts'
import { judgeServer } from './ready.ts'
import { type Entry, readReference, unused, writeReference } from './reference.ts'
import type { VaultFailure, Wire } from './wire.ts'

export interface VaultDependencies {
  readonly wire: Wire
  readonly clock: Clock
  readonly logins: Logins
  /** what all handles of this installation begin with */
  readonly prefix: string
}

const patience = 5_000
/** A kubelet shows a changed Secret within 90 seconds. */
const grace = seconds(120)
/** Renewals that failed one after the other leave a row with so many logins, until they are known to be dead. */
const mostEntries = 16

/** One login on behalf of a task, while something is being made by it. */
interface Use {
  readonly params: VaultParams
  readonly order: Order
  readonly path: string
  readonly login: Login
  readonly expiresAt: Instant
  /** notes this login in the row, with the lease that was made by it */
  note(lease?: string): Promise<Result<undefined, Failure>>
}

/** `underWay`: the source may be making it yet, so the login is not to be ended under its hands. */
type Made = Result<Issued, string | Failure | { readonly underWay: string }>

export function createVaultProvider(deps: VaultDependencies): Provider<VaultParams> {
  const { wire, clock, logins } = deps
  const own = createOwnLogin(deps)

  async function make(params: VaultParams, order: Order, making: Making): Promise<Result<Issued, string | Failure>> {
    const { lease, record, first, end: expiresAt } = making
    const before = readReference(lease.reference)
    if (!before.ok) return before
    if (first !== (before.value.length === 0))
      return fail(first ? 'something was issued under its row already' : 'nothing was issued under its row')
    const alive = await withoutDead(params, lease.handle, before.value)
    if (alive.length >= mostEntries) return fail('too many logins of earlier renewals are not known to be dead')
    const begun = clock.now()
    const login = await logIn(params, order, lease.handle)
    if (!login.ok) return login
    const note = (made?: string): Promise<Result<undefined, Failure>> => {
      const until = made === undefined ? plus(begun, unused) : plus(expiresAt, seconds(1))
      const entry: Entry = { accessor: login.value.accessor, attempt: order.attempt, until, ...(made === undefined ? {} : { lease: made }) }
      return record(writeReference([...alive, entry]))
    }
    const use: Use = { params, order, path: order.scopes[0] ?? '', login: login.value, expiresAt, note }
    const noted = await note()
    const made: Made = noted.ok ? await read(use) : noted
    if (made.ok) return made
    if (typeof made.failure !== 'string' && 'underWay' in made.failure) return fail(made.failure.underWay)
    await giveBack(params, login.value.token)
    return fail(made.failure)
  }

  const limitOf = (order: Order) => (): number => Math.min(patience, order.deadline - clock.monotonic())

  async function logIn(params: VaultParams, order: Order, handle: string): Promise<Result<Login, string>> {
    const signed = await logins.task(order, params.audience, handle)
    if (!signed.ok) return signed
    const body = { role: params.role, jwt: new TextDecoder().decode(signed.value.reveal()) }
    const answer = await wire.call(params, { method: 'POST', path: `auth/${params.authMount}/login`, body, limit: limitOf(order) })
    if (!answer.ok) return fail(`the login: ${answer.failure.sentence}`)
    const login = readLogin(answer.value, handle)
    if (!login.ok) await giveBack(params, tokenOf(answer.value))
    return login
  }

  /** Repeated by whoever works off the row, where it is not heard. */
  async function giveBack(params: VaultParams, token: Material | undefined): Promise<void> {
    if (token !== undefined) await wire.call(params, { method: 'POST', path: 'auth/token/revoke-self', token, body: {}, limit: patience })
  }

  async function read(use: Use): Promise<Made> {
    const { params, order, path, login, expiresAt } = use
    const answer = await wire.call(params, { method: 'GET', path, token: login.token, limit: limitOf(order) })
    if (!answer.ok) {
      const sentence = `\`${path}\`: ${answer.failure.sentence}`
      return fail(answer.failure.kind === 'silent' && answer.failure.sent ? { underWay: sentence } : sentence)
    }
    if (params.paths.find((entry) => entry.path === path)?.kind !== 'Static') return prolong(use, answer.value)
    const value = readValue(answer.value)
    if (!value.ok) return fail(`\`${path}\`: ${value.failure}`)
    await giveBack(params, login.token)
    return ok({ fields: value.value, expiresAt })
  }

  /**
   * Until here everything dies within a minute by itself. The lease, and last of all the token that it hangs on, are asked to live as long
   * as was ordered, once the row knows both.
   */
  async function prolong({ params, order, path, login, expiresAt, note }: Use, answer: Json): Promise<Made> {
    const leased = readLease(answer, path)
    if (!leased.ok) return fail(`\`${path}\`: ${leased.failure}`)
    const { id, fields, renewable } = leased.value
    const noted = await note(id)
    if (!noted.ok) return noted
    const { token } = login
    const begun = clock.now()
    const wanted = Math.ceil((expiresAt - begun) / 1000)
    const put = (place: string, body: Json): Promise<Result<Json, VaultFailure>> =>
      wire.call(params, { method: 'PUT', path: place, token, body, limit: limitOf(order) })
    let leaseLife = leased.value.life
    if (leaseLife < wanted && renewable) {
      const renewed = await put('sys/leases/renew', { lease_id: id, increment: wanted })
      if (!renewed.ok) return fail(`the lease of \`${path}\`: ${renewed.failure.sentence}`)
      const life = readLife(renewed.value, 'lease')
      if (!life.ok) return life
      leaseLife = life.value
    }
    const renewed = await put('auth/token/renew-self', { increment: wanted })
    if (!renewed.ok) return fail(`the login: ${renewed.failure.sentence}`)
    const tokenLife = readLife(renewed.value, 'token')
    if (!tokenLife.ok) return tokenLife
    if (tokenLife.value > wanted + 1) return fail('it gave the token a longer life than was asked for')
    const given = Math.min(leaseLife, tokenLife.value)
    if (given + 1 < Math.min(wanted, toSeconds(minTtl)))
      return fail(
        `what it gives lives ${given} seconds only: raise ${leaseLife < tokenLife.value ? `\`max_ttl\` of the engine's role` : "`token_max_ttl` of the login's role"}`,
      )
    return ok({ fields, expiresAt: given + 1 >= wanted ? expiresAt : wholeSecond(plus(begun, seconds(given))) })
  }

  /** Predecessors whose time is over are ended, should the source not have done it, and are then forgotten. */
  async function withoutDead(params: VaultParams, handle: string, entries: readonly Entry[]): Promise<readonly Entry[]> {
    const now = clock.now()
    const kept = await Promise.all(entries.map(async (entry) => entry.until > now || (await own.end(params, handle, entry)) !== undefined))
    return entries.filter((_, i) => kept[i] === true)
  }

  /**
   * Which of them pods hold is not said, so it is dead only where all are that were made and whose time is not over: a renewal that came to
   * nothing leaves one that was given back.
   */
  async function sightOf(params: VaultParams, { handle, reference }: Lease): Promise<Sight> {
    const entries = readReference(reference)
    const made = entries.ok ? entries.value.filter(({ lease, until }) => lease !== undefined && until > clock.now()) : []
    const sights = await Promise.all(made.map((entry) => own.sight(params, handle, entry)))
    return sights.find((sight) => sight !== 'Dead') ?? (sights.length > 0 ? 'Dead' : 'Unknown')
  }

  /** A renewal that came to nothing may have had the number of the one that was delivered: the last of them is the one that pods hold. */
  async function retire(params: VaultParams, { handle, reference }: Lease, attempt: number): Promise<Result<string | undefined, Failure>> {
    const entries = readReference(reference)
    if (!entries.ok) return unconfirmed(entries.failure)
    const held = entries.value.findLastIndex((entry) => entry.attempt === attempt)
    if (held <= 0) return ok(undefined)
    const problems = await Promise.all(entries.value.slice(0, held).map((entry) => own.end(params, handle, entry)))
    const problem = problems.find((text) => text !== undefined)
    return problem === undefined ? ok(writeReference(entries.value.slice(held))) : unconfirmed(`\`${handle}\`: ${problem}`)
  }

  async function revoke(params: VaultParams, { lease }: Row): Promise<Result<undefined, string>> {
    const entries = readReference(lease.reference)
    if (!entries.ok) return entries
    // nothing was noted, so nothing was asked for: a login that nobody knows of dies unused, within a minute
    const problems = await Promise.all(entries.value.map((entry) => own.end(params, lease.handle, entry)))
    const problem = problems.find((text) => text !== undefined)
    return problem === undefined ? ok(undefined) : fail(`login \`${lease.handle}\` at ${new URL(params.address).host}: ${problem}`)
  }

  return createOutsideProvider(deps.prefix, {
    type: 'vault',
    promises,
    judge: judgeParams,
    check: judgeRequest,
    ready: (params) => judgeServer(own, params),
    make,
    revoke,
    outside: {
      settling: seconds(firstLife),
      renewal: 'Successor',
      retirement: { grace, retire },
      inspection: {
        batch: 25,
        look: (params, leases) => inTurn(leases, (lease) => (isStatic(params) ? Promise.resolve('Unknown') : sightOf(params, lease))),
      },
    },
  })
}
