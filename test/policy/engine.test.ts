import { describe, expect, test } from '@jest/globals'
import { at, seconds } from '../../src/lib/instant.ts'
import type { AuthorizationRequest, Outcome } from '../../src/ports/authorizer.ts'
import { clusterPolicy, corp, failing, makeEngine, makeRequest, noon, own, policy, put } from './make.ts'

const texts = {
  allow: '@id("yes") permit (principal, action, resource);',
  forbid: '@id("yes") permit (principal, action, resource); @id("no") @message("not today") forbid (principal, action, resource);',
  noPermit: '@id("no") forbid (principal, action, resource) when { context.approved };',
} as const

describe('how the answers of the cluster and of the namespace combine', () => {
  type Says = keyof typeof texts
  const table: readonly (readonly [Says, Says, Outcome, Outcome])[] = [
    // cluster, namespace, outcome for a cluster provider, outcome for a namespaced one
    ['allow', 'allow', 'allow', 'allow'],
    ['allow', 'noPermit', 'allow', 'allow'],
    ['allow', 'forbid', 'forbid', 'forbid'],
    ['noPermit', 'allow', 'noPermit', 'allow'],
    ['noPermit', 'noPermit', 'noPermit', 'noPermit'],
    ['noPermit', 'forbid', 'forbid', 'forbid'],
    ['forbid', 'allow', 'forbid', 'forbid'],
    ['forbid', 'noPermit', 'forbid', 'forbid'],
    ['forbid', 'forbid', 'forbid', 'forbid'],
  ]
  test.each(table)('cluster %s, namespace %s: cluster provider %s, namespaced provider %s', (c, n, forCluster, forOwn) => {
    const { engine } = makeEngine([clusterPolicy('c', texts[c]), policy('team-a', 'n', texts[n])])
    expect(engine.authorize(makeRequest({ provider: corp })).outcome).toBe(forCluster)
    expect(engine.authorize(makeRequest({ provider: own })).outcome).toBe(forOwn)
  })

  test('with no policy at all nothing is allowed', () => {
    const { engine } = makeEngine()
    for (const provider of [corp, own]) expect(engine.authorize(makeRequest({ provider })).outcome).toBe('noPermit')
  })

  test('the policies of another namespace have no say', () => {
    const { engine } = makeEngine([policy('team-b', 'n', texts.allow), policy('team-b', 'm', texts.forbid)])
    expect(engine.authorize(makeRequest({ provider: own })).outcome).toBe('noPermit')
  })
})

describe('what an answer says', () => {
  test('an allow names the permits that count', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow), policy('team-a', 'n', texts.allow)])
    expect(engine.authorize(makeRequest()).policies.map(({ id }) => id)).toEqual(['ClusterAgentPolicy/c/yes'])
    expect(engine.authorize(makeRequest({ provider: own })).policies.map(({ id }) => id)).toEqual([
      'AgentPolicy/team-a/n/yes',
      'ClusterAgentPolicy/c/yes',
    ])
  })

  test('a forbid carries its id, message and origin', () => {
    const { engine } = makeEngine([policy('team-a', 'n', texts.forbid)])
    expect(engine.authorize(makeRequest()).policies).toEqual([
      { id: 'AgentPolicy/team-a/n/no', message: 'not today', scope: 'Namespace', source: 'n' },
    ])
  })

  test('the digest changes with any enforced text of the two sets and with nothing else', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow)])
    const first = engine.authorize(makeRequest()).digest
    put(engine, clusterPolicy('audited', texts.forbid, 'Audit'))
    put(engine, policy('team-b', 'n', texts.forbid))
    expect(engine.authorize(makeRequest()).digest).toBe(first)
    put(engine, policy('team-a', 'n', texts.allow))
    const second = engine.authorize(makeRequest()).digest
    expect(second).not.toBe(first)
    engine.remove({ scope: 'Namespace', namespace: 'team-a', name: 'n' })
    expect(first).toMatch(/^sha256:[0-9a-f]{64}$/)
  })

  test('readsNow is said of what could decide the request, not of other policies', () => {
    const { engine } = makeEngine([
      clusterPolicy('c', texts.allow),
      clusterPolicy(
        'hours',
        'forbid (principal, action == Taskbound::Action::"renew", resource) when { context.now.toTime() < duration("8h") };',
      ),
    ])
    expect(engine.authorize(makeRequest({ action: 'issue' })).readsNow).toBe(false)
    expect(engine.authorize(makeRequest({ action: 'renew' }))).toMatchObject({ readsNow: true, outcome: 'allow' })
    expect(engine.authorize(makeRequest({ action: 'renew', now: at(Date.UTC(2026, 10, 24, 7)) })).outcome).toBe('forbid')
  })
})

