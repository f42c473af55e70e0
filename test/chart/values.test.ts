// Values, their schema and their comments speak of the same keys.

import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { valueRows } from '../generate/chart.ts'
import { root } from '../generate.ts'

interface Node {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, Node>>
  readonly additionalProperties?: unknown
}

const values = readFileSync(`${root}charts/taskbound/values.yaml`, 'utf8')
const schema = JSON.parse(readFileSync(`${root}charts/taskbound/values.schema.json`, 'utf8')) as Node & {
  readonly definitions: Readonly<Record<string, Node>>
}
const resolved = (node: Node): Node =>
  node.$ref === undefined ? node : (schema.definitions[node.$ref.replace('#/definitions/', '')] ?? {})

/** Paths of a schema's fixed keys that have no such keys below. */
function leaves(node: Node, path: readonly string[] = []): readonly string[] {
  const { properties } = resolved(node)
  return properties === undefined ? [path.join('.')] : Object.entries(properties).flatMap(([key, member]) => leaves(member, [...path, key]))
}

test('the schema has every value and no other, but for `enabled`, which a parent sets', () => {
  expect([...leaves(schema)].sort()).toEqual([...valueRows(values).map(({ path }) => path), 'enabled'].sort())
})

test('only `global` is open', () => {
  const open = (node: Node, path: readonly string[] = []): readonly string[] => {
    const { properties, additionalProperties } = resolved(node)
    if (properties === undefined) return []
    const inner = Object.entries(properties).flatMap(([key, member]) => open(member, [...path, key]))
    return additionalProperties === false ? inner : [path.join('.'), ...inner]
  }
  expect(open(schema)).toEqual(['global'])
})

test('a value without a comment is refused', () => {
  expect(() => valueRows('a: 1\n')).toThrow('`a` has no comment')
  expect(valueRows('# about the file\n\n# -- What it is,\n# over lines.\na:\n  b: 1\n')).toEqual([
    { path: 'a', fallback: '{"b":1}', help: 'What it is, over lines.' },
  ])
})

test('each comment is a sentence, and each value has the type that it begins with', () => {
  for (const { path, help } of valueRows(values)) expect([path, help]).toEqual([path, expect.stringMatching(/^[A-Z`].*[.]$/)])
  expect(parse(values)).toHaveProperty('crds', { enabled: true, keep: true })
})
