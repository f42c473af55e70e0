// Sessions of a role at AWS, each for one task, by a login token of that task. Nobody can end such a session: until when it lives is noted
// in the ledger before it is asked for, and it is waited for. What is said to STS is in wire.ts.

import { splitKey } from '../../core/names.ts'
import { at, formatTime, type Instant, milliseconds, minus, parseTime, plus, seconds, toSeconds } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logins } from '../../ports/login.ts'
import { createOutsideProvider, type Making, type Row } from '../../ports/outside.ts'
import type { Failure, Issued, Order, Provider, Unrevoked } from '../../ports/provider.ts'
import { readSession } from './answers.ts'
import { outputs } from './outputs.ts'
import { type AwsParams, arrival, assumedRole, endpointOf, judgeParams, judgeRequest, promises, sessionOf, shortest } from './params.ts'
import type { StsWire } from './wire.ts'

export interface AwsDependencies {
  readonly wire: StsWire
  readonly clock: Clock
  readonly logins: Pick<Logins, 'task'>
  /** what all handles of this installation begin with */
  readonly prefix: string
}

/** Together with the time to connect, no more than `arrival`. */
const patience = 10_000
/** Noted where it is certain that nothing was made. */
const never = formatTime(at(0))

export function createAwsProvider({ wire, clock, logins, prefix }: AwsDependencies): Provider<AwsParams> {
  async function make(params: AwsParams, order: Order, making: Making): Promise<Result<Issued, string | Failure>> {
    const { lease, record, first, end: until } = making
    const session = sessionOf(params, order.scopes)
    if (session === undefined) return fail('it asks for no session')
    const { handle, reference } = lease
    if (first !== (reference === undefined))
      return fail(first ? 'something was asked for under its row already' : 'nothing was asked for under its row')
    const before = readUntil(reference)
    if (before === undefined) return fail('its row in the ledger holds a reference that cannot be read')
    const login = await logins.task(order, params.audience, handle, tagsOf(order))
    if (!login.ok) return login
    const noted = await record(later(before, until))
    if (!noted.ok) return noted
    const left = milliseconds(minus(until, arrival) - clock.now())
    const asked = {
      handle,
      login: login.value,
      session,
      seconds: toSeconds(left),
      limit: () => Math.min(patience, order.deadline - clock.monotonic()),
    }
    const answer =
      left < shortest
        ? fail({ sentence: 'less time is left than the shortest session takes: it is tried afresh', made: false })
        : await wire.assume(params, asked)
    if (!answer.ok) {
      // else the row would be open for as long as what was refused would have lived
      if (!answer.failure.made) await record(reference ?? never)
      return fail(answer.failure.sentence)
    }
    const arn = `${assumedRole(params)}/${handle}`
    const keys = readSession(answer.value, { arn, handle, audience: params.audience, until, now: clock.now() })
    if (!keys.ok) return keys
    return ok({ fields: outputs(params, keys.value), expiresAt: keys.value.expiresAt })
  }

  async function revoke(_params: AwsParams, { lease }: Row): Promise<Result<undefined, string | Unrevoked>> {
    // nothing was noted, so nothing was asked for, and in a row that dies nothing is noted any more
    const until = readUntil(lease.reference)
    if (until === undefined) return fail('its row in the ledger holds a reference that cannot be read')
    if (until <= clock.now()) return ok(undefined)
    return fail({ reason: 'ExpiresAt', message: `AWS ends no session: it works until ${formatTime(until)} at the latest`, until })
  }

  return createOutsideProvider(prefix, {
    type: 'aws',
    promises,
    judge: judgeParams,
    check: judgeRequest,
    async ready(params) {
      const answer = await wire.probe(params)
      return answer.ok
        ? ok(undefined)
        : fail({ reason: 'ProviderUnreachable', message: `${new URL(endpointOf(params)).host}: ${answer.failure}` })
    },
    make,
    revoke,
    // STS lists no sessions
    outside: { settling: seconds(0), renewal: 'Successor' },
  })
}

/** On the session they are `aws:PrincipalTag/taskbound-…`, for the policies of whatever it is used at. */
function tagsOf({ task, agent, action, taskUid }: Order): Readonly<Record<string, string>> {
  const { namespace } = splitKey(task)
  return { 'taskbound-namespace': namespace, 'taskbound-agent': agent, 'taskbound-action': action, 'taskbound-task-uid': taskUid }
}

/** The later of both: what was made before lives on beside its successor. */
const later = (before: Instant, until: Instant): string => formatTime(at(Math.max(before, plus(until, seconds(1)))))

/** `undefined` for what cannot be read: whoever wrote that, nothing may be taken for dead. */
function readUntil(reference: string | undefined): Instant | undefined {
  if (reference === undefined) return at(0)
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(reference) ? parseTime(reference) : undefined
}