describe('what fails denies', () => {
  test.each(['permit', 'forbid'] as const)('a %s that fails denies although another policy permits', (effect) => {
    for (const bad of [clusterPolicy('bad', failing(effect)), policy('team-a', 'bad', failing(effect))]) {
      const { engine } = makeEngine([clusterPolicy('c', texts.allow), bad])
      for (const provider of [corp, own]) {
        const answer = engine.authorize(makeRequest({ provider }))
        expect(answer).toMatchObject({ outcome: 'error', permitted: false, policies: [{ source: 'bad' }] })
        expect(answer.errors.join()).toContain('integer overflow')
      }
    }
  })

  test('a forbid that matched stands beside an error', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.forbid), clusterPolicy('bad', failing('permit'))])
    expect(engine.authorize(makeRequest()).outcome).toBe('forbid')
  })

  test('a policy whose scope cannot match is not evaluated and cannot fail', () => {
    const elsewhere = failing('forbid').replace('principal,', 'principal in Taskbound::Namespace::"team-b",')
    const { engine } = makeEngine([clusterPolicy('c', texts.allow), clusterPolicy('bad', elsewhere)])
    expect(engine.authorize(makeRequest()).outcome).toBe('allow')
    expect(engine.authorize(makeRequest({ agent: { namespace: 'team-b' } })).outcome).toBe('error')
  })

  test.each([
    ['an action that there is not', makeRequest({ action: 'approve' as 'issue' })],
    ['a number for a text', makeRequest({ claimed: { action: 5 as unknown as string } })],
    ['a fraction', makeRequest({ delegation: { depth: 1.5, chain: [], root: 'team-a/boss' } })],
  ])('a request that does not fit the schema is an error, even where anything is permitted: %s', (_, request) => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow)])
    expect(engine.authorize(request)).toMatchObject({ outcome: 'error', permitted: false })
  })

  test('a provider of another namespace is refused whatever the policies say', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow), policy('team-a', 'n', texts.allow)])
    expect(engine.authorize(makeRequest({ provider: { ...own, namespace: 'team-b' } })).outcome).toBe('error')
    expect(engine.authorize(makeRequest({ namespace: { name: 'team-b', labels: {} } })).outcome).toBe('error')
  })
})

