// The engine against a model that slices nothing, keeps nothing parsed and asks Cedar about every policy each time.

import { isAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { PolicyObject } from '../../src/policy/engine.ts'
import { questionOf } from '../../src/policy/entities.ts'
import type { AuthorizationRequest, Outcome } from '../../src/ports/authorizer.ts'
import { clusterPolicy, corp, makeEngine, makeRequest, own, policy, put } from './make.ts'

const principal = fc.constantFrom(
  'principal',
  'principal is Taskbound::Agent',
  'principal == Taskbound::Agent::"team-a/clerk"',
  'principal == Taskbound::Agent::"team-b/clerk"',
  'principal in Taskbound::Agent::"team-a/clerk"',
  'principal in Taskbound::Namespace::"team-a"',
  'principal is Taskbound::Agent in Taskbound::Namespace::"team-b"',
)
const action = fc.constantFrom(
  'action',
  'action == Taskbound::Action::"issue"',
  'action in [Taskbound::Action::"renew", Taskbound::Action::"exchange"]',
  'action in Taskbound::Action::"renew"',
)
const resource = fc.constantFrom(
  'resource',
  'resource is Taskbound::ClusterProvider',
  'resource is Taskbound::Provider in Taskbound::Namespace::"team-a"',
  'resource == Taskbound::ClusterProvider::"corp"',
  'resource == Taskbound::Provider::"team-a/own"',
  'resource in Taskbound::Namespace::"team-a"',
  'resource in Taskbound::ClusterProvider::"corp"',
)
const condition = fc.constantFrom(
  '',
  ' when { context.ttlSeconds <= 600 }',
  ' when { principal has owner && principal.owner == "bob" }',
  ' unless { resource.type == "jwt" }',
  // fails where ttlSeconds is above zero
  ' when { context.ttlSeconds + 9223372036854775807 > 0 }',
)
const effect = fc.constantFrom('permit', 'permit', 'forbid')
const text = fc.array(
  fc.tuple(effect, principal, action, resource, condition).map(([e, p, a, r, c]) => `${e} (${p}, ${a}, ${r})${c};`),
  { minLength: 1, maxLength: 4 },
)
const objects = fc.uniqueArray(
  fc
    .tuple(
      fc.constantFrom('Cluster', 'team-a', 'team-b'),
      fc.constantFrom('one', 'two', 'three'),
      text,
      fc.constantFrom('Enforce', 'Audit'),
    )
    .map(([scope, name, lines, mode]) =>
      scope === 'Cluster' ? clusterPolicy(name, lines.join('\n'), mode) : policy(scope, name, lines.join('\n'), mode),
    ),
  { selector: ({ scope, namespace, name }) => `${scope}/${namespace}/${name}`, maxLength: 6 },
)
const request = fc
  .record({
    namespace: fc.constantFrom('team-a', 'team-b'),
    name: fc.constantFrom('clerk', 'helper'),
    owner: fc.constantFrom('bob', undefined),
    action: fc.constantFrom('issue', 'renew', 'delegate'),
    cluster: fc.boolean(),
    provider: fc.constantFrom('corp', 'own'),
    ttl: fc.constantFrom(600, 900, 0),
  })
  .map(({ namespace, name, owner, action, cluster, provider, ttl }) =>
    makeRequest({
      agent: { namespace, name, owner },
      action: action as AuthorizationRequest['action'],
      provider: cluster ? { ...corp, name: provider } : { ...own, name: provider, namespace },
      ttl: (ttl * 1000) as AuthorizationRequest['ttl'],
    }),
  )

function naive(all: readonly PolicyObject[], asked: AuthorizationRequest): Outcome {
  const judged = (mine: readonly PolicyObject[]) => {
    const answer = isAuthorized({
      ...questionOf(asked),
      policies: { staticPolicies: mine.map((object) => object.text).join('\n') },
    })
    if (answer.type === 'failure') return { allows: false, forbids: false, fails: true }
    const { decision, diagnostics } = answer.response
    return {
      allows: decision === 'allow',
      forbids: decision === 'deny' && diagnostics.reason.length > 0,
      fails: diagnostics.errors.length > 0,
    }
  }
  const c = judged(all.filter(({ scope }) => scope === 'Cluster'))
  const n = judged(all.filter(({ namespace }) => namespace === asked.agent.namespace))
  if (c.forbids || n.forbids) return 'forbid'
  if (c.fails || n.fails) return 'error'
  if (asked.provider.kind === 'ClusterCredentialProvider') return c.allows ? 'allow' : 'noPermit'
  return c.allows || n.allows ? 'allow' : 'noPermit'
}

test('slices, kept sets and edits change no answer, and Audit policies never count', () => {
  const sample = { requests: fc.array(request, { minLength: 1, maxLength: 5 }), first: objects, second: objects }
  fc.assert(
    fc.property(fc.record(sample), ({ requests, first, second }) => {
      const { engine } = makeEngine(first)
      const live = new Map(first.map((object) => [`${object.namespace}/${object.name}`, object]))
      const check = () => {
        const all = [...live.values()]
        const enforced = all.filter(({ mode }) => mode === 'Enforce')
        for (const asked of requests) {
          const answer = engine.authorize(asked)
          expect(answer.outcome).toBe(naive(enforced, asked))
          // and what is said of Audit is what would be if all of it were enforced
          expect(answer.audit?.outcome ?? answer.outcome).toBe(naive(all, asked))
        }
      }
      check()
      for (const object of second) {
        put(engine, object)
        live.set(`${object.namespace}/${object.name}`, object)
      }
      check()
      for (const object of first) {
        engine.remove(object)
        live.delete(`${object.namespace}/${object.name}`)
      }
      check()
    }),
    { numRuns: 80 },
  )
}, 60_000)
