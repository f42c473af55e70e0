import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Crd, readCrds, type Schema, walk } from '../generate/crds.ts'
import { root } from '../generate.ts'

let crds: readonly Crd[] = []
beforeAll(async () => {
  crds = await readCrds(root)
})

type Judge = (schema: Schema, path: string) => boolean

/** Paths of every schema of every CRD that is one of `concerns` and not `right`. */
const wrong = (concerns: Judge, right: Judge): readonly string[] =>
  crds.flatMap((crd) =>
    walk(crd.schema)
      .filter(({ schema, path }) => concerns(schema, path) && !right(schema, path))
      .map(({ path }) => `${crd.kind}${path}`),
  )

const isTypeMeta = (path: string): boolean => ['.apiVersion', '.kind', '.metadata'].includes(path)

describe('every schema', () => {
  const rules: readonly (readonly [string, Judge, Judge])[] = [
    [
      'a field has a description of at least a few words, with a capital and a full stop',
      (_, path) => path !== '.metadata' && !/[\]}]$/.test(path),
      (schema) => /^[A-Z`].{8,}\.$/s.test(schema.description ?? ''),
    ],
    ['a list has `maxItems`', (schema) => schema.type === 'array', (schema) => schema.maxItems !== undefined],
    ['a list says how it is merged', (schema) => schema.type === 'array', (schema) => schema['x-kubernetes-list-type'] !== undefined],
    [
      'a list of objects with a name or a type is a map by it',
      (schema) => schema.items?.properties?.['name'] !== undefined || schema.items?.properties?.['type'] !== undefined,
      (schema) => schema['x-kubernetes-list-type'] === 'map' && schema['x-kubernetes-list-map-keys']?.length === 1,
    ],
    [
      'a string has `maxLength` or is an enum',
      (schema, path) => schema.type === 'string' && !isTypeMeta(path),
      (schema) => schema.maxLength !== undefined || schema.enum !== undefined,
    ],
    ['a map has `maxProperties`', (schema) => schema.additionalProperties !== undefined, (schema) => schema.maxProperties !== undefined],
    [
      'an integer has a format and a minimum',
      (schema) => schema.type === 'integer',
      (schema) => schema.format !== undefined && schema.minimum !== undefined,
    ],
    ['an int32 has a maximum', (schema) => schema.format === 'int32', (schema) => schema.maximum !== undefined],
    [
      'a field with a default is optional',
      (schema) => schema.properties !== undefined,
      (schema) => (schema.required ?? []).every((name) => schema.properties?.[name]?.default === undefined),
    ],
    [
      'an object has properties or is a map',
      (schema, path) => schema.type === 'object' && path !== '.metadata',
      (schema) => schema.properties !== undefined || schema.additionalProperties !== undefined,
    ],
    [
      'a rule has a message and a reason',
      (schema) => schema['x-kubernetes-validations'] !== undefined,
      (schema) => (schema['x-kubernetes-validations'] ?? []).every((rule) => rule.message !== undefined && rule.reason !== undefined),
    ],
    ['a time is called so', (schema) => schema.format === 'date-time', (_, path) => /(Time|\.time|By)$/.test(path)],
    [
      'a length of time carries its unit',
      (_, path) => /(ttl|deadline|period|timeout|bound)\w*$/i.test(path.split('.').at(-1) ?? '') && !/Time$|\.bound$/.test(path),
      (_, path) => path.includes('Seconds'),
    ],
  ]
  test.each(rules)('%s', (_, concerns, right) => {
    expect(wrong(concerns, right)).toEqual([])
    expect(wrong(concerns, () => false)).not.toEqual([])
  })
})

test('every CRD is smaller than 200 KB, as text and with room for what is added to it', () => {
  expect(crds.length).toBeGreaterThan(0)
  for (const crd of crds) expect(crd.text.length).toBeLessThan(200_000)
})

test('kinds for users are in the category `taskbound`, the ledger is not', () => {
  const inCategory = crds.filter((crd) => crd.categories.includes('taskbound')).map((crd) => crd.kind)
  expect(inCategory).toEqual(['AgentPolicy', 'Agent', 'AgentTask', 'ClusterAgentPolicy', 'ClusterCredentialProvider', 'CredentialProvider'])
})