describe('texts that are not valid', () => {
  const broken = 'permit (principal, action, resource)\nwhen { context.aproved };'

  test('an object that never was valid denies its namespace and says where the mistake is', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow), policy('team-a', 'typo', broken)])
    const answer = engine.authorize(makeRequest())
    expect(answer).toMatchObject({ outcome: 'invalidPolicy', permitted: true })
    expect(answer.errors).toEqual([expect.stringMatching(/^AgentPolicy `team-a\/typo` has no valid version: line 2, column 8: .*approved/)])
    expect(engine.authorize(makeRequest({ agent: { namespace: 'team-b' } })).outcome).toBe('allow')
  })

  test('a cluster object that never was valid denies everything until it is repaired or removed', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow), clusterPolicy('typo', broken)])
    for (const provider of [corp, own]) expect(engine.authorize(makeRequest({ provider })).outcome).toBe('invalidPolicy')
    engine.remove({ scope: 'Cluster', namespace: undefined, name: 'typo' })
    expect(engine.authorize(makeRequest()).outcome).toBe('allow')
  })

  test('it does not hide that nothing permits the request', () => {
    const { engine } = makeEngine([clusterPolicy('typo', broken)])
    expect(engine.authorize(makeRequest())).toMatchObject({ outcome: 'invalidPolicy', permitted: false })
  })

  test('a forbid that matched stands beside it', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.forbid), clusterPolicy('typo', broken)])
    expect(engine.authorize(makeRequest()).outcome).toBe('forbid')
  })

  test('after a restart the recorded version holds although the text was broken since', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow)])
    engine.enforce(clusterPolicy('guard', 'forbid (principal'), texts.forbid)
    expect(engine.authorize(makeRequest()).outcome).toBe('forbid')
  })

  test('a valid text that was not recorded is not used', () => {
    const { engine } = makeEngine()
    engine.enforce(clusterPolicy('c', texts.allow), undefined)
    expect(engine.authorize(makeRequest())).toMatchObject({ outcome: 'invalidPolicy', permitted: false })
  })

  test('a recorded version that is not valid any more counts as none', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow)])
    engine.enforce(clusterPolicy('guard', broken), broken)
    expect(engine.authorize(makeRequest()).outcome).toBe('invalidPolicy')
  })

  test('in mode Audit it changes nothing', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow), clusterPolicy('typo', broken, 'Audit')])
    expect(engine.authorize(makeRequest())).toMatchObject({ outcome: 'allow', audit: undefined })
  })
})

test('an edit and a removal count at once', () => {
  const { engine } = makeEngine([clusterPolicy('c', texts.allow)])
  const outcome = () => engine.authorize(makeRequest()).outcome
  expect(outcome()).toBe('allow')
  put(engine, clusterPolicy('c', texts.forbid))
  expect(outcome()).toBe('forbid')
  engine.remove({ scope: 'Cluster', namespace: undefined, name: 'c' })
  expect(outcome()).toBe('noPermit')
})

describe('mode Audit', () => {
  test('says what a forbid would have changed and changes nothing', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow), policy('team-a', 'n', texts.forbid, 'Audit')])
    expect(engine.authorize(makeRequest())).toMatchObject({
      outcome: 'allow',
      audit: { outcome: 'forbid', policies: [{ id: 'AgentPolicy/team-a/n/no' }] },
    })
  })

  test('a permit would have opened only what its scope can open', () => {
    const { engine } = makeEngine([policy('team-a', 'n', texts.allow, 'Audit')])
    expect(engine.authorize(makeRequest({ provider: corp }))).toMatchObject({ outcome: 'noPermit', audit: undefined })
    expect(engine.authorize(makeRequest({ provider: own }))).toMatchObject({ outcome: 'noPermit', audit: { outcome: 'allow' } })
  })

  test('a policy that fails denies nothing', () => {
    const { engine } = makeEngine([clusterPolicy('c', texts.allow), clusterPolicy('bad', failing('forbid'), 'Audit')])
    expect(engine.authorize(makeRequest())).toMatchObject({ outcome: 'allow', errors: [], audit: { outcome: 'error' } })
  })
})

