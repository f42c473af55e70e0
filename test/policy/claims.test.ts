// What a task's author claims opens nothing by itself: where the policies do not read claims, no value of any claim makes an allow of a
// deny, and where they read only the sensitivity that the operator worked out, a claim can only close.

import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sensitivities } from '../../src/policy/entities.ts'
import type { AuthorizationRequest, Claimed } from '../../src/ports/authorizer.ts'
import { clusterPolicy, corp, makeEngine, makeRequest, own, policy } from './make.ts'

const word = fc.oneof(
  fc.constantFrom('', 'payroll.reconcile', 'admin', 'corp', 'team-a', '*', '__entity', 'Public'),
  fc.string({ unit: 'binary', maxLength: 12 }),
)
const claims: { readonly [K in keyof Claimed]: fc.Arbitrary<Claimed[K]> } = {
  action: word,
  purpose: fc.option(word, { nil: undefined }),
  destination: fc.option(word, { nil: undefined }),
  destinations: fc.array(word, { maxLength: 3 }),
  dataSensitivity: fc.option(fc.constantFrom(...sensitivities), { nil: undefined }),
  tools: fc.array(word, { maxLength: 3 }),
  attributes: fc.dictionary(word, word, { maxKeys: 3 }),
}
const fields = Object.keys(claims) as (keyof Claimed)[]

const scope = fc.constantFrom(
  'principal, action, resource',
  'principal == Taskbound::Agent::"team-a/clerk", action, resource',
  'principal in Taskbound::Namespace::"team-b", action, resource',
  'principal, action == Taskbound::Action::"issue", resource is Taskbound::ClusterProvider',
  'principal, action, resource == Taskbound::ClusterProvider::"corp"',
)
const facts = [
  'context.ttlSeconds <= 600',
  'context.scopes.contains("read")',
  'context has audience',
  'context.approved',
  'context.requestedBy.kind == "User"',
  'context.requestedBy.groups.contains("payroll")',
  'principal has owner && principal.owner == "bob"',
  'principal.hasTag("team") && principal.getTag("team") == "payroll"',
  'principal.namespace has environment',
  'resource.sensitivity == "Public"',
  'resource.revocation.class == "Immediate"',
  'resource.destinations.contains("api.example")',
  'context.now < datetime("2026-12-01T00:00:00Z")',
  // fails on every request
  'context.ttlSeconds + 9223372036854775807 > 0',
]
/** By the higher of what the provider declares and what the task claims: a permit below a bound, a forbid above one. */
const bounded = ['Public', 'Internal', 'Confidential'].map((_, level) => `context.sensitivity.level <= ${level}`)

const statement = fc
  .tuple(fc.constantFrom('permit', 'permit', 'forbid'), scope, fc.constantFrom('', ...facts, ...bounded))
  .map(([effect, target, condition]) => {
    if (condition === '') return `${effect} (${target});`
    const closing = bounded.includes(condition) && effect === 'forbid'
    return `${effect} (${target}) ${closing ? 'unless' : 'when'} { ${condition} };`
  })
const objects = fc
  .record({ cluster: fc.array(statement, { minLength: 1, maxLength: 4 }), namespace: fc.array(statement, { maxLength: 2 }) })
  .map(({ cluster, namespace }) => [clusterPolicy('c', cluster.join('\n')), policy('team-a', 'n', namespace.join('\n'))])

const asked = fc
  .record({
    claimed: fc.record(claims),
    provider: fc.constantFrom<AuthorizationRequest['provider']>(corp, own, { ...corp, sensitivity: 'Public' }),
    approved: fc.boolean(),
    owner: fc.constantFrom('bob', undefined),
    action: fc.constantFrom<AuthorizationRequest['action']>('issue', 'renew', 'delegate'),
  })
  .map(({ owner, ...rest }) => makeRequest({ ...rest, agent: { owner }, scopes: ['read'] }))

const sensitivityOf = (claimed: Claimed): number =>
  claimed.dataSensitivity === undefined ? -1 : sensitivities.indexOf(claimed.dataSensitivity)

test('whatever is claimed, no deny becomes an allow where the policies do not read claims', () => {
  fc.assert(
    fc.property(objects, asked, fc.record(claims), fc.subarray(fields, { minLength: 1 }), (policies, request, other, flipped) => {
      const { engine } = makeEngine(policies)
      const changed = { ...request.claimed, ...Object.fromEntries(flipped.map((field) => [field, other[field]])) }
      const [before, after] = [engine.authorize(request).outcome, engine.authorize({ ...request, claimed: changed }).outcome]
      if (sensitivityOf(changed) === sensitivityOf(request.claimed)) expect(after).toBe(before)
      // a claim of more can close; a claim of less is what the task's author could have said at first
      else if (sensitivityOf(changed) > sensitivityOf(request.claimed) && before !== 'allow') expect(after).not.toBe('allow')
      // and never does a claim open more than no claim at all
      const silent = engine.authorize({ ...request, claimed: { ...request.claimed, dataSensitivity: undefined } }).outcome
      if (silent !== 'allow') expect(after).not.toBe('allow')
    }),
    { numRuns: 150 },
  )
})

test('the claims that are flipped are all there are', () => {
  expect(fields.toSorted()).toEqual(Object.keys(makeRequest().claimed).toSorted())
})
