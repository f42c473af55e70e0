import { describe, expect, test } from '@jest/globals'
import { decide } from '../../src/core/decide.ts'
import type { Condition, ConditionType, CredentialRecord, LeaseFacts, Observed, TaskRecord, TaskSpec } from '../../src/core/observed.ts'
import type { Effect, Outcome } from '../../src/core/plan.ts'
import { diedOfAge, isAlive, isLive, lastExpiry, liveStatusRefs, phase } from '../../src/core/record.ts'
import { settle } from '../../src/core/settle.ts'
import { at, endless, seconds } from '../../src/lib/instant.ts'
import {
  begun,
  live,
  makeCredentialRecord,
  makeDecision,
  makeFacts,
  makeObserved,
  makeRow,
  makeTask,
  open,
  outsideRecord,
  presentAgent,
  runningJob,
  t0,
  time,
  uids,
  withdrawn,
} from '../support/make.ts'
import { runPass, success } from '../support/world/pass.ts'

const retry: Outcome = { tag: 'retry', failure: { reason: 'WriteFailed', message: 'no answer' } }
const failing = (tag: Effect['tag'], outcome: Outcome) => (effect: Effect) => (effect.tag === tag ? outcome : success(effect))
const condition = (observed: Observed, type: ConditionType) => observed.task.report.conditions.find((c) => c.type === type) as Condition
const due = live({ credentials: [makeCredentialRecord({ renewAt: time(60) })] })
const forbidden = { credentials: [makeFacts({ issue: makeDecision('forbid') })] }

const starts: readonly (readonly [string, Observed])[] = [
  ['a new task', makeObserved()],
  ['a new task whose Job is not there', makeObserved({ workload: { state: 'absent' } })],
  ['a new task that is denied', makeObserved(forbidden)],
  ['a new task that is suspended', makeObserved({ task: makeTask({ spec: { suspend: true } }) })],
  ['a new task without an agent', makeObserved({ agent: { state: 'absent' } })],
  ['a new task that is over', makeObserved({ task: makeTask({ spec: { end: 'Cancelled' } }) })],
  ['an open intent', makeObserved({ task: makeTask({ record: open() }) })],
  ['an open intent of a task that is over', makeObserved({ task: makeTask({ record: open(), deleting: true }) })],
  ['a live task', makeObserved({ task: makeTask({ record: live() }) })],
  ['a live task to be renewed', makeObserved({ task: makeTask({ record: due }) })],
  ['a live task that is denied', makeObserved({ ...forbidden, task: makeTask({ record: live() }) })],
  ['a live task whose Job failed', makeObserved({ task: makeTask({ record: live() }), workload: { ...runningJob, finished: 'Failed' } })],
  [
    'a live task whose agent is suspended',
    makeObserved({ task: makeTask({ record: live() }), agent: { ...presentAgent, suspended: true } }),
  ],
  ['a live task that is over', makeObserved({ task: makeTask({ record: live(), spec: { end: 'Completed' } }) })],
]

describe.each(starts)('%s', (_name, observed) => {
  test('has all six conditions after the first pass, with observedGeneration', () => {
    const { report } = runPass(observed, time(60)).settled
    expect(report.conditions.map((c) => c.type)).toEqual(['Ready', 'Authorized', 'Issued', 'Revoked', 'Complete', 'Failed'])
    for (const c of report.conditions) expect(c.observedGeneration).toBe(observed.task.generation)
    expect(report.observedGeneration).toBe(observed.task.generation)
  })

  test('is settled after one pass: one more changes nothing, writes nothing, tells nothing', () => {
    const first = runPass(observed, at(time(60) + 250))
    const second = runPass(first.next, at(time(61) + 777))
    expect(second.plan.effects).toEqual([])
    expect(second.settled.record).toEqual(first.settled.record)
    expect(second.settled.report).toEqual(first.settled.report)
    expect(second.settled.notes).toEqual([])
    expect(second.settled.again).toBe('none')
    expect(first.settled.again).toBe('none')
  })
})

