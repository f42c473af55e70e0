import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decide } from '../../src/core/decide.ts'
import { begin, expiry, renewal } from '../../src/core/lifetime.ts'
import { asUid } from '../../src/core/names.ts'
import type { Observed, TaskRecord } from '../../src/core/observed.ts'
import { settle } from '../../src/core/settle.ts'
import { at, type Instant, milliseconds, seconds } from '../../src/lib/instant.ts'
import {
  begun,
  live,
  makeCredential,
  makeCredentialRecord,
  makeDecision,
  makeFacts,
  makeObserved,
  makeProvider,
  makeTask,
  open,
  t0,
  time,
  withdrawn,
} from '../support/make.ts'
import { runPass } from '../support/world/pass.ts'

describe('what the first pass fixes', () => {
  test('a whole second of start, and what is there', () => {
    expect(begin(makeObserved(), at(t0 + 1234))).toEqual(begun({ startedAt: time(1), deadlineAt: time(3601) }))
  })

  test('what was not there is bound when it appears, and nothing is bound twice', () => {
    const first = begin(makeObserved({ agent: { state: 'absent' }, workload: { state: 'absent' } }), t0)
    expect(first.bound).toEqual({ agent: undefined, serviceAccount: begun().bound.serviceAccount, workload: undefined })
    const other = makeObserved({ serviceAccount: { state: 'present', uid: asUid('account-2') }, task: makeTask({ record: first }) })
    expect(begin(other, time(9)).bound).toEqual(begun().bound)
  })

  test('a task that is over is not touched', () => {
    const record = begun({ bound: { agent: undefined, serviceAccount: undefined, workload: undefined }, completion: 'EndCancelled' })
    expect(begin(makeObserved({ task: makeTask({ record }) }), time(9))).toBe(record)
  })
})

