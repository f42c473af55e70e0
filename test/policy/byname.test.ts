// An exception is permitted by who names it: a permit that merely does not leave it out counts for nothing.

import { describe, expect, test } from '@jest/globals'
import type { ProviderFacts } from '../../src/ports/authorizer.ts'
import { clusterPolicy, corp, makeEngine, makeRequest, policy } from './make.ts'

const exception: ProviderFacts = { ...corp, name: 'legacy', type: 'static', byName: true }
const it = 'Taskbound::ClusterProvider::"legacy"'

describe('the permit', () => {
  test.each<readonly [string, string, 'allow' | 'noPermit']>([
    ['permit (principal, action, resource);', 'of everything', 'noPermit'],
    ['permit (principal, action, resource is Taskbound::ClusterProvider);', 'of all cluster providers', 'noPermit'],
    [`permit (principal, action, resource) when { resource == ${it} };`, 'that names it behind `when`', 'noPermit'],
    [`permit (principal, action, resource in ${it});`, 'that has it by a membership', 'noPermit'],
    ['permit (principal, action, resource) when { resource.type == "static" };', 'of its type', 'noPermit'],
    ['permit (principal, action, resource == Taskbound::ClusterProvider::"other");', 'of another', 'noPermit'],
    ['permit (principal, action, resource == Taskbound::Provider::"team-a/legacy");', 'of a namespace\u2019s of that name', 'noPermit'],
    [`permit (principal, action == Taskbound::Action::"renew", resource == ${it});`, 'of another action', 'noPermit'],
    [`permit (principal, action, resource == ${it}) when { context.claimed.action == "other" };`, 'that does not match', 'noPermit'],
    [`permit (principal, action, resource == ${it});`, 'that names it', 'allow'],
    [`permit (principal, action, resource); permit (principal, action, resource == ${it});`, 'that names it, beside one of all', 'allow'],
    [`permit (principal, action, resource == ${it}); forbid (principal, action, resource);`, 'that names it, against a forbid', 'noPermit'],
  ])('%s', (text, _what, outcome) => {
    const { engine } = makeEngine([clusterPolicy('p', text)])
    const answer = engine.authorize(makeRequest({ provider: exception }))
    expect(answer.outcome).toBe(outcome === 'noPermit' && text.includes('forbid') ? 'forbid' : outcome)
    expect(answer.permitted).toBe(outcome === 'allow')
    expect(answer.policies.every(({ id }) => !text.startsWith('permit (principal, action, resource);') || id.endsWith('/1'))).toBe(true)
  })

  test('of a namespace opens it as little as any cluster provider', () => {
    const { engine } = makeEngine([policy('team-a', 'n', `permit (principal, action, resource == ${it});`)])
    expect(engine.authorize(makeRequest({ provider: exception })).outcome).toBe('noPermit')
  })

  test('in mode Audit would have to name it, too', () => {
    const would = (text: string) =>
      makeEngine([clusterPolicy('p', text, 'Audit')]).engine.authorize(makeRequest({ provider: exception })).audit?.outcome
    expect([would('permit (principal, action, resource);'), would(`permit (principal, action, resource == ${it});`)]).toEqual([
      undefined,
      'allow',
    ])
  })

  test('of everything still opens what is no exception', () => {
    const { engine } = makeEngine([clusterPolicy('p', 'permit (principal, action, resource);')])
    expect(engine.authorize(makeRequest()).outcome).toBe('allow')
  })
})
