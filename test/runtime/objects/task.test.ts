import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { asUid } from '../../../src/core/names.ts'
import { emptyRecord, emptyReport, type Report, type TaskRecord } from '../../../src/core/observed.ts'
import { at, seconds } from '../../../src/lib/instant.ts'
import { readTask, writeRecord, writeStatus } from '../../../src/runtime/objects/task.ts'

const second = fc.integer({ min: 1_700_000_000, max: 2_000_000_000 }).map((n) => at(n * 1000))
const maybe = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: undefined })
const uid = fc.uuid().map(asUid)

const records: fc.Arbitrary<TaskRecord> = fc.record({
  bound: fc.record({ agent: maybe(uid), serviceAccount: maybe(uid), workload: maybe(uid) }),
  startedAt: maybe(second),
  deadlineAt: maybe(second),
  completedAt: maybe(second),
  completion: maybe(fc.constantFrom('WorkloadSucceeded' as const, 'DeadlineExceeded' as const)),
  requestDigest: maybe(fc.string({ minLength: 1 })),
  attempt: fc.nat(),
  secret: maybe(fc.record({ name: fc.string({ minLength: 1 }), uid, attempt: fc.nat() })),
  withdrawnAttempt: fc.nat(),
  credentials: fc.array(
    fc.record({
      name: fc.string({ minLength: 1 }),
      provider: fc.record({ kind: fc.string(), name: fc.string(), uid, type: fc.string() }),
      attempt: fc.nat(),
      statusList: maybe(fc.record({ uri: fc.webUrl(), index: fc.nat() })),
      handle: maybe(fc.stringMatching(/^tb[a-z2-7]{36}$/)),
      issuedAt: second,
      expiresAt: second,
      renewAt: maybe(second),
      revocation: fc.record({
        class: fc.constantFrom('Immediate' as const, 'Checked' as const, 'ExpireOnly' as const),
        bound: fc.nat(100_000).map(seconds),
      }),
      revokedAt: maybe(second),
    }),
    { maxLength: 3 },
  ),
})

const reports: fc.Arbitrary<Report> = fc.record({
  observedGeneration: fc.nat(),
  conditions: fc.array(
    fc.record({
      type: fc.constantFrom('Ready' as const, 'Issued' as const),
      status: fc.constantFrom('True' as const, 'False' as const, 'Unknown' as const),
      reason: fc.constantFrom('Active' as const, 'Denied' as const),
      message: fc.string(),
      observedGeneration: fc.nat(),
      lastTransitionTime: second,
    }),
    { maxLength: 2 },
  ),
  decision: maybe(
    fc.record({
      allowed: fc.boolean(),
      reason: fc.constant('Allowed' as const),
      policies: fc.array(fc.string()),
      digest: fc.string(),
      time: second,
    }),
  ),
  expiresAt: maybe(second),
})

const metadata = { name: 't', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }

test('what is written to status reads back as the same record and report', () => {
  fc.assert(
    fc.property(records, reports, (record, report) => {
      const stored: unknown = JSON.parse(JSON.stringify({ metadata, spec: {}, status: writeStatus(record, report) }))
      expect(readTask(stored)).toMatchObject({ record, report })
    }),
    { numRuns: 500 },
  )
})

test('an intent writes the record alone', () => {
  expect(Object.keys(writeRecord(emptyRecord))).not.toContain('conditions')
})

test('a task without status has the empty record and report', () => {
  expect(readTask({ metadata, spec: {} })).toMatchObject({ record: emptyRecord, report: emptyReport, gone: false, deleting: false })
})

test.each([
  ['Completed', 'Completed'],
  ['Cancelled', 'Cancelled'],
  ['Paused', undefined],
  [1, undefined],
])('an end of %p reads as %p', (end, expected) => {
  expect(readTask({ metadata, spec: { end } })?.spec.end).toBe(expected)
})