describe('the record after an outcome', () => {
  test('an issue that is done is delivered, with the real expiry and a renewal that follows from it', () => {
    const { settled } = runPass(makeObserved(), t0, (effect) =>
      effect.tag === 'Issue'
        ? { tag: 'done', fact: { of: 'Issue', secretUid: uids.secret, expiries: { api: time(300) } } }
        : success(effect),
    )
    expect(settled.record).toMatchObject({ attempt: 1, secret: { name: 'taskbound-close', uid: uids.secret, attempt: 1 } })
    expect(settled.record.credentials[0]).toMatchObject({ expiresAt: time(300), statusList: { uri: 'list', index: 0 } })
    expect(settled.record.credentials[0]?.renewAt).toBeLessThanOrEqual(time(150))
    expect(settled.report.expiresAt).toBe(time(300))
  })

  test.each<readonly [string, Outcome]>([
    ['retry', retry],
    ['stalled', { ...retry, tag: 'stalled' }],
    ['behind', { tag: 'behind' }],
    ['denied', { tag: 'denied' }],
    ['lost', { tag: 'lost' }],
  ])('an issue that is not done leaves its intent open: %s', (_name, outcome) => {
    const { settled } = runPass(makeObserved(), t0, failing('Issue', outcome))
    expect(settled.record.attempt).toBe(1)
    expect(phase(settled.record)).toBe('open')
    expect(settled.again).toBe(outcome.tag === 'retry' || outcome.tag === 'stalled' ? 'refused' : 'now')
  })

  test('an intent that is not recorded leaves the record as it was', () => {
    const { settled } = runPass(makeObserved(), t0, failing('RecordIntent', { tag: 'lost' }))
    expect(settled.record).toEqual(begun())
  })

  test('a renewal that somebody has overtaken spends the attempt and leaves what is live', () => {
    const { settled } = runPass(makeObserved({ task: makeTask({ record: due }) }), time(60), failing('Renew', { tag: 'behind' }))
    expect(settled.record).toMatchObject({ attempt: 2, secret: { attempt: 2 }, credentials: due.credentials })
    expect(settled.again).toBe('now')
  })

  test('a renewal that finds no Secret makes none: the next pass issues under an intent of its own', () => {
    const { settled, next } = runPass(makeObserved({ task: makeTask({ record: due }) }), time(60), failing('Renew', { tag: 'absent' }))
    expect(phase(settled.record)).toBe('open')
    expect(settled.again).toBe('now')
    expect(runPass(next, time(60)).plan.effects.map((e) => e.tag)).toEqual(['RecordIntent', 'Issue'])
  })

  test('a withdrawal that the Secret is ahead of spends the attempts that it tried, so that the next try goes further', () => {
    const observed = makeObserved({ task: makeTask({ record: open(), spec: { suspend: true } }) })
    const { settled } = runPass(observed, time(60), failing('Withdraw', { tag: 'behind' }))
    expect(settled.record.attempt).toBe(3)
    expect(phase(settled.record)).toBe('open')
  })

  test('a withdrawal and a revocation are recorded each by itself', () => {
    const observed = makeObserved({ task: makeTask({ record: live(), spec: { suspend: true } }) })
    const kept = runPass(observed, time(60), failing('Withdraw', retry)).settled
    expect(kept.record).toMatchObject({ secret: { uid: uids.secret }, withdrawnAttempt: 0, credentials: [{ revokedAt: time(60) }] })
    const unrevoked = runPass(observed, time(60), failing('Revoke', retry)).settled
    expect(unrevoked.record).toMatchObject({ secret: undefined, withdrawnAttempt: 2, credentials: [{ revokedAt: undefined }] })
    for (const { again } of [kept, unrevoked]) expect(again).toBe('backoff')
  })
})

const pending: Outcome = { tag: 'pending', failure: { reason: 'RevocationUnconfirmed', message: 'credential `api`: no answer' } }
const inHand = (effect: Effect): Outcome => (effect.tag === 'Revoke' || effect.tag === 'RevokeLease' ? pending : success(effect))
const outside = live({ credentials: [outsideRecord()] })
const withRows = (record: TaskRecord, spec: Partial<TaskSpec>, ...leases: readonly LeaseFacts[]) =>
  makeObserved({ task: makeTask({ record, spec }), leases })

