import { Writable } from 'node:stream'
import { asUid, toTaskKey } from '../../src/core/names.ts'
import { at, type Duration, type Instant, milliseconds } from '../../src/lib/instant.ts'
import type { AuditEntry, EventNote, Subject } from '../../src/ports/journal.ts'
import type { Log } from '../../src/ports/log.ts'
import { type Census, createCensus } from '../../src/telemetry/census.ts'
import type { CredentialRow, LeaseRow, Snapshot, TaskRow } from '../../src/telemetry/snapshot.ts'

export const start = Date.parse('2026-03-01T10:00:00.123Z')

/** A clock that stands until it is moved. */
export function makeClock() {
  let passed = 0
  return {
    now: (): Instant => at(start + passed),
    monotonic: (): Duration => milliseconds(5_000 + passed),
    move: (ms: number): void => {
      passed += ms
    },
  }
}

/** A replica that leads, has no tasks and lacks nothing. */
export const emptySnapshot: Snapshot = {
  census: createCensus,
  tasks: () => [],
  leases: () => [],
  queue: () => ({ depth: { end: 0, new: 0, resync: 0 }, oldest: undefined }),
  watches: () => [],
  leader: () => true,
  held: () => [],
  ledgerLimit: 1000,
  policies: () => [],
  providers: () => [{ name: 'corp', ready: true }],
  policyChangedAt: () => at(start),
}

/** Tasks, counted as if they had come one after the other; each by a name of its own. */
export function censusOf(tasks: Iterable<TaskRow>): Census {
  const census = createCensus()
  let number = 0
  for (const task of tasks) census.change(undefined, { ...task, name: `t${number++}` })
  return census
}

/** @param left seconds until it dies */
export const credential = (left: number | undefined, change: Partial<CredentialRow> = {}): CredentialRow => ({
  name: 'api',
  provider: 'corp',
  state: 'Live',
  lasting: false,
  overdueAt: undefined,
  expiresAt: left === undefined ? undefined : at(start + left * 1000),
  ...change,
})

export const taskRow = (namespace: string, credentials: CredentialRow[], change: Partial<TaskRow> = {}): TaskRow => ({
  namespace,
  name: 'close-books',
  state: 'Active',
  waiting: undefined,
  deletedAt: undefined,
  credentials,
  ...change,
})

export const leaseRow = (change: Partial<LeaseRow> = {}): LeaseRow => ({
  namespace: 'a',
  task: 'close-books',
  credential: 'db',
  provider: 'db',
  expiresAt: at(start + 60_000),
  state: 'Open',
  ...change,
})

/** Keeps what is written. */
export function makeSink() {
  const chunks: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    },
  })
  return {
    stream,
    text: () => chunks.join(''),
    lines: () =>
      chunks
        .join('')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
  }
}

export const silent: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

export const subject: Subject = {
  task: toTaskKey('payroll', 'close-books'),
  taskUid: asUid('6f1c0d1e-0000-4000-8000-000000000001'),
  agent: 'payroll-clerk',
  action: 'payroll.reconcile',
  requestedBy: 'jane@corp.example',
}

export const entry = (change: Partial<AuditEntry> = {}): AuditEntry => ({
  kind: 'issue',
  subject,
  credential: 'payroll-api',
  provider: 'corp',
  reason: 'Issued',
  message: 'issued a token for `https://payroll-api.corp.example`',
  policies: ['allow-payroll'],
  policyDigest: `sha256:${'a1'.repeat(32)}`,
  attempt: 1,
  expirationTime: '2026-03-01T10:10:00Z',
  ...change,
})

export const note = (change: Partial<EventNote> = {}): EventNote => ({
  subject,
  type: 'Warning',
  reason: 'PolicyDenied',
  action: 'Decide',
  note: 'denied `payroll-api` by policy `no-restricted`',
  ...change,
})
