import { createRequire } from 'node:module'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createCedar } from '../../src/policy/cedar.ts'
import { compile, maxTextBytes } from '../../src/policy/compile.ts'
import { depthOf, maxDepth } from '../../src/policy/depth.ts'
import { questionOf } from '../../src/policy/entities.ts'
import { schemaText } from '../../src/policy/schema.ts'
import { makeRequest } from './make.ts'

const policyOf = (condition: string) => `permit (principal, action, resource) when { ${condition} };`

/** Ways to nest, each with what is repeated n times. */
const shapes: Readonly<Record<string, (n: number) => string>> = {
  parentheses: (n) => policyOf(`${'('.repeat(n)}true${')'.repeat(n)}`),
  negations: (n) => policyOf(`${'!('.repeat(n)}true${')'.repeat(n)}`),
  sets: (n) => policyOf(`${'['.repeat(n)}1${']'.repeat(n)} == 1`),
  records: (n) => policyOf(`${'{a:'.repeat(n)}1${'}'.repeat(n)} == 1`),
  'records with quoted keys': (n) => policyOf(`${'{"a(":'.repeat(n)}1${'}'.repeat(n)} == 1`),
  ands: (n) => policyOf(Array(n).fill('context.ttlSeconds == 1').join(' && ')),
  ors: (n) => policyOf(Array(n).fill('context.ttlSeconds == 0').join(' || ')),
  sums: (n) => policyOf(`${Array(n).fill('1').join('+')} == 1`),
  products: (n) => policyOf(`${Array(n).fill('context.ttlSeconds').join('*')} == 1`),
  differences: (n) => policyOf(`${Array(n).fill('1').join('-')} == 1`),
  'else branches': (n) => policyOf(`${'if false then true else '.repeat(n)}true`),
  'if conditions': (n) => policyOf(`${'if '.repeat(n)}true${' then true else true'.repeat(n)}`),
  selectors: (n) => policyOf(`context${'.claimed'.repeat(n)} == 1`),
  indexes: (n) => policyOf(`context${'["claimed"]'.repeat(n)} == 1`),
  calls: (n) => policyOf(`[1]${'.contains(1)'.repeat(n)}`),
  'nested calls': (n) => policyOf(`${'[1].contains('.repeat(n)}1${')'.repeat(n)}`),
  whens: (n) => `permit (principal, action, resource) ${'when { context.ttlSeconds == 600 } '.repeat(n)};`,
  unlesses: (n) => `permit (principal, action, resource) ${'unless { context.ttlSeconds == 1 } '.repeat(n)};`,
  'brackets never closed': (n) => policyOf('['.repeat(n)),
  'operators in brackets': (n) => policyOf(`${'(1 + '.repeat(n)}1${')'.repeat(n)} == 1`),
}

test.each(Object.entries(shapes))('%s: at the limit Cedar reads and judges it, and beyond it is told from its depth', (_, shape) => {
  let n = 1
  while (n < 400 && depthOf(shape(n + 1)) <= maxDepth) n += 1
  expect(n).toBeGreaterThan(20)
  expect(n).toBeLessThan(200)
  expect(depthOf(shape(4 * n))).toBeGreaterThan(maxDepth)

  const cedar = createCedar()
  const text = shape(n)
  const read = cedar.policySetTextToParts(text)
  cedar.policyToJson(text)
  cedar.validate({ schema: schemaText, policies: { staticPolicies: text } })
  // what strict validation would refuse is evaluated all the same: evaluation is the deeper recursion
  if (read.type === 'success' && cedar.preparsePolicySet('depth', { staticPolicies: { a: text } }).type === 'success') {
    cedar.preparseSchema('depth', schemaText)
    const call = { ...questionOf(makeRequest()), preparsedPolicySetId: 'depth', preparsedSchemaName: 'depth', validateRequest: true }
    expect(cedar.statefulIsAuthorized(call).type).toBe('success')
  }
  expect(cedar.usable()).toBe(true)
})

describe('what does not nest is not counted', () => {
  test.each([
    ['a long set', policyOf(`[${Array(3000).fill('"some-tool"').join(', ')}].contains(context.claimed.action)`)],
    ['brackets in strings', policyOf(`context.claimed.action == "${'('.repeat(1000)}"`)],
    ['an escaped quote in a string', policyOf(`context.claimed.action == "\\"${'('.repeat(1000)}"`)],
    ['brackets in comments', `// ${'('.repeat(1000)}\n${policyOf('true')}`],
    ['many policies', Array(250).fill(policyOf('context.ttlSeconds < 1 && context.ttlSeconds > 2')).join('\n')],
  ])('%s', (_, text) => {
    expect(depthOf(text)).toBeLessThan(20)
  })
})

test('a text never gets less deep by another bracket around a part of it', () => {
  const atom = fc.constantFrom('true', 'context.now', '1 + 2', '[1, 2]', '{a: 1}', 'x && y')
  const { expression } = fc.letrec<{ expression: string }>((tie) => ({
    expression: fc.oneof(
      { maxDepth: 6 },
      atom,
      fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `${a} || ${b}`),
      tie('expression').map((a) => `!(${a})`),
      tie('expression').map((a) => `[1, ${a}, 2]`),
    ),
  }))
  fc.assert(fc.property(expression, (a) => depthOf(`(${a})`) > depthOf(a) && depthOf(`${a} && true`) > depthOf(a)))
})

test('too deep a text is refused with a sentence before Cedar sees it', () => {
  const cedar = createCedar()
  const schema = cedar.schemaToJson(schemaText)
  if (schema.type === 'failure') throw new Error('no schema')
  for (const shape of Object.values(shapes)) {
    for (const n of [200, 400, 1000, 5000]) {
      const text = shape(n)
      if (Buffer.byteLength(text) <= maxTextBytes)
        expect(compile(cedar, schema.json, text)).toMatchObject({ failure: { reason: 'PolicySyntax' } })
    }
  }
  expect(cedar.usable()).toBe(true)
})

test('a fault inside Cedar makes every later call throw, and the engine says that it is not usable', () => {
  const real = createRequire(import.meta.url)('@cedar-policy/cedar-wasm/nodejs')
  let calls = 0
  const cedar = createCedar({
    ...real,
    policyToJson: () => {
      calls += 1
      throw Object.assign(new Error('memory access out of bounds'), { name: 'RuntimeError' })
    },
  })
  expect(() => cedar.policyToJson('permit (principal, action, resource);')).toThrow('out of bounds')
  expect(cedar.usable()).toBe(false)
  expect(() => cedar.policySetTextToParts('')).toThrow('damaged')
  expect(() => cedar.policyToJson('')).toThrow('damaged')
  expect(calls).toBe(1)
})