describe('what the ledger has in hand', () => {
  const cancelled = { end: 'Cancelled' } as const
  const stray = makeRow({ handle: 'stray', attempt: 0 })

  test.each<readonly [string, Observed]>([
    ['an end', withRows(outside, cancelled, makeRow())],
    ['a stop', withRows(outside, { suspend: true }, makeRow())],
    ['an end with a stray', withRows(outside, cancelled, makeRow(), stray)],
    ['an end whose time after it is over', withRows(outside, { ...cancelled, ttlAfterFinished: seconds(0) }, makeRow())],
  ])('is waited for, since its row says when it is done: %s', (_name, observed) => {
    const { settled, next } = runPass(observed, time(60), inHand)
    expect(settled.again).toBe('none')
    expect(settled.record.credentials[0]?.revokedAt).toBeUndefined()
    expect(condition(next, 'Revoked')).toMatchObject({
      status: 'False',
      reason: 'RevocationUnconfirmed',
      message: 'credential `api`: no answer; it is tried until it is',
    })
    expect(settled.notes.filter((n) => n.tag === 'failed' || n.tag === 'revoked')).toEqual([])
    expect(runPass(next, time(61), inHand).settled.again).toBe('none')
  })

  test('is waited for, but what stands beside it is not forgotten', () => {
    const both = live({ credentials: [outsideRecord(), makeCredentialRecord({ name: 'own' })] })
    const answers = (effect: Effect): Outcome =>
      effect.tag === 'Revoke' && effect.credential.handle === undefined ? retry : inHand(effect)
    expect(runPass(withRows(both, cancelled, makeRow()), time(60), answers).settled.again).toBe('backoff')
    const unwithdrawn = (effect: Effect): Outcome => (effect.tag === 'Withdraw' ? retry : inHand(effect))
    expect(runPass(withRows(outside, cancelled, makeRow()), time(60), unwithdrawn).settled.again).toBe('backoff')
  })

  test.each([
    ['pending', inHand],
    ['done', success],
  ])(
    'before a new attempt keeps the count of failures, so that a source that refuses is not asked without a pause: %s',
    (_name, answer) => {
      const { plan, settled } = runPass(withRows(open({ credentials: [outsideRecord()] }), {}, makeRow()), time(60), answer)
      expect(plan.effects.map((e) => e.tag)).toEqual(['RecordIntent', 'RevokeLease'])
      expect(settled.again).toBe('backoff')
      expect(settled.record).toMatchObject({ attempt: 2, secret: undefined })
    },
  )

  test('is followed by the deletion of a task whose time is over', () => {
    const first = runPass(withRows(outside, { ...cancelled, ttlAfterFinished: seconds(0) }, makeRow()), time(60), inHand)
    const dead = { ...first.next, leases: [makeRow({ open: false, dead: true })] }
    const second = runPass(dead, time(61))
    expect(second.plan.effects.map((e) => e.tag)).toEqual(['DeleteTask'])
  })
})

describe('a credential outside the cluster', () => {
  test('is alive until its death is confirmed, also past its expiry, but works no longer than that', () => {
    expect(isAlive(outsideRecord(), time(9000))).toBe(true)
    expect(isAlive(outsideRecord({ revokedAt: time(60) }), time(61))).toBe(false)
    expect(isAlive(makeCredentialRecord(), time(9000))).toBe(false)
    expect(isLive(outside, time(599))).toBe(true)
    expect(isLive(outside, time(600))).toBe(false)
  })

  test('that expired is revoked as well, and died of age all the same: a policy against renewing it still counts', () => {
    const expired = runPass(withRows(outside, { suspend: true }, makeRow()), time(700)).settled.record
    expect(expired.credentials[0]?.revokedAt).toBe(time(700))
    expect(diedOfAge(expired, time(701))).toBe(true)
  })

  test('that was stopped did not die of age, however late its death is confirmed', () => {
    const stopped = runPass(withRows(outside, { suspend: true }, makeRow()), time(60), inHand)
    expect(diedOfAge(stopped.settled.record, time(700))).toBe(false)
    const confirmed = runPass({ ...stopped.next, leases: [makeRow({ open: false, dead: true })] }, time(700)).settled.record
    expect(confirmed.credentials[0]?.revokedAt).toBe(time(700))
    expect(diedOfAge(confirmed, time(701))).toBe(false)
  })

  test('that was never delivered did not either', () => {
    const undelivered = runPass(withRows(open({ credentials: [outsideRecord()] }), { suspend: true }, makeRow()), time(700)).settled.record
    expect(diedOfAge(undelivered, time(701))).toBe(false)
  })
})

