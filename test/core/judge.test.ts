import { describe, expect, test } from '@jest/globals'
import { judge, questions } from '../../src/core/judge.ts'
import type { CredentialFacts, TaskRecord } from '../../src/core/observed.ts'
import { emptyRecord } from '../../src/core/observed.ts'
import {
  live,
  makeCredential,
  makeCredentialRecord,
  makeDecision,
  makeFacts,
  makeObserved,
  makeProvider,
  makeTask,
  open,
  time,
  withdrawn,
} from '../support/make.ts'

const two = makeTask({ spec: { credentials: [makeCredential({ name: 'a' }), makeCredential({ name: 'b' })] } })
const judgeTwo = (a: Partial<CredentialFacts>, b: Partial<CredentialFacts>) =>
  judge(makeObserved({ task: two, credentials: [makeFacts({ name: 'a', ...a }), makeFacts({ name: 'b', ...b })] }), 'issue')
const deny = (outcome: Parameters<typeof makeDecision>[0], over = {}) => ({ issue: makeDecision(outcome, over) })
const refused = makeProvider({ refusal: { reason: 'AudienceNotListed', message: 'not listed' } })

describe('one answer for all credentials', () => {
  test('all allowed is allowed, and names each policy once, in order', () => {
    const policies = (...ids: string[]) => ({ issue: makeDecision('allow', { policies: ids.map((id) => ({ id, message: undefined })) }) })
    expect(judgeTwo(policies('z', 'm'), policies('m', 'a'))).toMatchObject({ kind: 'allowed', policies: ['a', 'm', 'z'], readsNow: false })
  })

  test.each([
    ['forbid', {}, { reason: 'PolicyDenied', settles: false, kills: true }],
    ['error', {}, { reason: 'PolicyError', settles: false, kills: true }],
    ['noPermit', {}, { reason: 'NoPolicyMatched', settles: true, kills: true }],
    ['invalidPolicy', { permitted: true }, { reason: 'PolicyInvalid', kills: false }],
    ['invalidPolicy', { permitted: false }, { reason: 'PolicyInvalid', settles: true, kills: true }],
  ] as const)('one credential that is not allowed denies all: %s %j', (outcome, over, wanted) => {
    expect(judgeTwo({}, deny(outcome, over))).toMatchObject({ kind: 'denied', ...wanted })
  })

  test("the provider's own refusal denies at once, before any policy is asked", () => {
    const judgement = judgeTwo({}, { provider: refused, issue: undefined })
    expect(judgement).toMatchObject({ kind: 'denied', reason: 'AudienceNotListed', settles: false, kills: true })
  })

  const weights = [
    ['forbid', deny('forbid'), 'PolicyDenied'],
    ['noPermit', deny('noPermit'), 'NoPolicyMatched'],
    ['invalidPolicy that leaves it alone', deny('invalidPolicy', { permitted: true }), 'PolicyInvalid'],
  ] as const
  test.each(weights.flatMap(([a, weak], i) => weights.slice(0, i).map(([b, strong, reason]) => [a, b, weak, strong, reason] as const)))(
    'the denial that kills sooner speaks, whatever the order: %s and %s',
    (_a, _b, weak, strong, reason) => {
      expect(judgeTwo(weak, strong)).toMatchObject({ reason })
      expect(judgeTwo(strong, weak)).toMatchObject({ reason })
    },
  )

  test.each([
    ['is missing', { provider: { state: 'absent' }, issue: undefined }],
    ['was not judged', { issue: undefined }],
  ] as const)('a credential that %s does not shield the other from a forbid', (_name, facts) => {
    expect(judgeTwo(facts, deny('forbid'))).toMatchObject({ kind: 'denied', reason: 'PolicyDenied' })
    expect(judgeTwo(deny('forbid'), facts)).toMatchObject({ kind: 'denied', reason: 'PolicyDenied' })
  })

  test('a missing provider is not judged', () => {
    expect(judgeTwo({}, { provider: { state: 'absent' }, issue: undefined })).toMatchObject({
      kind: 'unjudged',
      reason: 'ProviderNotFound',
    })
  })

  test('what was not asked is not judged', () => {
    expect(judgeTwo({ issue: undefined }, {})).toMatchObject({ kind: 'unjudged', reason: 'NotJudged' })
  })

  test.each([
    ['allow', true],
    ['forbid', true],
  ] as const)('reads the clock where any of its policies does: %s', (outcome, readsNow) => {
    expect(judgeTwo(deny('allow', { readsNow: true }), deny(outcome))).toMatchObject({ readsNow })
  })

  test('a lost permit says so where the requester is not known', () => {
    const observed = makeObserved({ credentials: [makeFacts(deny('noPermit'))], requesterUnknown: 'nobody vouches for the requester' })
    expect(judge(observed, 'issue')).toMatchObject({ message: 'credential `api`: no policy permits it; nobody vouches for the requester' })
  })

  test('a denial shows the policies and their messages, whatever their order', () => {
    const policies = [
      { id: 'b', message: undefined },
      { id: 'a', message: 'not on Sundays' },
    ]
    const message = 'credential `api`: forbidden by `a` (not on Sundays), `b`'
    for (const order of [policies, policies.toReversed()])
      expect(judge(makeObserved({ credentials: [makeFacts(deny('forbid', { policies: order }))] }), 'issue')).toMatchObject({ message })
  })
})

describe('what to ask policy', () => {
  const aged = live({ credentials: [makeCredentialRecord({ expiresAt: time(60) })] })
  test.each<readonly [string, TaskRecord, { standing: 'issue' | 'renew'; renew: boolean }]>([
    ['nothing issued yet', emptyRecord, { standing: 'issue', renew: false }],
    ['an open intent', open(), { standing: 'issue', renew: false }],
    ['live, no renewal due', live(), { standing: 'issue', renew: false }],
    ['live, renewal due', live({ credentials: [makeCredentialRecord({ renewAt: time(60) })] }), { standing: 'issue', renew: true }],
    ['died of age', aged, { standing: 'renew', renew: false }],
    ['withdrawn', withdrawn(), { standing: 'issue', renew: false }],
  ])('%s', (_name, record, wanted) => {
    expect(questions({ task: makeTask({ record }) }, time(60))).toEqual(wanted)
  })
})