describe('when policies changed', () => {
  const later = (bench: { clock: { now: typeof noon } }, s: number) => {
    bench.clock.now = at(noon + seconds(s))
    return bench.clock.now
  }

  test('a change of the cluster touches everybody, one of a namespace only itself', () => {
    const bench = makeEngine()
    expect(bench.engine.changedAt('team-a')).toBe(noon)
    const first = later(bench, 10)
    put(bench.engine, policy('team-a', 'n', texts.allow))
    expect([bench.engine.changedAt('team-a'), bench.engine.changedAt('team-b')]).toEqual([first, noon])
    const second = later(bench, 20)
    put(bench.engine, clusterPolicy('c', texts.allow))
    expect([bench.engine.changedAt('team-a'), bench.engine.changedAt('team-b')]).toEqual([second, second])
    const third = later(bench, 30)
    bench.engine.remove({ scope: 'Namespace', namespace: 'team-a', name: 'n' })
    expect([bench.engine.changedAt('team-a'), bench.engine.changedAt('team-b')]).toEqual([third, second])
  })

  test.each([
    ['a valid object', texts.allow, texts.allow],
    ['an object that lives by its recorded version', 'permit', texts.allow],
    ['an object that never was valid', 'permit', undefined],
    ['an object whose recorded version is not valid any more', 'permit', 'forbid'],
  ])('the same again is no change: %s', (_, text, inForce) => {
    const bench = makeEngine()
    bench.engine.enforce(clusterPolicy('c', text), inForce)
    later(bench, 10)
    bench.engine.enforce(clusterPolicy('c', text), inForce)
    expect(bench.engine.changedAt('team-a')).toBe(noon)
  })

  test('what only records is no change, but starting or ceasing to enforce is', () => {
    const bench = makeEngine()
    later(bench, 10)
    put(bench.engine, clusterPolicy('c', texts.allow, 'Audit'))
    expect(bench.engine.changedAt('team-a')).toBe(noon)
    const enforced = later(bench, 20)
    put(bench.engine, clusterPolicy('c', texts.allow))
    expect(bench.engine.changedAt('team-a')).toBe(enforced)
    const ceased = later(bench, 30)
    put(bench.engine, clusterPolicy('c', texts.allow, 'Audit'))
    expect(bench.engine.changedAt('team-a')).toBe(ceased)
    expect(bench.engine.authorize(makeRequest()).outcome).toBe('noPermit')
  })
})

describe('who is who', () => {
  test('a cluster provider and a namespaced one of the same name never match for each other', () => {
    const forCluster = 'permit (principal, action, resource == Taskbound::ClusterProvider::"team-a/own");'
    const forOwn = 'permit (principal, action, resource == Taskbound::Provider::"corp");'
    const { engine } = makeEngine([clusterPolicy('a', forCluster), clusterPolicy('b', forOwn)])
    for (const provider of [corp, own, { ...corp, name: 'team-a-own' }]) {
      expect(engine.authorize(makeRequest({ provider })).outcome).toBe('noPermit')
    }
  })

  test('an agent that was made again under its name is another by uid', () => {
    const text = 'permit (principal == Taskbound::Agent::"team-a/clerk", action, resource) when { principal.uid == "u-clerk" };'
    const { engine } = makeEngine([clusterPolicy('c', text)])
    expect(engine.authorize(makeRequest()).outcome).toBe('allow')
    expect(engine.authorize(makeRequest({ agent: { uid: 'u-other' } })).outcome).toBe('noPermit')
  })

  test('an unknown requester has no name and no groups, whatever was gathered', () => {
    const { engine } = makeEngine([
      clusterPolicy('a', 'permit (principal, action, resource) when { context.requestedBy.username == "alice" };'),
      clusterPolicy('b', 'permit (principal, action, resource) when { context.requestedBy.groups.contains("payroll") };'),
    ])
    const asked = (kind: AuthorizationRequest['requestedBy']['kind']) =>
      engine.authorize(makeRequest({ requestedBy: { kind, username: 'alice', groups: ['payroll'] } })).outcome
    expect([asked('User'), asked('Unknown')]).toEqual(['allow', 'noPermit'])
  })
})

test('a namespace with more policies than are judged is denied, whichever came last', () => {
  const many = (count: number) => Array.from({ length: count }, () => 'permit (principal, action, resource);').join('\n')
  const limits = { clusterPolicies: 10, namespacePolicies: 4 }
  const { engine } = makeEngine([clusterPolicy('c', texts.allow), policy('team-a', 'n', many(4))], limits)
  expect(engine.authorize(makeRequest()).outcome).toBe('allow')
  put(engine, policy('team-a', 'another', many(1)))
  expect(engine.authorize(makeRequest())).toMatchObject({ outcome: 'invalidPolicy', errors: [expect.stringContaining('more than the 4')] })
  expect(engine.authorize(makeRequest({ agent: { namespace: 'team-b' } })).outcome).toBe('allow')
})
