import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { milliseconds, seconds } from '../../src/lib/instant.ts'
import { questionOf, sensitivities } from '../../src/policy/entities.ts'
import type { AuthorizationRequest } from '../../src/ports/authorizer.ts'
import { clusterPolicy, corp, makeEngine, makeRequest, noon, own } from './make.ts'

/** Whether a request meets a condition, asked of a real engine. */
function holds(condition: string, request: AuthorizationRequest): boolean {
  const { engine } = makeEngine([clusterPolicy('c', `permit (principal, action, resource) when { ${condition} };`)])
  const answer = engine.authorize(request)
  expect(answer.errors).toEqual([])
  return answer.outcome === 'allow'
}

const full: AuthorizationRequest = {
  ...makeRequest({
    agent: { owner: 'bob', attributes: { team: 'payroll', __proto__2: 'x' } },
    provider: {
      ...own,
      labels: { tier: 'gold' },
      destinations: ['db.corp.example'],
      revocation: { class: 'ExpireOnly', bound: milliseconds(1500) },
    },
    claimed: {
      purpose: 'close the books',
      destination: 'db.corp.example',
      destinations: ['db.corp.example', 'mail.corp.example'],
      dataSensitivity: 'Confidential',
      tools: ['sql'],
      attributes: { ticket: 'FIN-12' },
    },
  }),
  namespace: { name: 'team-a', labels: { environment: 'prod', tier: 'one' } },
  audience: 'https://db.corp.example',
  scopes: ['read', 'list'],
  ttl: seconds(900),
  requestedBy: { kind: 'ServiceAccount', username: 'system:serviceaccount:a:b', groups: ['system:serviceaccounts'] },
  approved: true,
  approvers: ['carol'],
  delegation: { depth: 2, chain: ['team-a/boss', 'team-b/chief'], root: 'team-b/chief' },
}

test.each([
  'principal == Taskbound::Agent::"team-a/clerk" && principal in Taskbound::Namespace::"team-a"',
  'principal.name == "clerk" && principal.uid == "u-clerk" && principal.serviceAccount == "clerk"',
  'principal has owner && principal.owner == "bob"',
  'principal.hasTag("team") && principal.getTag("team") == "payroll"',
  'principal.namespace.name == "team-a" && principal.namespace has environment && principal.namespace.environment == "prod"',
  'principal.namespace.hasTag("tier") && principal.namespace.getTag("tier") == "one"',
  'resource == Taskbound::Provider::"team-a/own" && resource in Taskbound::Namespace::"team-a"',
  'resource.name == "own" && resource.uid == "u-own" && resource.type == "static" && resource.sensitivity == "Internal"',
  'resource.hasTag("tier") && resource.getTag("tier") == "gold" && resource.destinations.contains("db.corp.example")',
  'resource.revocation.class == "ExpireOnly" && resource.revocation.boundSeconds == 2',
  'context.claimed.action == "payroll.reconcile" && context.claimed has purpose && context.claimed.purpose like "close*"',
  'context.claimed has destination && context.claimed.destinations.containsAll([context.claimed.destination, "mail.corp.example"])',
  'context.claimed has dataSensitivity && context.claimed.dataSensitivity == "Confidential" && context.claimed.tools == ["sql"]',
  'context.claimed.attributes.hasTag("ticket") && context.claimed.attributes.getTag("ticket") == "FIN-12"',
  'context.scopes == ["list", "read"] && context has audience && context.audience == "https://db.corp.example"',
  'context.ttlSeconds == 900 && context.approved && context.approvers.contains("carol")',
  'context.requestedBy.kind == "ServiceAccount" && context.requestedBy.groups.contains("system:serviceaccounts")',
  'context has delegation && context.delegation.depth == 2 && context.delegation.root == "team-b/chief"',
  'context.now == datetime("2026-11-24T12:00:00Z")',
])('a fact stands where the schema says: %s', (condition) => {
  expect(holds(condition, full)).toBe(true)
})

test('what is not there is absent, not empty', () => {
  const absent = [
    'principal has owner',
    'principal.namespace has environment',
    'context has audience',
    'context has delegation',
    'context.claimed has purpose',
    'context.claimed has destination',
    'context.claimed has dataSensitivity',
    'context.claimed.attributes.hasTag("ticket")',
    'principal.hasTag("team")',
    'resource.hasTag("tier")',
  ]
  for (const condition of absent) expect(holds(condition, makeRequest())).toBe(false)
})

describe('sensitivity', () => {
  const levelOf = (request: AuthorizationRequest) => questionOf(request).context['sensitivity'] as { word: string; level: number }
  const of = (declared: (typeof sensitivities)[number] | undefined, claimed: (typeof sensitivities)[number] | undefined) =>
    levelOf(makeRequest({ provider: { ...corp, sensitivity: declared }, claimed: { dataSensitivity: claimed } }))

  test('a claim raises what the provider declares and never lowers it', () => {
    for (const declared of sensitivities) {
      expect(of(declared, undefined).word).toBe(declared)
      for (const claimed of sensitivities) {
        const { word, level } = of(declared, claimed)
        expect(level).toBe(Math.max(sensitivities.indexOf(declared), sensitivities.indexOf(claimed)))
        expect(word).toBe(sensitivities[level])
      }
    }
  })

  test('a provider that declares nothing is taken for the most sensitive, whatever is claimed', () => {
    for (const claimed of [undefined, ...sensitivities]) expect(of(undefined, claimed)).toEqual({ word: 'Restricted', level: 3 })
    expect(holds('resource.sensitivity == "Restricted"', makeRequest({ provider: { ...corp, sensitivity: undefined } }))).toBe(true)
  })

  test('a claim outside the four words changes nothing', () => {
    expect(of('Internal', 'Harmless' as 'Public')).toEqual({ word: 'Internal', level: 1 })
  })
})

test('no text of a user, whatever it holds, becomes anything but that text', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom('__entity', '__extn', '__proto__', 'constructor', '"', '\\', '\0'),
  )
  const { engine } = makeEngine([clusterPolicy('c', 'permit (principal, action, resource);')])
  fc.assert(
    fc.property(hostile, hostile, fc.dictionary(hostile, hostile, { maxKeys: 3 }), (a, b, attributes) => {
      const request = makeRequest({
        agent: { owner: a, attributes },
        claimed: { action: a, purpose: b, tools: [a, b], destinations: [b], attributes },
        requestedBy: { kind: 'User', username: a, groups: [b] },
        provider: { ...corp, labels: attributes, destinations: [a] },
        now: noon,
      })
      expect(engine.authorize(request)).toMatchObject({ outcome: 'allow', errors: [] })
    }),
    { numRuns: 300 },
  )
})
