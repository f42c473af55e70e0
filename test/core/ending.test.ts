import { describe, expect, test } from '@jest/globals'
import type { Reason } from '../../src/api/reasons.ts'
import { decide } from '../../src/core/decide.ts'
import { findEnding, wordOf } from '../../src/core/ending.ts'
import { asUid } from '../../src/core/names.ts'
import { type AfterLoss, emptyRecord, type LeaseFacts, type Observed, type Task } from '../../src/core/observed.ts'
import { type Instant, seconds } from '../../src/lib/instant.ts'
import { begun, live, makeObserved, makeSpec, makeTask, outsideRecord, presentAgent, runningJob, time } from '../support/make.ts'

type Change = Partial<Omit<Observed, 'task'>> & { readonly task?: Partial<Task>; readonly at?: Instant }

/** A live task one minute old, but for what the row says. */
const observe = ({ task, at: _at, ...rest }: Change): Observed =>
  makeObserved({ ...rest, task: { ...makeTask({ record: live() }), ...task } })
const row = outsideRecord()
/** One of its credentials was found dead at its source, and what its provider says is to follow. */
const lossOf = (after: AfterLoss, over: Partial<LeaseFacts> = {}): Change => ({
  task: { record: live({ credentials: [row] }) },
  leases: [
    { handle: row.handle ?? '', credential: 'api', attempt: 1, open: true, foundDead: { at: time(50), after }, message: '', ...over },
  ],
})
const unbound = begun({ bound: { agent: undefined, serviceAccount: undefined, workload: undefined } })
const waiting = begun({ bound: { ...begun().bound, workload: undefined } })

const ends: readonly (readonly [string, Change, Reason])[] = [
  ['a deletion timestamp', { task: { deleting: true } }, 'TaskDeleted'],
  ['the object being gone', { task: { gone: true } }, 'TaskDeleted'],
  ['a terminating namespace', { namespace: 'terminating' }, 'NamespaceTerminating'],
  ['`end: Completed`', { task: { spec: makeSpec({ end: 'Completed' }) } }, 'EndCompleted'],
  ['`end: Cancelled`', { task: { spec: makeSpec({ end: 'Cancelled' }) } }, 'EndCancelled'],
  ['a workload that succeeded', { workload: { ...runningJob, finished: 'Succeeded' } }, 'WorkloadSucceeded'],
  ['a workload that failed', { workload: { ...runningJob, finished: 'Failed' } }, 'WorkloadFailed'],
  ['a workload that is being deleted', { workload: { ...runningJob, deleting: true } }, 'WorkloadGone'],
  ['a bound workload that is absent', { workload: { state: 'absent' } }, 'WorkloadGone'],
  ['a workload with another UID', { workload: { ...runningJob, uid: asUid('job-2') } }, 'WorkloadReplaced'],
  [
    'another workload that has already succeeded',
    { workload: { ...runningJob, uid: asUid('job-2'), finished: 'Succeeded' } },
    'WorkloadReplaced',
  ],
  ['a workload not seen in time', { workload: { state: 'absent' }, task: { record: waiting }, at: time(600) }, 'WorkloadNeverSeen'],
  ['an agent that is gone', { agent: { state: 'absent' } }, 'AgentGone'],
  ['another agent of that name', { agent: { ...presentAgent, uid: asUid('agent-2') } }, 'AgentReplaced'],
  ['a ServiceAccount that is gone', { serviceAccount: { state: 'absent' } }, 'ServiceAccountGone'],
  ['another ServiceAccount', { serviceAccount: { state: 'present', uid: asUid('account-2') } }, 'ServiceAccountReplaced'],
  ['a credential that somebody else ended at its source', lossOf('Fail'), 'RevokedExternally'],
  ['the same, and its row is closed', lossOf('Fail', { open: false, dead: true }), 'RevokedExternally'],
  ['the deadline', { at: time(3600) }, 'DeadlineExceeded'],
]

