// Login tokens: by them the source of a provider knows for which task it is asked, or that this operator asks. Nobody else ever sees one.
// Builds claims; signs nothing.

import { type Duration, type Instant, plus, seconds } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Order } from '../../ports/provider.ts'
import type { Claims, IssuerIdentity } from '../../ports/signer.ts'
import { numericDate } from './numeric-date.ts'
import { operatorId, taskId } from './spiffe-id.ts'
import { taskClaim } from './task-claim.ts'

/** As long as one call may take, and some. */
const life: Duration = seconds(60)

export interface LoginFacts {
  /** the URL is that of logins, not of tasks' tokens */
  readonly identity: IssuerIdentity
  /** exactly the source that it is for */
  readonly audience: string
  readonly tokenId: string
  readonly now: Instant
  /** of the task that is asked for; without it the operator asks, to end what it made */
  readonly order?: Order
  /** of the ledger's row under which that task asks */
  readonly handle?: string
  /** of the session that AWS makes of it */
  readonly tags?: Readonly<Record<string, string>>
}

/** As AWS reads session tags from a token of web identity: each value in a list of one, and all of them handed on from role to role. */
const tagsClaim = (tags: Readonly<Record<string, string>>): Claims => ({
  'https://aws.amazon.com/tags': {
    principal_tags: Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, [value]])),
    transitive_tag_keys: Object.keys(tags),
  },
})

/** One audience, as a string (RFC 7523bis); `sub` is the SPIFFE ID of the agent at this task, or of the operator. */
export function loginClaims({ identity, audience, tokenId, now, order, handle, tags }: LoginFacts): Result<Claims, string> {
  if (audience === '') return fail('a login needs an audience')
  const { trustDomain } = identity
  const subject = order === undefined ? operatorId(trustDomain) : taskId(trustDomain, order.task, order.agent, order.taskUid)
  if (!subject.ok) return subject
  return ok({
    iss: identity.url,
    sub: subject.value,
    aud: audience,
    iat: numericDate(now),
    exp: numericDate(plus(now, life)),
    jti: tokenId,
    ...(order === undefined ? {} : { taskbound: { ...taskClaim(order), ...(handle === undefined ? {} : { handle }) } }),
    ...(tags === undefined ? {} : tagsClaim(tags)),
  })
}
