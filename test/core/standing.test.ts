import { describe, expect, test } from '@jest/globals'
import { judge } from '../../src/core/judge.ts'
import type { Decision, LeaseFacts, Observed, TaskRecord } from '../../src/core/observed.ts'
import { stand } from '../../src/core/standing.ts'
import type { Instant } from '../../src/lib/instant.ts'
import {
  begun,
  live,
  makeDecision,
  makeFacts,
  makeObserved,
  makeProvider,
  makeSpec,
  makeTask,
  open,
  outsideRecord,
  presentAgent,
  time,
} from '../support/make.ts'

const look = (observed: Observed, now: Instant = time(60)) => stand(observed, judge(observed, 'issue'), now)
const withRecord = (record: TaskRecord, over: Partial<Observed> = {}) => makeObserved({ ...over, task: makeTask({ record }) })
const answered = (outcome: Decision['outcome'], over: Partial<Decision> = {}) => [makeFacts({ issue: makeDecision(outcome, over) })]

describe('where a task stands', () => {
  test('clear when nothing speaks against it', () => {
    expect(look(makeObserved())).toEqual({ kind: 'clear', until: undefined })
  })

  test.each<readonly [string, Partial<Observed>, string]>([
    ['its own suspension', { task: makeTask({ record: live(), spec: { suspend: true } }) }, 'SuspendedByUser'],
    ["its agent's suspension", { agent: { ...presentAgent, suspended: true } }, 'AgentSuspended'],
    ['a forbid', { credentials: answered('forbid') }, 'PolicyDenied'],
    ['a policy that fails', { credentials: answered('error') }, 'PolicyError'],
    ['a permit lost longer ago than the settling time', { credentials: answered('noPermit') }, 'NoPolicyMatched'],
  ])('stopped, also when live, by %s', (_name, over, reason) => {
    expect(look({ ...withRecord(live()), ...over })).toMatchObject({ kind: 'stopped', reason })
  })

  test('suspension counts also while nothing else is known', () => {
    const observed = makeObserved({ task: makeTask({ spec: { suspend: true } }), agent: { state: 'unknown' }, namespace: 'unknown' })
    expect(look(observed)).toMatchObject({ kind: 'stopped', word: 'Suspended' })
  })

  test('a drain stops everything, also what nobody could judge, and ends nothing for good', () => {
    const observed = withRecord(live(), { draining: true, namespace: 'unknown', credentials: answered('forbid') })
    expect(look(observed)).toMatchObject({ kind: 'stopped', word: 'Suspended', reason: 'Draining' })
    expect(look(withRecord(live(), { draining: true, namespace: 'terminating' })).kind).toBe('ended')
  })

  test.each<readonly [string, Partial<Observed>, string]>([
    ['namespace', { namespace: 'unknown' }, 'StaleView'],
    ['agent', { agent: { state: 'unknown' } }, 'StaleView'],
    ['ServiceAccount', { serviceAccount: { state: 'unknown' } }, 'StaleView'],
    ['workload', { workload: { state: 'unknown' } }, 'StaleView'],
    ['an absent agent', { agent: { state: 'absent' } }, 'AgentNotFound'],
    ['an absent ServiceAccount', { serviceAccount: { state: 'absent' } }, 'ServiceAccountNotFound'],
    ['a workload that cannot be watched', { workload: { state: 'unwatchable', message: 'no such kind' } }, 'WorkloadUnwatchable'],
    ['an absent provider', { credentials: [makeFacts({ provider: { state: 'absent' } })] }, 'ProviderNotFound'],
    ['a provider that is not ready', { credentials: [makeFacts({ provider: makeProvider({ notReady: 'sealed' }) })] }, 'ProviderNotReady'],
    ['a hold on this replica', { hold: { reason: 'FencesMissing', message: 'missing' } }, 'FencesMissing'],
    ['an older pod', { olderPod: 'yesterday' }, 'SecretStillMounted'],
  ])('blocked before the first issue by what is missing or unknown: %s', (_name, over, reason) => {
    expect(look({ ...makeObserved(), ...over })).toMatchObject({ kind: 'blocked', reason })
  })

  test('a workload that has not appeared blocks nothing', () => {
    const observed = withRecord(begun({ bound: { ...begun().bound, workload: undefined } }), { workload: { state: 'absent' } })
    expect(look(observed).kind).toBe('clear')
  })

  test.each([
    ['before any intent', begun(), 'blocked'],
    ['after an intent was recorded', open(), 'clear'],
    ['while live', live(), 'clear'],
  ] as const)('an older pod counts only before the first issue: %s', (_name, record, kind) => {
    expect(look(withRecord(record, { olderPod: 'yesterday' })).kind).toBe(kind)
  })

  test('a denial speaks before a hold, so that it kills also where nothing may be issued', () => {
    const observed = withRecord(live(), { credentials: answered('forbid'), hold: { reason: 'FencesMissing', message: 'missing' } })
    expect(look(observed).kind).toBe('stopped')
  })
})

