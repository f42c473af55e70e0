// The claim `taskbound`: which task a token was issued for. The same in every profile that a task can hold.

import { splitKey } from '../../core/names.ts'
import type { Order } from '../../ports/provider.ts'
import type { Claims } from '../../ports/signer.ts'

/** `{task: {uid, namespace, name}, agent, action, environment?, requestedBy?, attempt}`; what is not known is left out. */
export function taskClaim(order: Order): Claims {
  return {
    task: { uid: order.taskUid, ...splitKey(order.task) },
    agent: order.agent,
    action: order.action,
    ...(order.environment === undefined ? {} : { environment: order.environment }),
    ...(order.requestedBy === undefined ? {} : { requestedBy: order.requestedBy }),
    attempt: order.attempt,
  }
}
