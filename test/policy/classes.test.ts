// Policies by revocation class, as they are shipped as examples, and that no claim of a task's author opens anything: of the policies in
// examples/ and in the chart, each answer that denies goes on denying whatever is claimed, unless a permit reads the claim itself.

import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseAllDocuments } from 'yaml'
import { endless, seconds } from '../../src/lib/instant.ts'
import type { PolicyObject } from '../../src/policy/engine.ts'
import type { AuthorizationRequest, ProviderFacts, Sensitivity } from '../../src/ports/authorizer.ts'
import { clusterPolicy, corp, makeEngine, makeRequest, policy } from './make.ts'

const root = resolve(import.meta.dirname, '../..')
type Manifest = { kind?: string; metadata: { name: string; namespace?: string }; spec: { cedar: string } }

function policiesOf(file: string): readonly PolicyObject[] {
  const manifests = parseAllDocuments(readFileSync(resolve(root, file), 'utf8')).map((document) => document.toJS() as Manifest | null)
  return manifests.flatMap((one) => {
    if (one?.kind === 'ClusterAgentPolicy') return [clusterPolicy(one.metadata.name, one.spec.cedar)]
    return one?.kind === 'AgentPolicy' ? [policy(one.metadata.namespace ?? 'team-a', one.metadata.name, one.spec.cedar)] : []
  })
}

const byRevocation = policiesOf('examples/policies/by-revocation.yaml')
const all = clusterPolicy('all', '@id("all") permit (principal, action, resource);')

describe('the policy by revocation class', () => {
  const provider = (revocation: ProviderFacts['revocation'], sensitivity: Sensitivity | undefined): ProviderFacts => ({
    ...corp,
    revocation,
    sensitivity,
  })
  const short = { class: 'ExpireOnly', bound: seconds(960) } as const
  test.each<readonly [string, ProviderFacts, string | undefined]>([
    ['what cannot be revoked, of a public provider', provider(short, 'Public'), undefined],
    ['of an internal one', provider(short, 'Internal'), 'irrevocable-is-public'],
    ['of a restricted one', provider(short, 'Restricted'), 'irrevocable-is-public'],
    ['of one that declares nothing', provider(short, undefined), 'irrevocable-is-public'],
    ['what lives on for an hour, of a public one', provider({ class: 'ExpireOnly', bound: seconds(3600) }, 'Public'), 'no-long-tail'],
    ['what lives on for good, of a public one', provider({ class: 'ExpireOnly', bound: endless }, 'Public'), 'no-long-tail'],
    ['what is revoked at once, of any', provider({ class: 'Immediate', bound: seconds(5) }, 'Restricted'), undefined],
    ['what is checked, of any', provider({ class: 'Checked', bound: seconds(75) }, 'Restricted'), undefined],
  ])('%s', (_what, its, forbids) => {
    const { engine } = makeEngine([all, ...byRevocation])
    for (const action of ['issue', 'renew'] as const) {
      const answer = engine.authorize(makeRequest({ action, provider: its }))
      expect(answer.outcome).toBe(forbids === undefined ? 'allow' : 'forbid')
      expect(answer.policies.map(({ id }) => id.split('/').at(-1))).toEqual([forbids ?? 'all'])
    }
  })
})

const files = globSync('{examples/**/*.yaml,charts/taskbound/files/starter.yaml}', { cwd: root }).sort()
const shipped = files.flatMap((file) => policiesOf(file).map((one) => [`${file}: ${one.name}`, one] as const))
const word = fc.constantFrom<Sensitivity | undefined>(undefined, 'Public', 'Internal', 'Confidential', 'Restricted')
const names = (texts: readonly string[]) => fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom(...texts))

