// The two rules of how the cluster's policies (C) and the namespace's (N) become one answer, over random sets, written as the rules are said.

import { isAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { questionOf } from '../../src/policy/entities.ts'
import type { AuthorizationRequest } from '../../src/ports/authorizer.ts'
import { clusterPolicy, corp, makeEngine, makeRequest, own, policy } from './make.ts'

const line = fc
  .tuple(
    fc.constantFrom('permit', 'forbid'),
    fc.constantFrom(
      'resource',
      'resource is Taskbound::ClusterProvider',
      'resource is Taskbound::Provider',
      'resource == Taskbound::Provider::"team-a/own"',
      'resource == Taskbound::ClusterProvider::"own"',
      'resource in Taskbound::Namespace::"team-a"',
      'resource == Taskbound::Provider::"team-b/own"',
    ),
    // the last one fails
    fc.constantFrom('', ' when { context.ttlSeconds > 900 }', ' when { context.ttlSeconds + 9223372036854775807 > 0 }'),
  )
  .map(([effect, resource, condition]) => `${effect} (principal, action, ${resource})${condition};`)
const set = fc.array(line, { maxLength: 3 })

type Says = 'allow' | 'forbid' | 'nothing' | 'error'
function says(lines: readonly string[], asked: AuthorizationRequest): Says {
  const answer = isAuthorized({ ...questionOf(asked), policies: { staticPolicies: lines.join('\n') } })
  if (answer.type === 'failure' || answer.response.diagnostics.errors.length > 0) return 'error'
  const { decision, diagnostics } = answer.response
  return decision === 'allow' ? 'allow' : diagnostics.reason.length > 0 ? 'forbid' : 'nothing'
}

test('a cluster provider needs C to allow and N not to forbid; a namespaced one C not to forbid and either to allow; an error denies', () => {
  const outcomes = new Set<string>()
  fc.assert(
    fc.property(set, set, set, fc.boolean(), (cluster, namespace, stranger, isCluster) => {
      const { engine } = makeEngine([
        ...(cluster.length > 0 ? [clusterPolicy('c', cluster.join('\n'))] : []),
        ...(namespace.length > 0 ? [policy('team-a', 'n', namespace.join('\n'))] : []),
        // what another namespace says never counts
        ...(stranger.length > 0 ? [policy('team-b', 'n', stranger.join('\n'))] : []),
      ])
      const asked = makeRequest({ provider: isCluster ? { ...corp, name: 'own' } : { ...own, name: 'own', namespace: 'team-a' } })
      const [c, n] = [says(cluster, asked), says(namespace, asked)]
      const wanted =
        c !== 'error' && n !== 'error' && c !== 'forbid' && n !== 'forbid' && (isCluster ? c === 'allow' : c === 'allow' || n === 'allow')
      outcomes.add(`${isCluster ? 'cluster' : 'namespaced'} ${c} ${n}`)
      expect(engine.authorize(asked).outcome === 'allow').toBe(wanted)
    }),
    { numRuns: 600 },
  )
  // nearly all of the 32 pairs of answers came up; with half as many runs that is too much left to chance
  expect(outcomes.size).toBeGreaterThan(24)
}, 60_000)

test('no task is judged for a provider of another namespace, whatever the policies allow', () => {
  const { engine } = makeEngine([
    clusterPolicy('c', 'permit (principal, action, resource);'),
    policy('team-a', 'n', 'permit (principal, action, resource);'),
  ])
  const asked = makeRequest({ provider: { ...own, name: 'own', namespace: 'team-b' } })
  expect(engine.authorize(asked).outcome).toBe('error')
})
