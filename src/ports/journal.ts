// What happened to a task, told to those who audit (JSON lines) and to those who watch the object (Kubernetes events).

import type { Reason } from '../api/reasons.ts'
import type { TaskKey, Uid } from '../core/names.ts'

/** What an audit line or an event is about. */
export interface Subject {
  readonly task: TaskKey
  readonly taskUid: Uid
  readonly agent: string
  readonly action: string
  readonly requestedBy: string | undefined
}

/** One line of the audit stream. Never material, never an id that is authority by itself. */
export interface AuditEntry {
  readonly kind: 'decision' | 'issue' | 'renewal' | 'refusal' | 'revocation' | 'end'
  readonly subject: Subject
  readonly credential?: string
  readonly provider?: string
  readonly reason: Reason
  readonly message: string
  /** ids of the Cedar policies that decided */
  readonly policies?: readonly string[]
  /** digest of the policy sets that decided */
  readonly policyDigest?: string
  readonly attempt?: number
  readonly expirationTime?: string
}

/** One `events.k8s.io/v1` Event on an AgentTask; written on changes only, never for an unchanged retry. */
export interface EventNote {
  readonly subject: Subject
  readonly type: 'Normal' | 'Warning'
  readonly reason: Reason
  /** what was done, in one UpperCamelCase word, for example `Revoke` */
  readonly action: string
  readonly note: string
}

export interface Journal {
  audit(entry: AuditEntry): void
  event(note: EventNote): void
}
