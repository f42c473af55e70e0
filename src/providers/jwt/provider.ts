// Tokens signed by the issuer of this installation: OAuth access tokens with a place in a status list, and SPIFFE JWT-SVIDs.
// Decides nothing about policy and talks to nobody.

import { type Duration, milliseconds, seconds } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { ClaimsBuilders } from '../../ports/claims.ts'
import type { Entropy } from '../../ports/entropy.ts'
import { lifeEnd, minTtl } from '../../ports/lives.ts'
import type { Failure, Issued, Order, Provider, Reservation } from '../../ports/provider.ts'
import type { Claims, IssuerIdentity, Signer, StatusAllocator } from '../../ports/signer.ts'
import { type JwtParams, judgeParams, judgeRequest, maxTtl } from './params.ts'

export interface JwtDependencies {
  readonly signer: Signer
  readonly statuses: StatusAllocator
  readonly claims: ClaimsBuilders
  readonly identity: IssuerIdentity
  readonly entropy: Entropy
  /** how long a verifier may keep a status list */
  readonly listTtl: Duration
}

/** A list of a leader that is gone can be handed on for this long. */
const failoverMargin: Duration = seconds(60)

export function createJwtProvider(deps: JwtDependencies): Provider<JwtParams> {
  async function make(params: JwtParams, order: Order, reservation: Reservation, first: boolean): Promise<Result<Issued, Failure>> {
    const problem = judgeParams(params) ?? judgeRequest(params, { ...order, name: order.credential, ttl: minTtl })
    if (problem !== undefined) return fail(problem)
    const expiresAt = lifeEnd(order, maxTtl(params))
    if (expiresAt <= order.issuedAt) return failed(order, 'would be dead on arrival: its expiry is not after its issue')
    const claims = buildClaims(params, { ...order, expiresAt }, reservation)
    if (!claims.ok) return failed(order, `cannot be issued: ${claims.failure}`)
    if (first && params.profile === 'AccessToken' && !usable(reservation)) {
      return failed(order, 'cannot be issued under its place in the status list, which is not recorded on the task or of an earlier leader')
    }
    try {
      const token = await deps.signer.sign(params.profile, claims.value)
      return ok({ fields: { token }, expiresAt })
    } catch {
      return failed(order, 'could not be signed')
    }
  }

  function buildClaims(params: JwtParams, order: Order, reservation: Reservation): Result<Claims, string> {
    const facts = { identity: deps.identity, order, tokenId: deps.entropy.uuid() }
    if (params.profile === 'JWTSVID') return deps.claims.jwtSvid(facts)
    if (reservation.statusList === undefined) return fail('no place in a status list was reserved for it')
    return deps.claims.accessToken({ ...facts, status: reservation.statusList })
  }

  const usable = (reservation: Reservation): boolean => reservation.statusList !== undefined && deps.statuses.usable(reservation.statusList)

  return {
    type: 'jwt',
    promises: (params) => ({
      revocation: params.profile === 'AccessToken' ? 'Checked' : 'ExpireOnly',
      bound: params.profile === 'AccessToken' ? milliseconds(deps.listTtl + failoverMargin) : maxTtl(params),
      minTtl,
      leastLife: seconds(1),
      maxTtl: maxTtl(params),
    }),
    async ready(params) {
      const problem = judgeParams(params)
      return problem === undefined ? ok(undefined) : fail(problem)
    },
    check: judgeRequest,
    reserve(params) {
      if (params.profile === 'JWTSVID') return ok({})
      const statusList = deps.statuses.reserve()
      if (statusList !== undefined) return ok({ statusList })
      return fail({ reason: 'ProviderNotReady', message: 'the status list of this replica is not recorded yet; it is tried again' })
    },
    issue: (params, order, reservation) => make(params, order, reservation, true),
    renew: (params, order, reservation) => make(params, order, reservation, false),
    async revoke(_params, reservation) {
      if (reservation.statusList !== undefined) deps.statuses.end(reservation.statusList)
      return ok(undefined)
    },
  }
}

function failed(order: Order, what: string): Result<never, Failure> {
  return fail({ reason: 'IssueFailed', message: `credential \`${order.credential}\` ${what}` })
}
