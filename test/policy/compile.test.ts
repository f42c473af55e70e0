import { expect, test } from '@jest/globals'
import { createCedar } from '../../src/policy/cedar.ts'
import { compile, maxPolicies, maxTextBytes } from '../../src/policy/compile.ts'
import { schemaText } from '../../src/policy/schema.ts'

const cedar = createCedar()
const schema = cedar.schemaToJson(schemaText)

function read(text: string) {
  if (schema.type === 'failure') throw new Error(schema.errors[0]?.message)
  return compile(cedar, schema.json, text)
}

function rejected(text: string) {
  const result = read(text)
  if (result.ok) throw new Error('it was accepted')
  return result.failure
}

const any = 'permit (principal, action, resource);'

test('policies are named by @id, else by their place in the text, also beyond the tenth', () => {
  const text = Array.from({ length: 12 }, (_, i) => (i === 3 ? '@id("third.rule") @message("three") ' : '') + any).join('\n')
  const result = read(text)
  expect(result.ok && result.value.map(({ name }) => name)).toEqual(['0', '1', '2', 'third.rule', '4', '5', '6', '7', '8', '9', '10', '11'])
  expect(result.ok && result.value[3]).toMatchObject({ message: 'three', readsNow: false })
})

test('the text of each policy stays with its name', () => {
  const text = Array.from({ length: 12 }, (_, i) => `permit (principal, action, resource) when { context.ttlSeconds == ${i} };`).join('\n')
  const result = read(text)
  expect(result.ok && result.value.map((rule) => rule.text.includes(`== ${rule.name} `))).toEqual(Array(12).fill(true))
})

test.each([
  [
    'not Cedar',
    `${any}\n  permit (principal, actoin resource);`,
    'PolicySyntax',
    /^line 2, column 29: unexpected token `resource`: expected /,
  ],
  ['not Cedar, after text beyond ASCII', `// é😀\n/* */`, 'PolicySyntax', /^line 2, column 1: /],
  [
    'an attribute that does not exist',
    'permit (principal, action, resource)\nwhen { "é😀" != "" && principal.ownr == "x" };',
    'PolicySchema',
    /^line 2, column 22: attribute `ownr` .*: did you mean `owner`\?$/,
  ],
  [
    'carriage returns',
    '\r\n\r\npermit (principal is Taskbound::Agnet, action, resource);',
    'PolicySchema',
    /^line 3, column 22: unrecognized entity type/,
  ],
  [
    'an optional attribute that is not tested',
    'permit (principal, action, resource) when { principal.owner == "x" };',
    'PolicySchema',
    /optional attribute `owner`/,
  ],
  [
    'a tag that is not tested',
    'permit (principal, action, resource) when { principal.getTag("team") == "x" };',
    'PolicySchema',
    /^line 1, /,
  ],
  ['an action that does not exist', 'permit (principal, action == Taskbound::Action::"isue", resource);', 'PolicySchema', /isue/],
  [
    'several mistakes',
    'permit (principal, action, resource) when { context.a };\nforbid (principal, action, resource) when { context.b };',
    'PolicySchema',
    /^line 1, .* \(and 1 more\)$/,
  ],
  ['a template', `${any}\npermit (principal == ?principal, action, resource);`, 'PolicySchema', /^line 2, column 22: templates/],
  ['two of one @id', `@id("a") ${any} @id("a") ${any}`, 'PolicySchema', /two policies have the `@id` `a`/],
  ['an @id like the place of another', `@id("1") ${any} ${any}`, 'PolicySchema', /two policies have the `@id` `1`/],
  ['an @id that would not fit into a line', `@id("a\\nb") ${any}`, 'PolicySchema', /`@id` of policy 1/],
  ['an @id without a value', `@id ${any}`, 'PolicySchema', /`@id` of policy 1/],
  ['too many policies', any.repeat(maxPolicies + 1), 'PolicySchema', /more than the 256/],
  ['too long', `${any}//${'é'.repeat(maxTextBytes / 2)}`, 'PolicySyntax', /more than the 65536/],
])('%s is refused with a place and a reason', (_, text, reason, message) => {
  expect(rejected(text)).toMatchObject({ reason, message: expect.stringMatching(message) })
})

test('a text without policies is valid, and as many as fit are read', () => {
  expect(read('// nothing yet')).toEqual({ ok: true, value: [] })
  expect(read(any.repeat(maxPolicies)).ok).toBe(true)
})

test.each([
  'permit (principal, action, resource) when { context.approved };',
  'forbid (principal, action, resource) when { resource.sensitivity == "Restricted" };',
  'permit (principal, action, resource) when { context.sensitivity.level <= 1 };',
  'permit (principal in Taskbound::Namespace::"a", action in [Taskbound::Action::"issue", Taskbound::Action::"renew"], resource is Taskbound::ClusterProvider);',
  'permit (principal, action, resource) when { principal.hasTag("team") && resource.hasTag("team") && principal.getTag("team") == resource.getTag("team") };',
  'permit (principal, action, resource) when { principal.namespace has environment && principal.namespace.environment == "test" };',
  'permit (principal, action, resource) when { context.claimed.attributes.hasTag("ticket") && context.claimed.attributes.getTag("ticket") like "FIN-*" };',
  'permit (principal, action, resource) when { context has delegation && context.delegation.depth <= 2 && context.delegation.chain.contains("a/b") };',
  'permit (principal, action, resource) when { context.claimed has destination && resource.destinations.contains(context.claimed.destination) };',
  'forbid (principal, action, resource) when { resource.revocation.class == "ExpireOnly" && resource.revocation.boundSeconds > 300 };',
  'forbid (principal, action, resource) unless { context.now.toTime() >= duration("8h") && context.now.toTime() < duration("18h") };',
  'permit (principal, action, resource) when { ["payroll:read", "payroll:list"].containsAll(context.scopes) };',
])('what people will write fits the schema: %s', (text) => {
  expect(read(text)).toMatchObject({ ok: true })
})
