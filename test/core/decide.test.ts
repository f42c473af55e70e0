import { describe, expect, test } from '@jest/globals'
import { decide, spread } from '../../src/core/decide.ts'
import type { Observed, TaskRecord, TaskSpec } from '../../src/core/observed.ts'
import { phase } from '../../src/core/record.ts'
import { type Instant, seconds } from '../../src/lib/instant.ts'
import {
  begun,
  live,
  makeCredential,
  makeCredentialRecord,
  makeDecision,
  makeFacts,
  makeObserved,
  makeProvider,
  makeRow,
  makeTask,
  open,
  outsideRecord,
  t0,
  time,
  uids,
  withdrawn,
} from '../support/make.ts'

interface Case {
  readonly record: TaskRecord
  readonly spec?: Partial<TaskSpec>
  readonly over?: Partial<Omit<Observed, 'task'>>
  readonly now?: Instant
}
const plan = ({ record, spec = {}, over = {}, now = time(60) }: Case) =>
  decide(makeObserved({ ...over, task: makeTask({ record, spec }) }), now)
const aged = live({ credentials: [makeCredentialRecord({ expiresAt: time(60) })] })
const due = live({ credentials: [makeCredentialRecord({ renewAt: time(60) })] })
const answered = (issue: ReturnType<typeof makeDecision>, renew = issue) => ({ credentials: [makeFacts({ issue, renew })] })
const forbid = answered(makeDecision('forbid'))
const suspend = { suspend: true }
const over = { completedAt: time(50), completion: 'EndCancelled' } as const

describe('the effects of a plan, by case', () => {
  test.each<readonly [string, Case, readonly string[]]>([
    ['nothing issued', { record: begun() }, ['RecordIntent', 'Issue']],
    ['nothing issued, forbidden', { record: begun(), over: forbid }, []],
    ['nothing issued, suspended', { record: begun(), spec: suspend }, []],
    ['nothing issued, held', { record: begun(), over: { hold: { reason: 'FencesMissing', message: '' } } }, []],
    ['an open intent', { record: open() }, ['RecordIntent', 'Issue']],
    ['an open intent, forbidden', { record: open(), over: forbid }, ['RecordIntent', 'Withdraw', 'Revoke']],
    ['an open intent, suspended', { record: open(), spec: suspend }, ['RecordIntent', 'Withdraw', 'Revoke']],
    ['an open intent that expired, suspended', { record: open(), spec: suspend, now: time(600) }, ['RecordIntent', 'Withdraw']],
    ['live', { record: live() }, []],
    ['live, held', { record: due, over: { hold: { reason: 'FencesMissing', message: '' } } }, []],
    ['live, renewal due', { record: due }, ['Renew']],
    ['live, renewal due but not allowed', { record: due, over: answered(makeDecision(), makeDecision('forbid')) }, []],
    ['live, renewal due but not judged', { record: due, over: { credentials: [makeFacts({ renew: undefined })] } }, []],
    ['live, forbidden', { record: live(), over: forbid }, ['RecordIntent', 'Withdraw', 'Revoke']],
    ['live, suspended', { record: live(), spec: suspend }, ['RecordIntent', 'Withdraw', 'Revoke']],
    ['live, over', { record: live(), spec: { end: 'Completed' } }, ['Withdraw', 'Revoke']],
    ['died of age', { record: aged }, ['RecordIntent', 'Issue']],
    [
      'died of age, renewal not allowed',
      { record: aged, over: answered(makeDecision(), makeDecision('forbid')) },
      ['RecordIntent', 'Withdraw'],
    ],
    [
      'died of age, issuing not allowed',
      { record: aged, over: answered(makeDecision('forbid'), makeDecision()) },
      ['RecordIntent', 'Issue'],
    ],
    ['withdrawn and resumed', { record: withdrawn() }, ['RecordIntent', 'Issue']],
    ['withdrawn, still suspended', { record: withdrawn(), spec: suspend }, []],
    ['withdrawn but not revoked yet', { record: withdrawn({ credentials: [makeCredentialRecord()] }), spec: suspend }, ['Revoke']],
    ['over, nothing left', { record: withdrawn(over) }, []],
    ['over, time after the end not up', { record: withdrawn(over), spec: { ttlAfterFinished: seconds(11) } }, []],
    ['over, time after the end up', { record: withdrawn(over), spec: { ttlAfterFinished: seconds(10) } }, ['DeleteTask']],
    ['over and time up, but not withdrawn', { record: live(over), spec: { ttlAfterFinished: seconds(10) } }, ['Withdraw', 'Revoke']],
    ['over in this very pass', { record: withdrawn(), spec: { end: 'Completed', ttlAfterFinished: seconds(0) } }, []],
  ])('%s', (_name, input, tags) => {
    expect(plan(input).effects.map((e) => e.tag)).toEqual(tags)
  })

  test.each([
    ['deleting', { deleting: true }],
    ['gone', { gone: true }],
  ])('a task that is %s already is not deleted', (_name, state) => {
    const task = makeTask({ record: withdrawn(over), spec: { ttlAfterFinished: seconds(0) }, ...state })
    expect(decide(makeObserved({ task }), time(60)).effects).toEqual([])
  })
})

