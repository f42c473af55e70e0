import { expect, test } from '@jest/globals'
import { at, milliseconds, seconds } from '../../src/lib/instant.ts'
import type { Answer, AuditDifference, AuthorizationRequest, Authorizer } from '../../src/ports/authorizer.ts'
import { createAnswers } from '../../src/runtime/answers.ts'

const request = (over: Partial<AuthorizationRequest> = {}): AuthorizationRequest => ({
  action: 'issue',
  agent: { namespace: 'n', name: 'a', uid: 'u', serviceAccount: 's', owner: undefined, attributes: {} },
  namespace: { name: 'n', labels: {} },
  provider: {
    kind: 'ClusterCredentialProvider',
    namespace: undefined,
    name: 'p',
    uid: 'u',
    type: 'jwt',
    labels: {},
    sensitivity: undefined,
    destinations: [],
    revocation: { class: 'Checked', bound: seconds(75) },
  },
  claimed: {
    action: 'x',
    purpose: undefined,
    destination: undefined,
    destinations: [],
    dataSensitivity: undefined,
    tools: [],
    attributes: {},
  },
  audience: undefined,
  scopes: [],
  ttl: seconds(600),
  requestedBy: { kind: 'Unknown', username: '', groups: [] },
  approved: false,
  approvers: [],
  delegation: undefined,
  now: at(0),
  ...over,
})

function world(readsNow = false, audit: AuditDifference | undefined = undefined) {
  const state = { asked: 0, revision: 0 }
  const told: string[] = []
  const answer: Answer = { outcome: 'allow', policies: [], errors: [], digest: 'd', readsNow, permitted: true, audit }
  const authorizer: Authorizer = {
    authorize() {
      state.asked += 1
      return answer
    },
    changedAt: () => at(0),
    revision: () => state.revision,
  }
  return {
    state,
    told,
    answers: createAnswers({
      authorizer,
      clock: { monotonic: () => milliseconds(0) },
      meter: { evaluation: () => undefined, wouldBe: (outcome) => void told.push(`counted ${outcome}`) },
      log: { info: (message, fields) => void told.push(`${message}: ${String(fields?.['policies'])}`) },
    }),
  }
}

test('the same question is asked once, whenever it comes', () => {
  const { state, answers } = world()
  answers.ask(request())
  answers.ask(request({ now: at(5) }))
  expect(state.asked).toBe(1)
})

test.each([
  ['the action', { action: 'renew' }],
  ['a scope', { scopes: ['read'] }],
  ['the requester', { requestedBy: { kind: 'User', username: 'alice', groups: [] } }],
  ['the namespace’s labels', { namespace: { name: 'n', labels: { environment: 'prod' } } }],
] as const)('another question is asked: %s', (_what, over) => {
  const { state, answers } = world()
  answers.ask(request())
  answers.ask(request(over as Partial<AuthorizationRequest>))
  expect(state.asked).toBe(2)
})

test('any change of policy makes every answer void', () => {
  const { state, answers } = world()
  answers.ask(request())
  state.revision += 1
  answers.ask(request())
  expect(state.asked).toBe(2)
})

test('what reads the clock is asked each time', () => {
  const { state, answers } = world(true)
  answers.ask(request())
  answers.ask(request())
  expect(state.asked).toBe(2)
})

test('it remembers only so much', () => {
  const { state, answers } = world()
  for (let i = 0; i < 1000; i += 1) answers.ask(request({ audience: `a${i}` }))
  answers.ask(request({ audience: 'a0' }))
  expect(state.asked).toBe(1001)
})

test('what policies in Audit mode would have changed is counted and logged, and changes nothing', () => {
  const policies = [{ id: 'ClusterAgentPolicy/rails/no', message: undefined, scope: 'Cluster', source: 'rails' }] as const
  const { told, answers } = world(false, { outcome: 'forbid', policies, errors: [] })
  expect(answers.ask(request()).outcome).toBe('allow')
  expect(told).toEqual(['counted forbid', 'policies in Audit mode would have changed an answer: ClusterAgentPolicy/rails/no'])
})
