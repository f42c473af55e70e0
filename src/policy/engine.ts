// The Authorizer over Cedar: takes policy objects one at a time and answers requests from those in force.
// Reads and writes no object of the cluster: whoever calls `enforce` has recorded the text in the object's status before.

import { digest } from '../lib/canonical.ts'
import type { Instant } from '../lib/instant.ts'
import { ok, type Result } from '../lib/result.ts'
import type { Answer, AuditDifference, AuthorizationRequest, Authorizer, DecidingPolicy } from '../ports/authorizer.ts'
import type { Clock } from '../ports/clock.ts'
import { type Cedar, createCedar } from './cedar.ts'
import { compile, type Rejection } from './compile.ts'
import { type Question, questionOf, targetOf } from './entities.ts'
import { type Opinion, type Ruling, rule, silent, together } from './judge.ts'
import type { Member } from './member.ts'
import { schemaText } from './schema.ts'
import { names } from './scope.ts'
import { createPolicySet, type Holding, type PolicySet } from './set.ts'
import { createSlices, type Slice } from './slices.ts'

/** An AgentPolicy or ClusterAgentPolicy, as far as policy is concerned. */
export interface PolicyObject {
  readonly scope: 'Cluster' | 'Namespace'
  /** `undefined` for the cluster's */
  readonly namespace: string | undefined
  readonly name: string
  /** `spec.cedar` */
  readonly text: string
  readonly mode: 'Enforce' | 'Audit'
}

export type PolicyKey = Pick<PolicyObject, 'scope' | 'namespace' | 'name'>

/** What a valid text amounts to. */
export interface Assessment {
  /** of the text, as it goes into `status.inForce` */
  readonly digest: string
  /** ids as answers will carry them, in the order of the text */
  readonly ids: readonly string[]
}

export interface PolicyEngine extends Authorizer {
  /** Whether the object's text is usable. Changes nothing. */
  assess(object: PolicyObject): Result<Assessment, Rejection>
  /**
   * Puts an object in force, in its mode, with the text that `status.inForce` holds: its own if that is valid, else the last that was.
   * `undefined`, or a text that is not valid (any more), makes it broken: in mode Enforce it denies everything in its scope.
   * Calling it again with the same changes nothing.
   */
  enforce(object: PolicyObject, textInForce: string | undefined): void
  remove(key: PolicyKey): void
  /** when what is in force last changed anywhere, or this process started */
  lastChange(): Instant
  /** False once Cedar is damaged: everything throws from then on, and only a new process helps. */
  usable(): boolean
}

export interface PolicyLimits {
  readonly clusterPolicies: number
  readonly namespacePolicies: number
}

const policyLimits: PolicyLimits = { clusterPolicies: 5000, namespacePolicies: 1000 }

export interface PolicyEngineDeps {
  readonly clock: Pick<Clock, 'now'>
  readonly cedar?: Cedar
  readonly limits?: PolicyLimits
}

type Compiled = ReturnType<typeof compile>