describe('the effects of a plan, by what the ledger has', () => {
  const outside = [outsideRecord()]
  const held = live({ credentials: outside })
  const [row, stray, later] = [makeRow(), makeRow({ handle: 'stray', attempt: 0 }), makeRow({ handle: 'later', attempt: 4 })]
  const dead = makeRow({ open: false, dead: true })
  const givenUp = makeRow({ open: false, message: 'no such server' })
  const waited = makeRow({ expiring: true })
  const left = withdrawn({ attempt: 3, withdrawnAttempt: 3 })
  const rows = (...leases: readonly (typeof row)[]) => ({ leases })

  test.each<readonly [string, Case, readonly string[]]>([
    ['an open intent with its row', { record: open({ credentials: outside }), over: rows(row) }, ['RecordIntent', 'RevokeLease']],
    ['an open intent whose row is dead', { record: open({ credentials: outside }), over: rows(dead) }, ['RecordIntent', 'Issue']],
    [
      'an open intent whose row only has to expire',
      { record: open({ credentials: outside }), over: rows(waited) },
      ['RecordIntent', 'Issue'],
    ],
    ['a row that the record does not know yet', { record: begun(), over: rows(row) }, ['RecordIntent', 'RevokeLease']],
    ['a row that the record has left behind', { record: left, over: rows(row) }, ['RevokeLease']],
    ['several of them', { record: left, over: rows(row, stray, later) }, ['RecordIntent', 'RevokeLease', 'RevokeLease', 'RevokeLease']],
    ['a row that was given up', { record: left, over: rows(givenUp) }, ['RecordIntent', 'Issue']],
    ['a row that is dead', { record: left, over: rows(dead) }, ['RecordIntent', 'Issue']],
    ['a row, and nothing may be issued', { record: left, over: { ...rows(row), hold: { reason: 'FencesMissing', message: '' } } }, []],
    ['live, with its row', { record: held, over: rows(row) }, []],
    ['live, its row not seen yet', { record: held }, []],
    ['live by the record, dead by its row', { record: held, over: rows(dead) }, ['RecordIntent', 'Issue']],
    ['dead by its row, suspended', { record: held, over: rows(dead), spec: suspend }, ['RecordIntent', 'Withdraw']],
    ['expired', { record: held, over: rows(row), now: time(600) }, ['RecordIntent', 'RevokeLease']],
    [
      'overtaken renewals, expired',
      {
        record: { ...held, attempt: 3, secret: { name: 'taskbound-close', uid: uids.secret, attempt: 3 } },
        over: rows(row),
        now: time(600),
      },
      ['RecordIntent', 'RevokeLease'],
    ],
    ['live, over', { record: held, over: rows(row), spec: { end: 'Completed' } }, ['Withdraw', 'Revoke']],
    [
      'live, over, and a stray',
      { record: held, over: rows(row, stray), spec: { end: 'Completed' } },
      ['Withdraw', 'Revoke', 'RevokeLease'],
    ],
    [
      'live, suspended, and a stray',
      { record: held, over: rows(row, stray), spec: suspend },
      ['RecordIntent', 'Withdraw', 'Revoke', 'RevokeLease'],
    ],
    ['expired, suspended', { record: held, over: rows(row), spec: suspend, now: time(600) }, ['RecordIntent', 'Withdraw', 'Revoke']],
    ['expired, over', { record: held, over: rows(row), spec: { end: 'Completed' }, now: time(600) }, ['Withdraw', 'Revoke']],
    [
      'revoked by the record, and its row came late',
      { record: withdrawn({ ...over, credentials: [outsideRecord({ revokedAt: t0 })] }), over: rows(row) },
      ['RevokeLease'],
    ],
    [
      'over and time up, with an open row',
      { record: withdrawn(over), over: rows(row), spec: { ttlAfterFinished: seconds(0) } },
      ['RevokeLease'],
    ],
    [
      'over and time up, and given up',
      { record: withdrawn(over), over: rows(givenUp), spec: { ttlAfterFinished: seconds(0) } },
      ['DeleteTask'],
    ],
  ])('%s', (_name, input, tags) => {
    expect(plan(input).effects.map((e) => e.tag)).toEqual(tags)
  })

  test('what may be recorded as delivered at any moment is spent first, past every attempt that has a row', () => {
    const written = (record: TaskRecord, ...leases: readonly (typeof row)[]) => {
      const [first] = plan({ record, over: { leases } }).effects
      return first?.tag === 'RecordIntent' ? first : undefined
    }
    const intent = open({ credentials: outside })
    expect(written(intent, row)).toEqual({ tag: 'RecordIntent', record: { ...intent, attempt: 2 }, orders: [] })
    expect(written(intent, row, later)?.record.attempt).toBe(5)
    expect(written({ ...intent, attempt: 2 }, row)).toBeUndefined()
  })

  test('what its row says is dead is dead in the record from then on', () => {
    const made = plan({ record: held, over: rows(dead), spec: { end: 'Completed' } })
    expect(made.record.credentials).toEqual([outsideRecord({ revokedAt: time(60) })])
    expect(plan({ record: held, over: rows(row) }).record.credentials).toEqual(outside)
    const before = [outsideRecord({ revokedAt: t0 })]
    expect(plan({ record: withdrawn({ ...over, credentials: before }), over: rows(dead) }).record.credentials).toEqual(before)
  })
})