const doesNotEnd: readonly (readonly [string, Change])[] = [
  ['a task that is well', {}],
  ['a moment before the deadline', { at: time(3599) }],
  ['a credential ended by somebody else, where its provider has it issued afresh', lossOf('Reissue')],
  ['one of an earlier attempt, ended by somebody else', lossOf('Fail', { handle: 'an earlier one' })],
  ['suspension', { task: { spec: makeSpec({ suspend: true }) } }],
  ['a suspended agent', { agent: { ...presentAgent, suspended: true } }],
  ['a bound agent that is not known for certain', { agent: { state: 'unknown' } }],
  ['a bound ServiceAccount that is not known for certain', { serviceAccount: { state: 'unknown' } }],
  ['a bound ServiceAccount while the agent is not known', { agent: { state: 'unknown' }, serviceAccount: { state: 'absent' } }],
  ['a bound workload that is not known for certain', { workload: { state: 'unknown' } }],
  ['a namespace that is not known for certain', { namespace: 'unknown' }],
  ['an agent that was never there', { agent: { state: 'absent' }, serviceAccount: { state: 'absent' }, task: { record: unbound } }],
  ['a ServiceAccount that was never there', { serviceAccount: { state: 'absent' }, task: { record: unbound } }],
  ['a workload that is not there yet', { workload: { state: 'absent' }, task: { record: waiting }, at: time(599) }],
  ['a workload not seen in time while its kind is unknown', { workload: { state: 'unknown' }, task: { record: waiting }, at: time(900) }],
  [
    'a task without a workload that has none',
    { workload: { state: 'none' }, task: { spec: makeSpec({ workload: undefined }), record: waiting }, at: time(900) },
  ],
  ['a task of which nothing is recorded yet', { workload: { state: 'absent' }, task: { record: emptyRecord }, at: time(9000) }],
]

describe('what ends a task', () => {
  test.each(ends)('%s', (_name, change, reason) => {
    expect(findEnding(observe(change), change.at ?? time(60))?.reason).toBe(reason)
  })

  test.each(doesNotEnd)('not: %s', (_name, change) => {
    expect(findEnding(observe(change), change.at ?? time(60))).toBeUndefined()
  })

  test('what somebody did on purpose comes before what happened by itself, and the clock last', () => {
    const all: Change = {
      task: { deleting: true, spec: makeSpec({ end: 'Completed' }) },
      namespace: 'terminating',
      workload: { ...runningJob, finished: 'Failed' },
      agent: { state: 'absent' },
    }
    const steps: readonly (readonly [Change, Reason])[] = [
      [{}, 'TaskDeleted'],
      [{ task: { spec: makeSpec({ end: 'Completed' }) } }, 'NamespaceTerminating'],
      [{ namespace: 'active' }, 'EndCompleted'],
      [{ task: {} }, 'WorkloadFailed'],
      [{ workload: runningJob }, 'AgentGone'],
      [{ agent: presentAgent }, 'DeadlineExceeded'],
    ]
    let change = all
    for (const [cured, reason] of steps) {
      change = { ...change, ...cured }
      expect(findEnding(observe(change), time(3600))?.reason).toBe(reason)
    }
  })

  test('a workload that finished and is being deleted counts as finished', () => {
    const observed = observe({ workload: { ...runningJob, finished: 'Succeeded', deleting: true } })
    expect(findEnding(observed, time(60))?.reason).toBe('WorkloadSucceeded')
  })

  test.each(ends)('is final, whatever comes later: %s', (_name, change, reason) => {
    const plan = decide(observe(change), change.at ?? time(60))
    expect(plan.standing).toMatchObject({ kind: 'ended', reason, word: wordOf(reason) })
    const cured = makeObserved({ task: makeTask({ record: plan.record }) })
    expect(decide(cured, time(-9000)).standing).toMatchObject({ kind: 'ended', reason })
  })

  test('the deadline counts from the first pass and the shorter of what is asked and the ceiling', () => {
    const limits = { ...makeObserved().limits, maxActiveDeadline: seconds(100) }
    const plan = decide(makeObserved({ limits }), time(7))
    expect(plan.record).toMatchObject({ startedAt: time(7), deadlineAt: time(107) })
    const later = makeObserved({ limits, task: makeTask({ record: plan.record }) })
    expect(decide(later, time(90)).record).toMatchObject({ startedAt: time(7), deadlineAt: time(107) })
  })
})

describe('the word of an ending', () => {
  test.each([
    ['EndCompleted', 'Completed'],
    ['WorkloadSucceeded', 'Completed'],
    ['WorkloadFailed', 'Failed'],
    ['WorkloadGone', 'Failed'],
    ['WorkloadReplaced', 'Failed'],
    ['WorkloadNeverSeen', 'Failed'],
    ['EndCancelled', 'Cancelled'],
    ['TaskDeleted', 'Cancelled'],
    ['NamespaceTerminating', 'Cancelled'],
    ['DeadlineExceeded', 'Expired'],
    ['AgentGone', 'Revoked'],
    ['AgentReplaced', 'Revoked'],
    ['ServiceAccountGone', 'Revoked'],
    ['ServiceAccountReplaced', 'Revoked'],
    ['RevokedExternally', 'Failed'],
  ] as const)('%s: %s', (reason, word) => {
    expect(wordOf(reason)).toBe(word)
  })
})