export function createPolicyEngine({ clock, cedar = createCedar(), limits = policyLimits }: PolicyEngineDeps): PolicyEngine {
  const slices = createSlices(cedar, schemaText)
  const schema = schemaOf(cedar)
  const cluster = createPolicySet('the cluster', limits.clusterPolicies)
  const namespaces = new Map<string, PolicySet>()
  const changes = {
    start: clock.now(),
    cluster: undefined as Instant | undefined,
    namespaces: new Map<string, Instant>(),
    last: clock.now(),
  }
  let serial = 0
  let revision = 0
  let last: { readonly text: string; readonly compiled: Compiled } | undefined

  /** Remembers one text: what is put in force was assessed a moment before. */
  function read(text: string): Compiled {
    if (last?.text !== text) last = { text, compiled: compile(cedar, schema, text) }
    return last.compiled
  }

  function setOf({ scope, namespace = '' }: PolicyKey): PolicySet {
    if (scope === 'Cluster') return cluster
    const known = namespaces.get(namespace)
    if (known !== undefined) return known
    const made = createPolicySet(`namespace \`${namespace}\``, limits.namespacePolicies)
    namespaces.set(namespace, made)
    return made
  }

  function noteChange({ scope, namespace = '' }: PolicyKey): void {
    revision += 1
    changes.last = clock.now()
    if (scope === 'Cluster') changes.cluster = clock.now()
    else changes.namespaces.set(namespace, clock.now())
  }

  function holdingOf(object: PolicyObject, text: string | undefined): Holding {
    const compiled = read(text ?? object.text)
    const fingerprint = fingerprintOf(object, text)
    if (text === undefined || !compiled.ok) {
      const why = compiled.ok ? 'no version of it is recorded as in force' : compiled.failure.message
      return { mode: object.mode, members: [], fingerprint, broken: `${title(object)} has no valid version: ${why}` }
    }
    const members = compiled.value.map((found): Member => {
      serial += 1
      return { id: `${idPrefix(object)}/${found.name}`, serial, rule: found, source: { scope: object.scope, source: object.name } }
    })
    return { mode: object.mode, members, fingerprint, broken: undefined }
  }

  /** @param counts which of the permits that matched count as one */
  function opinionOf(slice: Slice, question: Question, counts: (member: Member) => boolean): Opinion {
    if (slice.members.length === 0) return silent
    const asked = slices.ask(slice, question)
    if (!asked.ok) return { ...silent, errors: asked.errors }
    const membersOf = (ids: readonly string[]) => {
      const wanted = new Set(ids)
      return slice.members.filter(({ id }) => wanted.has(id))
    }
    const { decision, diagnostics } = asked.response
    const reasons = membersOf(diagnostics.reason)
    return {
      permits: decision === 'allow' ? reasons.filter(counts).map(deciding) : [],
      forbids: decision === 'deny' ? reasons.map(deciding) : [],
      failed: membersOf(diagnostics.errors.map(({ policyId }) => policyId)).map(deciding),
      errors: diagnostics.errors.map(({ policyId, error }) => `\`${policyId}\`: ${error.message}`),
    }
  }

  function authorize(request: AuthorizationRequest): Answer {
    const own = namespaces.get(request.agent.namespace)
    const target = targetOf(request)
    const question = questionOf(request)
    const counts = ({ rule: { scope } }: Member): boolean => request.provider.byName !== true || names(scope, target)
    const inForce = [cluster, own].map((set) => set?.slice('Enforce', target))
    const [c = silent, n = silent] = inForce.map((slice) => slice && opinionOf(slice, question, counts))
    const broken = [...cluster.broken(), ...(own?.broken() ?? [])]
    const ruling = strangers(request) ?? rule(request.provider.kind, c, n, broken)
    const audited = [cluster, own].map((set) => set?.slice('Audit', target))
    const audit = audited.some((slice) => slice !== undefined && slice.members.length > 0)
      ? difference(ruling, () => {
          const [ac = silent, an = silent] = audited.map((slice) => slice && opinionOf(slice, question, counts))
          return rule(request.provider.kind, together(c, ac), together(n, an), broken)
        })
      : undefined
    return {
      ...ruling,
      digest: digest([cluster.digest(), own?.digest() ?? null]),
      readsNow: inForce.some((slice) => slice?.readsNow === true),
      audit,
    }
  }

  return {
    authorize,
    revision: () => revision,
    changedAt: (namespace) => latest(changes.start, changes.cluster, changes.namespaces.get(namespace)),
    assess(object) {
      const compiled = read(object.text)
      if (!compiled.ok) return compiled
      return ok({ digest: digest(object.text), ids: compiled.value.map(({ name }) => `${idPrefix(object)}/${name}`) })
    },
    enforce(object, textInForce) {
      const set = setOf(object)
      const before = set.get(object.name)
      if (before?.mode === object.mode && before.fingerprint === fingerprintOf(object, textInForce)) return
      const after = holdingOf(object, textInForce)
      set.put(object.name, after)
      // what only records changes no answer
      if (before?.mode === 'Enforce' || after.mode === 'Enforce') noteChange(object)
    },
    remove(key) {
      const set = key.scope === 'Cluster' ? cluster : namespaces.get(key.namespace ?? '')
      const before = set?.get(key.name)
      if (set === undefined || before === undefined) return
      set.delete(key.name)
      if (before.mode === 'Enforce') noteChange(key)
    },
    lastChange: () => changes.last,
    usable: cedar.usable,
  }
}

/** A namespaced provider serves its own namespace; a namespace's permit must not reach into another, whatever the caller gathered. */
function strangers({ agent, namespace, provider }: AuthorizationRequest): Ruling | undefined {
  const error =
    namespace.name !== agent.namespace
      ? `the request gives namespace \`${namespace.name}\` for an agent of \`${agent.namespace}\``
      : provider.kind === 'CredentialProvider' && provider.namespace !== agent.namespace
        ? `CredentialProvider \`${provider.name}\` is not of the agent's namespace \`${agent.namespace}\``
        : undefined
  return error === undefined ? undefined : { outcome: 'error', policies: [], errors: [error], permitted: false }
}

function difference(ruling: Ruling, would: () => Ruling): AuditDifference | undefined {
  const { outcome, policies, errors } = would()
  return outcome === ruling.outcome ? undefined : { outcome, policies, errors }
}

function deciding({ id, rule, source }: Member): DecidingPolicy {
  return { id, message: rule.message, ...source }
}

/** The same wherever `enforce` would do the same; of a usable text, the digest that its status shows. */
const fingerprintOf = ({ text }: PolicyObject, inForce: string | undefined): string =>
  inForce === undefined ? `none, instead of ${digest(text)}` : digest(inForce)

const title = ({ scope, namespace, name }: PolicyKey): string =>
  scope === 'Cluster' ? `ClusterAgentPolicy \`${name}\`` : `AgentPolicy \`${namespace}/${name}\``

const idPrefix = ({ scope, namespace, name }: PolicyKey): string =>
  scope === 'Cluster' ? `ClusterAgentPolicy/${name}` : `AgentPolicy/${namespace}/${name}`

function latest(first: Instant, ...others: readonly (Instant | undefined)[]): Instant {
  return Math.max(first, ...others.map((time) => time ?? first)) as Instant
}

function schemaOf(cedar: Cedar) {
  const answer = cedar.schemaToJson(schemaText)
  if (answer.type === 'failure') throw new Error(`the schema is not Cedar: ${answer.errors[0]?.message}`)
  return answer.json
}
