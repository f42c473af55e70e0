// Tells what a pass changed: audit lines, Kubernetes events, counters. On changes only, and never an event for what went well.

import { providerKey, splitKey } from '../core/names.ts'
import type { Observed } from '../core/observed.ts'
import type { Note, Settled } from '../core/settle.ts'
import { formatTime, milliseconds } from '../lib/instant.ts'
import { unreachable } from '../lib/unreachable.ts'
import type { Clock } from '../ports/clock.ts'
import type { Journal, Subject } from '../ports/journal.ts'
import type { Meter } from '../ports/meter.ts'

export interface TellDeps {
  readonly journal: Journal
  readonly meter: Pick<Meter, 'decision' | 'revoked'>
  readonly clock: Clock
}

export type Tell = (observed: Observed, settled: Settled) => void

/** Words of Ready that somebody should look at. */
const warnings: readonly string[] = ['Denied', 'Failed', 'Expired', 'Revoked']

export function createTell({ journal, meter, clock }: TellDeps): Tell {
  function tell(subject: Subject, settled: Settled, note: Note): void {
    switch (note.tag) {
      case 'decided': {
        const { allowed, reason, policies, digest } = note.decision
        meter.decision(allowed ? 'allow' : 'deny', reason)
        journal.audit({ kind: allowed ? 'decision' : 'refusal', subject, reason, message: note.message, policies, policyDigest: digest })
        return
      }
      case 'issued':
      case 'renewed': {
        const { name, provider, attempt, expiresAt } = note.credential
        journal.audit({
          kind: note.tag === 'issued' ? 'issue' : 'renewal',
          subject,
          credential: name,
          provider: providerKey(provider, splitKey(subject.task).namespace),
          reason: note.tag === 'issued' ? 'Issued' : 'Renewed',
          message: '',
          attempt,
          expirationTime: formatTime(expiresAt),
          ...(settled.report.decision === undefined
            ? {}
            : { policies: settled.report.decision.policies, policyDigest: settled.report.decision.digest }),
        })
        return
      }
      case 'revoked': {
        const { name, provider, attempt, expiresAt, revocation } = note.credential
        const ended = settled.record.completedAt
        if (ended !== undefined && revocation.class !== 'ExpireOnly')
          meter.revoked(providerKey(provider, splitKey(subject.task).namespace), milliseconds(Math.max(0, clock.now() - ended)))
        journal.audit({
          kind: 'revocation',
          subject,
          credential: name,
          provider: providerKey(provider, splitKey(subject.task).namespace),
          reason: revocation.class === 'ExpireOnly' ? 'ExpiresAt' : 'AllRevoked',
          message: revocation.class === 'ExpireOnly' ? `its source cannot revoke it; it dies at ${formatTime(expiresAt)}` : '',
          attempt,
        })
        return
      }
      case 'failed':
        journal.event({ subject, type: 'Warning', reason: note.failure.reason, action: note.effect, note: note.failure.message })
        return
      case 'ended':
        journal.audit({ kind: 'end', subject, reason: note.reason, message: note.message })
        return
      case 'turned':
        if (warnings.includes(note.to) || note.to === 'Suspended')
          journal.event({
            subject,
            type: warnings.includes(note.to) ? 'Warning' : 'Normal',
            reason: note.to,
            action: 'Judge',
            note: note.message,
          })
        return
      default:
        unreachable(note)
    }
  }

  return (observed, settled) => {
    const { task } = observed
    const subject: Subject = {
      task: task.key,
      taskUid: task.uid,
      agent: task.spec.agent,
      action: task.spec.action,
      requestedBy: task.spec.requestedBy?.username,
    }
    for (const note of settled.notes) tell(subject, settled, note)
  }
}