describe('expiry', () => {
  const of = (ttl: number, maxTtl: number, leastLife: number, deadline: Instant | undefined, now = t0) =>
    expiry(makeCredential({ ttl: seconds(ttl) }), makeProvider({ maxTtl: seconds(maxTtl), leastLife: seconds(leastLife) }), deadline, now)
  test.each([
    ['the asked life', of(600, 3600, 0, time(3600)), time(600)],
    ["the provider's ceiling", of(600, 300, 0, time(3600)), time(300)],
    ['the deadline', of(600, 3600, 0, time(100)), time(100)],
    ['no deadline', of(600, 3600, 0, undefined), time(600)],
    ["past the deadline only by the provider's least life", of(600, 3600, 400, time(100)), time(400)],
    ['a whole second, rounded down', of(600, 3600, 0, time(3600), at(t0 + 999)), time(600)],
  ])('%s', (_name, found, wanted) => {
    expect(found).toBe(wanted)
  })

  test('never exceeds the greater of the bounds and the least life', () => {
    const n = fc.integer({ min: 0, max: 10_000 })
    fc.assert(
      fc.property(n, n, n, n, n, (ttl, max, least, deadline, ms) => {
        const now = at(t0 + ms)
        const bound = Math.max(Math.min(now + Math.min(ttl, max) * 1000, time(deadline)), now + least * 1000)
        expect(of(ttl, max, least, time(deadline), now)).toBeLessThanOrEqual(bound)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('renewal', () => {
  test.each([
    ['a third of the life before expiry', 900, 0, 600],
    ['up to a tenth of that earlier', 900, 0.999_999, 570],
    ['at least what a kubelet needs', 400, 0, 250],
    ['not before a quarter of the life is over', 160, 0, 41],
    ['lives to the deadline', 3600, 0, undefined],
  ])('%s', (_name, life, spread, wanted) => {
    expect(renewal(t0, time(life), time(3600), spread)).toBe(wanted === undefined ? undefined : time(wanted))
  })

  test('lies within the life of whatever lives at least two seconds', () => {
    const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 90_000 }), unit, (life, spread) => {
        const found = renewal(t0, time(life), undefined, spread) as Instant
        expect(found).toBeGreaterThanOrEqual(t0 + Math.floor(life / 4) * 1000)
        expect(found).toBeGreaterThan(t0)
        expect(found).toBeLessThan(time(life))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('when to look again', () => {
  const wake = (record: TaskRecord, over: Partial<Observed> = {}, now: Instant = time(60)) => {
    const observed = makeObserved({ ...over, task: { ...(over.task ?? makeTask()), record } })
    return settle(observed, decide(observed, now), [], now).wakeAt
  }
  const expireOnly = (over = {}) => makeCredentialRecord({ revocation: { class: 'ExpireOnly', bound: seconds(600) }, ...over })
  const ended = { completedAt: time(50), completion: 'EndCancelled' } as const
  const lost = [makeFacts({ issue: makeDecision('noPermit') })]
  const readsNow = [makeFacts({ issue: makeDecision('allow', { readsNow: true }) })]
  const renewReadsNow = [makeFacts({ renew: makeDecision('noPermit', { readsNow: true }) })]
  const due = live({ credentials: [makeCredentialRecord({ renewAt: time(60) })] })
  const waiting = begun({ bound: { ...begun().bound, workload: undefined } })
  const keep = (ttl: number) => ({ task: makeTask({ spec: { ttlAfterFinished: seconds(ttl) } }) })

  test.each<readonly [string, Instant | undefined, Instant | undefined]>([
    ['the renewal of what is live', wake(live()), time(400)],
    [
      'the expiry of what is live and is not renewed',
      wake(live({ credentials: [makeCredentialRecord({ renewAt: undefined })] })),
      time(600),
    ],
    [
      'the expiry where a renewal that is due is not allowed',
      wake(due, { credentials: [makeFacts({ renew: makeDecision('noPermit') })] }),
      time(600),
    ],
    ['soon where that answer reads the clock', wake(due, { credentials: renewReadsNow }), time(120)],
    ['the deadline', wake(withdrawn(), { task: makeTask({ spec: { suspend: true } }) }), time(3600)],
    ['when the workload must have been seen', wake(waiting, { workload: { state: 'absent' } }), time(600)],
    ['when a lost permit has settled', wake(live(), { credentials: lost, policyChangedAt: time(58) }), time(63)],
    ['soon where policy reads the clock', wake(live(), { credentials: readsNow }), time(120)],
    [
      'soon, also where it denies',
      wake(begun(), { credentials: [makeFacts({ issue: makeDecision('noPermit', { readsNow: true }) })] }),
      time(120),
    ],
    ['never for what is over', wake(withdrawn(ended)), undefined],
    ['when the time of a task that is over is up', wake(withdrawn(ended), keep(100)), time(150)],
    [
      'when the last of what cannot be revoked dies',
      wake(withdrawn({ ...ended, credentials: [expireOnly({ revokedAt: time(50) })] })),
      time(600),
    ],
    [
      'the same while it is stopped',
      wake(withdrawn({ credentials: [expireOnly({ revokedAt: time(50) })] }), { task: makeTask({ spec: { suspend: true } }) }),
      time(600),
    ],
    ['the expiry of an intent whose outcome is open', wake(open(), { hold: { reason: 'FencesMissing', message: '' } }), time(600)],
  ])('%s', (_name, found, wanted) => {
    expect(found).toBe(wanted)
  })

  test.each([
    ['has no time after its end', 0, 0],
    ['was withdrawn only after that time', 100, 200],
  ])('a task that %s is looked at again at once, to be deleted', (_name, ttl, revokedAfter) => {
    const spec = { end: 'Completed', ttlAfterFinished: seconds(ttl) } as const
    const stuck = runPass(makeObserved({ task: makeTask({ record: live(), spec }) }), time(60), ({ tag }) =>
      tag === 'Revoke' && revokedAfter > 0
        ? { tag: 'retry', failure: { reason: 'WriteFailed', message: 'no answer' } }
        : { tag: 'done', fact: { of: tag === 'Revoke' ? 'Revoke' : 'Withdraw' } },
    )
    const revoked = revokedAfter > 0 ? runPass(stuck.next, time(60 + revokedAfter)) : stuck
    expect(revoked.settled.again).toBe('now')
    expect(runPass(revoked.next, time(61 + revokedAfter)).plan.effects).toEqual([{ tag: 'DeleteTask', uid: makeTask().uid }])
  })

  test('a fraction of a second is not lost', () => {
    expect(wake(live({ deadlineAt: at(time(60) + 1), credentials: [] }), {}, time(60))).toBe(time(60) + milliseconds(1))
  })
})