describe('a lost permit', () => {
  const lost = { credentials: answered('noPermit'), policyChangedAt: time(58) }

  test('leaves what is live until it has held for the settling time', () => {
    expect(look(withRecord(live(), lost), time(62))).toMatchObject({ kind: 'blocked', until: time(63) })
    expect(look(withRecord(live(), lost), time(63))).toMatchObject({ kind: 'stopped', reason: 'NoPolicyMatched' })
  })

  test.each([
    ['nothing issued', begun()],
    ['an open intent', open()],
  ])('stops at once what is not live: %s', (_name, record) => {
    expect(look(withRecord(record, lost), time(60)).kind).toBe('stopped')
  })

  test.each([
    ['that would permit it without the broken policy', true, 'blocked'],
    ['that would not', false, 'stopped'],
  ] as const)('a policy that never was valid leaves what is live only where the valid ones permit it: %s', (_name, permitted, kind) => {
    expect(look(withRecord(live(), { credentials: answered('invalidPolicy', { permitted }) })).kind).toBe(kind)
  })

  test('stops at once where the clock went back, since then nothing is known of the quiet time', () => {
    expect(look(withRecord(live(), { ...lost, policyChangedAt: time(400) }), time(60)).kind).toBe('stopped')
  })

  test('a policy that never was valid stops what is not live', () => {
    const observed = makeObserved({ task: makeTask({ spec: makeSpec() }), credentials: answered('invalidPolicy', { permitted: true }) })
    expect(look(observed)).toMatchObject({ kind: 'stopped', reason: 'PolicyInvalid' })
  })
})

describe('credentials that somebody else ended at their source, to be issued afresh', () => {
  const loss = (attempt: number, second: number, over: Partial<LeaseFacts> = {}): LeaseFacts => ({
    handle: `h${attempt}${second}`,
    credential: 'api',
    attempt,
    open: false,
    dead: true,
    foundDead: { at: time(second), after: 'Reissue' },
    message: undefined,
    ...over,
  })
  const dead = live({ deadlineAt: time(86_400), credentials: [outsideRecord({ revokedAt: time(40) })] })
  const after = (leases: readonly LeaseFacts[], now: number, record = dead) => look(withRecord(record, { leases }), time(now))

  test.each<readonly [string, readonly LeaseFacts[], number | undefined]>([
    ['once', [loss(1, 10)], undefined],
    ['two of one set', [loss(1, 10), loss(1, 11)], undefined],
    ['twice', [loss(1, 10), loss(2, 50)], 80],
    ['three times', [loss(1, 10), loss(3, 50), loss(2, 30)], 110],
    ['eight times', [1, 2, 3, 4, 5, 6, 7, 8].map((n) => loss(n, n)), 8 + 1920],
    ['very often', [...Array(40).keys()].map((n) => loss(n, n)), 39 + 3600],
    ['twice, of which one ends the task', [loss(1, 10), loss(2, 50, { foundDead: { at: time(50), after: 'Fail' } })], undefined],
    ['twice, by a clock that went back since', [loss(1, 10), loss(2, 500)], undefined],
  ])('are waited for: %s', (_name, leases, until) => {
    if (until === undefined) return expect(after(leases, 55)).toEqual({ kind: 'clear', until: undefined })
    const now = Math.max(55, until - 1)
    expect(after(leases, now)).toMatchObject({ kind: 'blocked', reason: 'RevokedExternally', until: time(until) })
    expect(after(leases, until).kind).toBe('clear')
  })

  test('wait for nothing while others of their set are not dead, nor once they live again', () => {
    const twice = [loss(1, 10), loss(2, 50)]
    expect(after([...twice, loss(2, 20, { open: true, dead: false, foundDead: undefined })], 55).kind).toBe('clear')
    expect(after(twice, 55, live()).kind).toBe('clear')
  })
})
