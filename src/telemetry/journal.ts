// The journal: what happened, to the audit stream and to the events of the object. Neither can hold up or fail the other.

import type { Journal } from '../ports/journal.ts'
import type { AuditStream } from './audit.ts'
import type { EventWriter } from './events.ts'

export interface OpenJournal extends Journal {
  /** Waits for both; the caller bounds it. */
  flush(): Promise<void>
}

export function createJournal(audit: AuditStream, events: EventWriter): OpenJournal {
  return {
    audit: (entry) => audit.audit(entry),
    event: (note) => events.event(note),
    async flush() {
      await Promise.all([audit.flush(), events.flush()])
    },
  }
}