describe('a set that is not live any more', () => {
  const expired = [makeCredentialRecord({ expiresAt: time(60) })]
  const stopped = (record: TaskRecord) =>
    runPass(makeObserved({ task: makeTask({ record, spec: { suspend: true } }) }), time(90)).settled.record

  test('that was delivered died of age, also once it is withdrawn, so that a policy against renewing it still counts', () => {
    expect(diedOfAge(live({ credentials: expired }), time(90))).toBe(true)
    expect(diedOfAge(stopped(live({ credentials: expired })), time(90))).toBe(true)
  })

  test('that was never delivered did not, so that what follows is judged as an issue', () => {
    expect(diedOfAge(open({ credentials: expired }), time(90))).toBe(false)
    expect(diedOfAge(stopped(open({ credentials: expired })), time(90))).toBe(false)
  })

  test('may live longer than its record says, once a renewal was due whose record may have been lost', () => {
    const dies = (over: Partial<CredentialRecord>) => {
      const revocation = { class: 'ExpireOnly', bound: seconds(600) } as const
      return lastExpiry(withdrawn({ credentials: [makeCredentialRecord({ revocation, ...over })] }), time(90))
    }
    expect(dies({ revokedAt: time(399) })).toBe(time(600))
    expect(dies({ revokedAt: time(401) })).toBe(time(1001))
    expect(dies({ revokedAt: time(401), renewAt: undefined })).toBe(time(600))
    expect(dies({ revokedAt: time(3500), expiresAt: time(3550) })).toBe(time(3600))
  })
})

describe('when to try again', () => {
  test('what was not known for certain is looked at again, since no event need say so', () => {
    const unknown = makeObserved({ task: makeTask({ record: live() }), workload: { state: 'unknown' } })
    expect(runPass(unknown, time(60)).settled.again).toBe('backoff')
  })

  test('what falls due while the effects of a pass run is not forgotten', () => {
    const observed = makeObserved({ task: makeTask({ record: live({ deadlineAt: time(61) }) }) })
    const plan = decide(observed, time(60))
    expect(settle(observed, plan, [], time(62)).wakeAt).toBe(time(61))
  })
})

describe('the places that read valid', () => {
  const ref = makeCredentialRecord().statusList
  test.each([
    ['an open intent', open(), [ref]],
    ['live', live(), [ref]],
    [
      'expired by its record: a renewal whose record was lost may live on under it',
      live({ credentials: [makeCredentialRecord({ expiresAt: t0 })] }),
      [ref],
    ],
    ['revoked', withdrawn(), []],
    [
      'withdrawn, though its record says expired and not revoked',
      withdrawn({ credentials: [makeCredentialRecord({ expiresAt: t0 })] }),
      [],
    ],
    ['over', live({ completedAt: t0, completion: 'EndCancelled' }), []],
  ])('%s', (_name, record, refs) => {
    expect(liveStatusRefs(record)).toEqual(refs)
  })
})

