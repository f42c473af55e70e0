// Builds requests, policy objects and engines for the tests of policy. Defaults are harmless; a test says only what it is about.

import { at, seconds } from '../../src/lib/instant.ts'
import { createPolicyEngine, type PolicyEngine, type PolicyLimits, type PolicyObject } from '../../src/policy/engine.ts'
import type { AuthorizationRequest, ProviderFacts } from '../../src/ports/authorizer.ts'

export const noon = at(Date.UTC(2026, 10, 24, 12))

export const corp: ProviderFacts = {
  kind: 'ClusterCredentialProvider',
  namespace: undefined,
  name: 'corp',
  uid: 'u-corp',
  type: 'jwt',
  labels: {},
  sensitivity: 'Internal',
  destinations: [],
  revocation: { class: 'Checked', bound: seconds(60) },
}

export const own: ProviderFacts = { ...corp, kind: 'CredentialProvider', namespace: 'team-a', name: 'own', uid: 'u-own', type: 'static' }

type Overrides = Partial<Omit<AuthorizationRequest, 'claimed' | 'agent'>> & {
  readonly claimed?: Partial<AuthorizationRequest['claimed']>
  readonly agent?: Partial<AuthorizationRequest['agent']>
}

export function makeRequest({ claimed, agent, ...rest }: Overrides = {}): AuthorizationRequest {
  const namespace = agent?.namespace ?? 'team-a'
  return {
    action: 'issue',
    agent: { namespace, name: 'clerk', uid: 'u-clerk', serviceAccount: 'clerk', owner: undefined, attributes: {}, ...agent },
    namespace: { name: namespace, labels: {} },
    provider: corp,
    claimed: {
      action: 'payroll.reconcile',
      purpose: undefined,
      destination: undefined,
      destinations: [],
      dataSensitivity: undefined,
      tools: [],
      attributes: {},
      ...claimed,
    },
    audience: undefined,
    scopes: [],
    ttl: seconds(600),
    requestedBy: { kind: 'User', username: 'alice', groups: ['payroll'] },
    approved: false,
    approvers: [],
    delegation: undefined,
    now: noon,
    ...rest,
  }
}

export const clusterPolicy = (name: string, text: string, mode: PolicyObject['mode'] = 'Enforce'): PolicyObject => ({
  scope: 'Cluster',
  namespace: undefined,
  name,
  text,
  mode,
})

export const policy = (namespace: string, name: string, text: string, mode: PolicyObject['mode'] = 'Enforce'): PolicyObject => ({
  scope: 'Namespace',
  namespace,
  name,
  text,
  mode,
})

export interface Bench {
  readonly engine: PolicyEngine
  readonly clock: { now: typeof noon }
}

/** An engine in which each object is in force with its own text, if that is valid. */
export function makeEngine(objects: readonly PolicyObject[] = [], limits?: PolicyLimits): Bench {
  const clock = { now: noon }
  const engine = createPolicyEngine({ clock: { now: () => clock.now }, ...(limits && { limits }) })
  for (const object of objects) put(engine, object)
  return { engine, clock }
}

export function put(engine: PolicyEngine, object: PolicyObject): void {
  engine.enforce(object, engine.assess(object).ok ? object.text : undefined)
}

/** Passes validation and fails on every request. */
export const failing = (effect: 'permit' | 'forbid'): string =>
  `@id("fails") ${effect} (principal, action, resource) when { context.ttlSeconds + 9223372036854775807 > 0 };`