describe('an issue', () => {
  const { effects } = plan({ record: withdrawn({ attempt: 4, withdrawnAttempt: 4 }) })
  const [intent, issue] = effects

  test('is a new attempt, recorded with all that it makes before it is made', () => {
    expect(intent).toMatchObject({
      tag: 'RecordIntent',
      record: {
        attempt: 5,
        withdrawnAttempt: 4,
        requestDigest: expect.stringMatching(/^sha256:/),
        credentials: [{ name: 'api', attempt: 5, issuedAt: time(60), expiresAt: time(660), revokedAt: undefined, statusList: undefined }],
      },
    })
    expect(issue).toMatchObject({ tag: 'Issue', attempt: 5, issuedAt: time(60), orders: [{ name: 'api', expiresAt: time(660) }] })
    expect(intent?.tag === 'RecordIntent' && phase(intent.record)).toBe('open')
  })

  test('pins the identity and the class of the provider as they are', () => {
    const provider = makeProvider({ type: 'other', revocation: { class: 'ExpireOnly', bound: seconds(9) } })
    const [first] = plan({ record: begun(), over: { credentials: [makeFacts({ provider })] } }).effects
    expect(first).toMatchObject({
      record: {
        credentials: [{ provider: { uid: uids.provider, type: 'other' }, revocation: { class: 'ExpireOnly', bound: seconds(9) } }],
      },
    })
  })

  test('is the digest of what was asked for, without what may change', () => {
    const digestOf = (spec: Partial<TaskSpec>) => {
      const [first] = plan({ record: begun(), spec }).effects
      return first?.tag === 'RecordIntent' ? first.record.requestDigest : undefined
    }
    expect(digestOf({ ttlAfterFinished: seconds(1) })).toBe(digestOf({}))
    expect(digestOf({ action: 'payroll.pay' })).not.toBe(digestOf({}))
  })
})

