// Reads one policy object's text: syntax, then the schema, then what the engine needs to know of each policy.
// Pure but for Cedar itself. A text is either wholly usable or not at all.

import type { DetailedError, PolicyJson, SchemaJson, StaticPolicySet } from '@cedar-policy/cedar-wasm/nodejs'
import type { Reason } from '../api/reasons.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Cedar } from './cedar.ts'
import { depthOf, maxDepth } from './depth.ts'
import { describe, inOrder, type Problem, place, toProblem } from './locate.ts'
import { readsNow } from './readsnow.ts'
import { type Scope, scopeOf } from './scope.ts'

export const maxTextBytes = 65_536
export const maxPolicies = 256

/** One policy of a text. */
export interface Rule {
  /** `@id`, else the place in the text, from 0; unique in the text */
  readonly name: string
  readonly message: string | undefined
  readonly text: string
  readonly scope: Scope
  readonly readsNow: boolean
}

export interface Rejection {
  readonly reason: Extract<Reason, 'PolicySyntax' | 'PolicySchema'>
  /** one sentence with line and column */
  readonly message: string
  readonly problems: readonly Problem[]
}

function rejection(reason: Rejection['reason'], found: readonly Problem[]): Rejection {
  const problems = inOrder(found)
  return { reason, message: describe(problems), problems }
}

const unparsed = (text: string, errors: readonly DetailedError[]): Rejection =>
  rejection(
    'PolicySyntax',
    errors.map((error) => toProblem(text, error)),
  )

const overall = (reason: Rejection['reason'], text: string): Rejection => rejection(reason, [{ line: 1, column: 1, text }])

export function compile(cedar: Cedar, schema: SchemaJson<string>, text: string): Result<readonly Rule[], Rejection> {
  const bytes = Buffer.byteLength(text)
  if (bytes > maxTextBytes) return fail(overall('PolicySyntax', `the text has ${bytes} bytes, more than the ${maxTextBytes} that are read`))
  // Cedar must never see what would exhaust its stack: nothing could be judged any more
  if (depthOf(text) > maxDepth) {
    return fail(overall('PolicySyntax', 'a policy nests too deeply: split it, or compare with a set instead of a chain of `||`'))
  }
  const parts = cedar.policySetTextToParts(text)
  if (parts.type === 'failure') return fail(unparsed(text, parts.errors))
  if (parts.policy_templates.length > 0) {
    const slot = text.search(/\?(?:principal|resource)/)
    const where = place(text, Buffer.byteLength(text.slice(0, Math.max(0, slot))))
    return fail(
      rejection('PolicySchema', [{ ...where, text: 'templates with `?principal` or `?resource` are not read: name what is meant' }]),
    )
  }
  if (parts.policies.length > maxPolicies) {
    return fail(
      overall('PolicySchema', `the text has ${parts.policies.length} policies, more than the ${maxPolicies} of one object: split it`),
    )
  }
  const problems = schemaProblems(cedar, schema, text)
  return problems.length > 0 ? fail(rejection('PolicySchema', problems)) : rules(cedar, parts.policies)
}

function schemaProblems(cedar: Cedar, schema: SchemaJson<string>, text: StaticPolicySet & string): readonly Problem[] {
  const answer = cedar.validate({ schema, policies: { staticPolicies: text }, validationSettings: { mode: 'strict' } })
  const errors = answer.type === 'failure' ? answer.errors : answer.validationErrors.map(({ error }) => error)
  return errors.map((error) => toProblem(text, error))
}

function rules(cedar: Cedar, sorted: readonly string[]): Result<readonly Rule[], Rejection> {
  const found: Rule[] = []
  const names = new Set<string>()
  for (const [place, text] of asWritten(sorted).entries()) {
    const parsed = cedar.policyToJson(text)
    if (parsed.type === 'failure') return fail(unparsed(text, parsed.errors))
    const rule = toRule(place, text, parsed.json)
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(rule.name)) {
      return fail(
        overall('PolicySchema', `the \`@id\` of policy ${place + 1} must be at most 63 letters, digits, dots, dashes and underscores`),
      )
    }
    if (names.has(rule.name)) return fail(overall('PolicySchema', `two policies have the \`@id\` \`${rule.name}\`: give each its own`))
    names.add(rule.name)
    found.push(rule)
  }
  return ok(found)
}

function toRule(place: number, text: string, policy: PolicyJson): Rule {
  // an annotation without a value reads as null
  const id: string | null | undefined = policy.annotations?.['id']
  const message: string | null | undefined = policy.annotations?.['message']
  return {
    name: id ?? (policy.annotations !== undefined && 'id' in policy.annotations ? '' : String(place)),
    message: message ?? undefined,
    text,
    scope: scopeOf(policy),
    readsNow: readsNow(policy),
  }
}

/** Cedar hands the parts out in the order of the names `policy0`, `policy1`, `policy10`, `policy2`; back to that of the text. */
function asWritten(sorted: readonly string[]): readonly string[] {
  const order = sorted.map((_, index) => index).sort((a, b) => (`policy${a}` < `policy${b}` ? -1 : 1))
  const texts: string[] = new Array(sorted.length)
  for (const [position, index] of order.entries()) texts[index] = sorted[position] as string
  return texts
}