/** Words that stand in the policies themselves, so that a comparison with one of them is met. */
const wordsOf = (text: string): readonly string[] => ['', ...[...text.matchAll(/"([^"\n]{1,80})"/g)].map(([, found]) => found ?? '')]

function claimsOf(text: string): fc.Arbitrary<AuthorizationRequest['claimed']> {
  const some = names(wordsOf(text))
  return fc.record({
    action: some,
    purpose: fc.option(some, { nil: undefined }),
    destination: fc.option(some, { nil: undefined }),
    destinations: fc.array(some, { maxLength: 3 }),
    dataSensitivity: word,
    tools: fc.array(some, { maxLength: 3 }),
    attributes: fc.dictionary(fc.constantFrom('ticket', 'team', 'role'), some, { maxKeys: 2 }),
  })
}

function requestsOf(text: string): fc.Arbitrary<AuthorizationRequest> {
  const words = wordsOf(text)
  const agents = words.filter((one) => /^[a-z0-9-]+\/[a-z0-9-]+$/.test(one)).map((one) => one.split('/'))
  const namespace = fc.constantFrom('team-a', ...words.filter((one) => /^[a-z0-9-]+$/.test(one)), ...agents.map(([first]) => first ?? ''))
  const agent = fc.constantFrom('clerk', ...agents.map(([, second]) => second ?? ''))
  const provider = fc.constantFrom('corp', ...words.filter((one) => /^[a-z0-9-]+$/.test(one)))
  const revocation = fc.record({
    class: fc.constantFrom('Immediate' as const, 'Checked' as const, 'ExpireOnly' as const),
    bound: fc.constantFrom(seconds(5), seconds(960), endless),
  })
  return fc
    .tuple(namespace, agent, provider, revocation, word, fc.subarray([...new Set(words)]), fc.boolean(), claimsOf(text))
    .map(([home, by, name, its, sensitivity, scopes, exception, claimed]) =>
      makeRequest({
        agent: { namespace: home, name: by },
        namespace: { name: home, labels: {} },
        provider: { ...corp, name, revocation: its, sensitivity, ...(exception ? { byName: true } : {}) },
        scopes,
        claimed,
      }),
    )
}

/** Whether a permit of it opens by what is claimed: then a claim opens it, as its author wanted. */
const trusts = (text: string): boolean =>
  text
    .split(';')
    .some((one) => /\bpermit\s*\(/.test(one) && /\bcontext\s*(\.\s*claimed\b|\[\s*"claimed")/.test(one.replaceAll(/\/\/.*$/gm, '')))

describe('no claim turns a deny into an allow', () => {
  test('there are policies to look at', () => {
    expect(shipped.length).toBeGreaterThan(5)
    expect(shipped.some(([, { text }]) => !trusts(text) && text.includes('permit'))).toBe(true)
  })

  test.each(shipped.filter(([, { text }]) => !trusts(text)))('%s', (_where, one) => {
    // alone, and beside a permit of everything, where it is its forbids that matter
    const engines = [[one], [one, all]].map((objects) => makeEngine(objects).engine)
    let denied = 0
    fc.assert(
      fc.property(requestsOf(one.text), claimsOf(one.text), (request, claimed) => {
        for (const engine of engines) {
          const before = engine.authorize(request)
          if (before.outcome === 'allow') continue
          denied += 1
          // a claim that is taken back raises nothing any more: what is declared stays
          const bare = { ...request.claimed, dataSensitivity: undefined }
          if (engine.authorize({ ...request, claimed: bare }).outcome === 'allow') continue
          expect(engine.authorize({ ...request, claimed }).outcome).not.toBe('allow')
        }
      }),
      { numRuns: 150 },
    )
    expect(denied).toBeGreaterThan(0)
  })

  test('and where a permit reads a claim, it does', () => {
    const text = 'permit (principal, action, resource) when { context.claimed.action == "x" };'
    const { engine } = makeEngine([clusterPolicy('p', text)])
    expect(trusts(text)).toBe(true)
    expect(engine.authorize(makeRequest()).outcome).toBe('noPermit')
    expect(engine.authorize(makeRequest({ claimed: { action: 'x' } })).outcome).toBe('allow')
  })
})