describe('a renewal', () => {
  test('renews the whole set under a later attempt, by the same rules of expiry', () => {
    const credentials = [makeCredential({ name: 'a' }), makeCredential({ name: 'b', ttl: seconds(300) })]
    const record = live({
      deadlineAt: time(500),
      credentials: [makeCredentialRecord({ name: 'a', renewAt: time(60) }), makeCredentialRecord({ name: 'b', renewAt: time(90) })],
    })
    const facts = [makeFacts({ name: 'a' }), makeFacts({ name: 'b' })]
    expect(plan({ record, spec: { credentials }, over: { credentials: facts } }).effects).toEqual([
      {
        tag: 'Renew',
        attempt: 2,
        issuedAt: time(60),
        orders: [
          expect.objectContaining({ name: 'a', expiresAt: time(500) }),
          expect.objectContaining({ name: 'b', expiresAt: time(360) }),
        ],
      },
    ])
  })
})

describe('a withdrawal', () => {
  const withdrawal = (input: Case) => plan(input).effects.find((e) => e.tag === 'Withdraw')
  const cancelled = { end: 'Cancelled' } as const

  test('names the Secret and what is known of it', () => {
    const wanted = { tag: 'Withdraw', secret: 'taskbound-close', attempt: 1 }
    expect(withdrawal({ record: live(), spec: cancelled })).toEqual({ ...wanted, uid: uids.secret })
    expect(withdrawal({ record: open(), spec: cancelled })).toEqual({ ...wanted, uid: undefined })
  })

  test('does not trust the UID of an earlier attempt while an intent is open: the write may have made another Secret', () => {
    const record = live({ attempt: 2, credentials: [makeCredentialRecord({ attempt: 2 })] })
    expect(withdrawal({ record, spec: cancelled })).toMatchObject({ uid: undefined, attempt: 2 })
  })

  test('of a stop, which may be taken back, first spends the attempt: a record that is not written never says that it lives', () => {
    const { effects } = plan({ record: live(), spec: suspend })
    expect(effects[0]).toEqual({ tag: 'RecordIntent', record: live({ attempt: 2 }), orders: [] })
    expect(effects[1]).toEqual({ tag: 'Withdraw', secret: 'taskbound-close', uid: uids.secret, attempt: 2 })
    const resumed = plan({ record: live({ attempt: 2 }) })
    expect(resumed.effects.map((e) => e.tag)).toEqual(['RecordIntent', 'Issue'])
  })

  test('leaves out what is revoked or expired', () => {
    const record = live({
      credentials: [
        makeCredentialRecord({ name: 'revoked', revokedAt: t0 }),
        makeCredentialRecord({ name: 'expired', expiresAt: time(60) }),
        makeCredentialRecord({ name: 'alive' }),
      ],
    })
    const { effects } = plan({ record, spec: { end: 'Cancelled' } })
    expect(effects.slice(1)).toEqual([{ tag: 'Revoke', credential: record.credentials[2] }])
  })
})

test('the spread is the same for the same task and within [0, 1)', () => {
  expect(spread('a')).toBe(spread('a'))
  for (const uid of ['a', 'b', 'c']) expect(spread(uid)).toBeGreaterThanOrEqual(0)
  for (const uid of ['a', 'b', 'c']) expect(spread(uid)).toBeLessThan(1)
})
