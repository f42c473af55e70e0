// Who asked for a task, and whether admission vouches for it. Only a task made while the check was in force has a known requester.

import type { Task } from '../core/observed.ts'
import type { Instant } from '../lib/instant.ts'
import type { Requester } from '../ports/authorizer.ts'

export interface RequesterDeps {
  /** the moment since which the check has been seen in force without a gap; `undefined` while it is not */
  readonly vouchedSince: () => Instant | undefined
  /** whether any Agent of the namespace names this ServiceAccount */
  readonly isAgent: (namespace: string, serviceAccount: string) => boolean
}

export interface Asker {
  readonly requester: Requester
  /** why it is `Unknown`, for the message of a denial */
  readonly why: string | undefined
}

const unknown = (why: string): Asker => ({ requester: { kind: 'Unknown', username: '', groups: [] }, why })
const serviceAccountPrefix = 'system:serviceaccount:'

export function createAsker({ vouchedSince, isAgent }: RequesterDeps): (task: Task) => Asker {
  return (task) => {
    const since = vouchedSince()
    const by = task.spec.requestedBy
    if (since === undefined)
      return unknown('who asked is not known, since the admission policy that checks `spec.requestedBy` is not in force')
    if (by === undefined || by.username === '')
      return unknown('who asked is not known, since `spec.requestedBy` was not filled in when the task was created')
    // creationTimestamp has whole seconds, so a task of the very second counts as too old
    if (task.createdAt <= since)
      return unknown('who asked is not known, since the task is older than the check of `spec.requestedBy`; create it again')
    return { requester: { kind: kindOf(by.username, isAgent), username: by.username, groups: by.groups }, why: undefined }
  }
}

function kindOf(username: string, isAgent: RequesterDeps['isAgent']): Requester['kind'] {
  if (!username.startsWith(serviceAccountPrefix)) return 'User'
  const [namespace = '', name = ''] = username.slice(serviceAccountPrefix.length).split(':')
  return isAgent(namespace, name) ? 'Agent' : 'ServiceAccount'
}