describe('conditions', () => {
  const at60 = (observed: Observed, answer = success) => runPass(observed, time(60), answer).next

  test.each<readonly [string, Observed, ConditionType, Partial<Condition>]>([
    ['issued', at60(makeObserved()), 'Ready', { status: 'True', reason: 'Active' }],
    [
      'issued',
      at60(makeObserved()),
      'Authorized',
      { status: 'True', reason: 'Allowed', message: 'permitted by `ClusterAgentPolicy/base/allow`' },
    ],
    ['issued', at60(makeObserved()), 'Issued', { status: 'True', reason: 'Issued', message: 'Secret `taskbound-close` holds `api`' }],
    ['issued', at60(makeObserved()), 'Revoked', { status: 'False', reason: 'StillLive' }],
    ['issued', at60(makeObserved()), 'Complete', { status: 'False', reason: 'NotFinished' }],
    ['forbidden', at60(makeObserved(forbidden)), 'Ready', { status: 'False', reason: 'Denied' }],
    ['forbidden', at60(makeObserved(forbidden)), 'Authorized', { status: 'False', reason: 'PolicyDenied' }],
    ['forbidden', at60(makeObserved(forbidden)), 'Revoked', { status: 'True', reason: 'NothingIssued' }],
    ['without an agent', at60(makeObserved({ agent: { state: 'absent' } })), 'Ready', { status: 'False', reason: 'Pending' }],
    [
      'an issue that failed',
      at60(makeObserved(), failing('Issue', retry)),
      'Ready',
      { status: 'False', reason: 'Pending', message: 'no answer' },
    ],
    ['an issue that failed', at60(makeObserved(), failing('Issue', retry)), 'Issued', { status: 'False', reason: 'WriteFailed' }],
    [
      'a renewal that failed',
      at60(makeObserved({ task: makeTask({ record: due }) }), failing('Renew', retry)),
      'Ready',
      { status: 'True', reason: 'Active', message: 'live, but not renewed at the moment: no answer' },
    ],
    [
      'completed',
      at60(makeObserved({ task: makeTask({ record: live(), spec: { end: 'Completed' } }) })),
      'Complete',
      { status: 'True', reason: 'EndCompleted' },
    ],
    ['completed', at60(makeObserved({ task: makeTask({ record: live(), spec: { end: 'Completed' } }) })), 'Failed', { status: 'False' }],
    [
      'completed',
      at60(makeObserved({ task: makeTask({ record: live(), spec: { end: 'Completed' } }) })),
      'Issued',
      { status: 'False', reason: 'Withdrawn' },
    ],
    [
      'completed',
      at60(makeObserved({ task: makeTask({ record: live(), spec: { end: 'Completed' } }) })),
      'Revoked',
      { status: 'True', reason: 'AllRevoked' },
    ],
    [
      'cancelled',
      at60(makeObserved({ task: makeTask({ record: live(), spec: { end: 'Cancelled' } }) })),
      'Failed',
      { status: 'True', reason: 'EndCancelled' },
    ],
    [
      'revocation not confirmed',
      at60(makeObserved({ task: makeTask({ record: live(), spec: { end: 'Cancelled' } }) }), failing('Revoke', retry)),
      'Revoked',
      { status: 'False', reason: 'RevocationUnconfirmed' },
    ],
    [
      'a Secret that is not confirmed gone',
      at60(makeObserved({ task: makeTask({ record: live(), spec: { end: 'Cancelled' } }) }), failing('Withdraw', retry)),
      'Revoked',
      { status: 'False', reason: 'RevocationUnconfirmed' },
    ],
  ])('%s: %s', (_name, observed, type, wanted) => {
    expect(condition(observed, type)).toMatchObject({ type, ...wanted })
  })

  const ended = withdrawn({ completedAt: time(50), completion: 'EndCancelled', credentials: [outsideRecord({ revokedAt: time(55) })] })
  test.each<readonly [string, readonly LeaseFacts[], Partial<Condition>]>([
    ['no rows', [], { status: 'True', reason: 'AllRevoked' }],
    ['a dead row', [makeRow({ open: false, dead: true })], { status: 'True', reason: 'AllRevoked' }],
    [
      'a row that was given up',
      [
        makeRow({ open: false, dead: true }),
        makeRow({ handle: 'lost', open: false, message: 'given up by an administrator: no such server' }),
      ],
      { status: 'False', reason: 'Irrevocable', message: 'credential `api`: given up by an administrator: no such server' },
    ],
    [
      'an open row, and one that was given up',
      [makeRow({ open: false }), makeRow({ handle: 'stray' })],
      { status: 'False', reason: 'RevocationUnconfirmed', message: 'credential `api`: no answer; it is tried until it is' },
    ],
    [
      'an open row that came after its credential was taken for dead',
      [makeRow()],
      { status: 'False', reason: 'RevocationUnconfirmed', message: 'credential `api`: no answer; it is tried until it is' },
    ],
    [
      'an open row that only has to expire',
      [makeRow({ expiring: true, message: 'it works until then' })],
      { status: 'False', reason: 'ExpiresAt', message: 'credential `api`: it works until then' },
    ],
    [
      'one that only has to expire, and one that is owed',
      [makeRow({ expiring: true, message: 'it works until then' }), makeRow({ handle: 'stray' })],
      { status: 'False', reason: 'RevocationUnconfirmed' },
    ],
    [
      'one that only has to expire, and one that was given up',
      [makeRow({ expiring: true, message: 'it works until then' }), makeRow({ handle: 'lost', open: false, message: 'given up' })],
      { status: 'False', reason: 'Irrevocable' },
    ],
  ])('what the ledger has decides about Revoked: %s', (_name, leases, wanted) => {
    expect(condition(runPass(withRows(ended, {}, ...leases), time(60), inHand).next, 'Revoked')).toMatchObject(wanted)
  })

  test('Revoked is True in the same pass in which the last row was closed', () => {
    const stray = makeRow({ handle: 'stray', attempt: 0 })
    const observed = withRows(outside, { end: 'Cancelled' }, makeRow(), stray)
    expect(condition(at60(observed), 'Revoked')).toMatchObject({ status: 'True', reason: 'AllRevoked' })
  })

  test('a value that existed before is never said to be revoked, nor that it dies', () => {
    const credentials = [makeCredentialRecord({ revocation: { class: 'ExpireOnly', bound: endless } })]
    const ended = at60(makeObserved({ task: makeTask({ record: live({ credentials }), spec: { end: 'Completed' } }) }))
    for (const observed of [ended, runPass(ended, time(600)).next, runPass(ended, time(86_400)).next])
      expect(condition(observed, 'Revoked')).toMatchObject({ status: 'False', reason: 'ValueRemains' })
  })

  test('what cannot be revoked says when it dies, and afterwards that it is dead', () => {
    const credentials = [makeCredentialRecord({ revocation: { class: 'ExpireOnly', bound: seconds(600) } })]
    const ended = at60(makeObserved({ task: makeTask({ record: live({ credentials }), spec: { end: 'Completed' } }) }))
    expect(condition(ended, 'Revoked')).toMatchObject({
      status: 'False',
      reason: 'ExpiresAt',
      message: 'what cannot be revoked at its source dies at 2026-11-02T09:10:00Z',
    })
    expect(condition(runPass(ended, time(600)).next, 'Revoked')).toMatchObject({
      status: 'True',
      reason: 'AllRevoked',
      lastTransitionTime: time(600),
    })
  })

  test('keep their transition time while their status stays, and only then', () => {
    const first = runPass(makeObserved(), time(60)).next
    const edited = { ...first, task: { ...first.task, generation: 2 } }
    const second = runPass(edited, time(90)).next
    for (const c of second.task.report.conditions) expect(c).toMatchObject({ lastTransitionTime: time(60), observedGeneration: 2 })
    const suspended = { ...second, task: { ...second.task, spec: { ...second.task.spec, suspend: true } } }
    const third = runPass(suspended, time(120)).next
    expect(condition(third, 'Ready').lastTransitionTime).toBe(time(120))
    expect(condition(third, 'Authorized').lastTransitionTime).toBe(time(60))
  })

  test('a task that is over keeps the words of its end and its last decision', () => {
    const ended = at60(makeObserved({ task: makeTask({ record: live(), spec: { end: 'Cancelled' } }) }), failing('Withdraw', retry))
    const later = { ...ended, ...forbidden, agent: { state: 'absent' } as const }
    const settled = runPass(later, time(9000)).next
    for (const type of ['Ready', 'Authorized', 'Complete', 'Failed'] as const)
      expect(condition(settled, type)).toEqual(condition(ended, type))
    expect(condition(settled, 'Revoked').status).toBe('True')
    expect(settled.task.report.decision).toEqual(ended.task.report.decision)
  })
})

describe('what is told', () => {
  test('each thing once, when it happens', () => {
    const tags = (observed: Observed, seconds: number) => {
      const { settled, next } = runPass(observed, time(seconds))
      return [settled.notes.map((n) => n.tag), next] as const
    }
    const [issued, live] = tags(makeObserved(), 0)
    expect(issued).toEqual(['decided', 'issued', 'turned'])
    const [renewed, again] = tags(live, 500)
    expect(renewed).toEqual(['renewed'])
    const [ended] = tags({ ...again, task: { ...again.task, deleting: true } }, 510)
    expect(ended).toEqual(['revoked', 'ended', 'turned'])
  })

  test('a failure', () => {
    expect(runPass(makeObserved(), t0, failing('Issue', retry)).settled.notes).toContainEqual({
      tag: 'failed',
      effect: 'Issue',
      failure: retry.tag === 'retry' ? retry.failure : undefined,
    })
  })
})
