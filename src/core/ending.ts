// What ends a task for good: a table of named checks, first hit wins. Nothing here looks at policy.

import type { Reason } from '../api/reasons.ts'
import type { Instant } from '../lib/instant.ts'
import { formatTime, plus } from '../lib/instant.ts'
import type { Observed } from './observed.ts'
import type { Word } from './plan.ts'

export interface Ending {
  readonly reason: Reason
  readonly message: string
}

type Check = (observed: Observed, now: Instant) => Ending | undefined

const ending = (reason: Reason, message: string): Ending => ({ reason, message })

const deleted: Check = ({ task }) => (task.deleting || task.gone ? ending('TaskDeleted', 'the task was deleted') : undefined)

const namespaceTerminating: Check = ({ namespace }) =>
  namespace === 'terminating' ? ending('NamespaceTerminating', 'the namespace is being deleted') : undefined

const saidSo: Check = ({ task }) => {
  if (task.spec.end === 'Completed') return ending('EndCompleted', '`spec.end` is `Completed`')
  if (task.spec.end === 'Cancelled') return ending('EndCancelled', '`spec.end` is `Cancelled`')
  return undefined
}

const workloadFinished: Check = ({ task, workload }) => {
  if (workload.state !== 'present' || task.spec.workload === undefined) return undefined
  const { kind, name } = task.spec.workload
  const bound = task.record.bound.workload
  if (bound !== undefined && bound !== workload.uid)
    return ending('WorkloadReplaced', `another ${kind} took the name \`${name}\`; the one this task was bound to is gone`)
  if (workload.finished === 'Succeeded') return ending('WorkloadSucceeded', `${kind} \`${name}\` succeeded`)
  if (workload.finished === 'Failed') return ending('WorkloadFailed', `${kind} \`${name}\` failed`)
  if (workload.deleting) return ending('WorkloadGone', `${kind} \`${name}\` is being deleted`)
  return undefined
}

const workloadGone: Check = ({ task, workload }) =>
  workload.state === 'absent' && task.spec.workload !== undefined && task.record.bound.workload !== undefined
    ? ending('WorkloadGone', `${task.spec.workload.kind} \`${task.spec.workload.name}\` was deleted`)
    : undefined

/** When a workload must have been seen by; `undefined` once it was, or where the task names none. */
export function startBy({ task, workload }: Observed, startedAt: Instant): Instant | undefined {
  if (task.spec.workload === undefined || task.record.bound.workload !== undefined || workload.state === 'present') return undefined
  return plus(startedAt, task.spec.startingDeadline)
}

const workloadNeverSeen: Check = (observed, now) => {
  const { task } = observed
  const limit = task.record.startedAt === undefined ? undefined : startBy(observed, task.record.startedAt)
  if (limit === undefined || now < limit || observed.workload.state === 'unknown') return undefined
  const { kind, name } = task.spec.workload ?? { kind: '', name: '' }
  return ending('WorkloadNeverSeen', `${kind} \`${name}\` did not appear by ${formatTime(limit)} (\`startingDeadlineSeconds\`)`)
}

const agentGone: Check = ({ task, agent }) => {
  const bound = task.record.bound.agent
  if (bound === undefined || agent.state === 'unknown') return undefined
  if (agent.state === 'absent') return ending('AgentGone', `Agent \`${task.spec.agent}\` was deleted`)
  return agent.uid === bound ? undefined : ending('AgentReplaced', `another Agent took the name \`${task.spec.agent}\``)
}

const serviceAccountGone: Check = ({ task, agent, serviceAccount }) => {
  const bound = task.record.bound.serviceAccount
  if (bound === undefined || serviceAccount.state === 'unknown' || agent.state !== 'present') return undefined
  const name = agent.serviceAccount
  if (serviceAccount.state === 'absent') return ending('ServiceAccountGone', `ServiceAccount \`${name}\` was deleted`)
  if (serviceAccount.uid === bound) return undefined
  return ending('ServiceAccountReplaced', `the agent's ServiceAccount \`${name}\` is not the one this task was bound to`)
}

/** Whoever ended a credential at its source meant it, unless its provider says otherwise. */
const revokedOutside: Check = ({ task, leases }) => {
  const held = (handle: string): boolean => task.record.credentials.some((c) => c.handle === handle)
  const lost = leases.find(({ handle, foundDead }) => foundDead?.after === 'Fail' && held(handle))
  return lost === undefined
    ? undefined
    : ending('RevokedExternally', `credential \`${lost.credential}\` was ended at its source by somebody else (\`onExternalRevocation\`)`)
}

const timeOver: Check = ({ task }, now) => {
  const deadline = task.record.deadlineAt
  if (deadline === undefined || now < deadline) return undefined
  return ending('DeadlineExceeded', `its time ran out at ${formatTime(deadline)} (\`activeDeadlineSeconds\`)`)
}

/** In order of precedence: what somebody did on purpose, what the workload did, what others did, the clock, and what only a source says. */
const checks: readonly Check[] = [
  deleted,
  namespaceTerminating,
  saidSo,
  workloadFinished,
  workloadGone,
  agentGone,
  serviceAccountGone,
  timeOver,
  workloadNeverSeen,
  revokedOutside,
]

export function findEnding(observed: Observed, now: Instant): Ending | undefined {
  for (const check of checks) {
    const found = check(observed, now)
    if (found !== undefined) return found
  }
  return undefined
}

const words: Partial<Record<Reason, Word>> = {
  TaskDeleted: 'Cancelled',
  NamespaceTerminating: 'Cancelled',
  EndCompleted: 'Completed',
  EndCancelled: 'Cancelled',
  WorkloadSucceeded: 'Completed',
  AgentGone: 'Revoked',
  AgentReplaced: 'Revoked',
  ServiceAccountGone: 'Revoked',
  ServiceAccountReplaced: 'Revoked',
  DeadlineExceeded: 'Expired',
}

/** The word of a task that is over, from the reason in its record. */
export const wordOf = (completion: Reason): Word => words[completion] ?? 'Failed'
