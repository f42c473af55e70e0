import * as wasm from '@cedar-policy/cedar-wasm/nodejs'
import { expect, test } from '@jest/globals'
import { createCedar } from '../../src/policy/cedar.ts'
import { compile } from '../../src/policy/compile.ts'
import { questionOf } from '../../src/policy/entities.ts'
import { schemaText } from '../../src/policy/schema.ts'
import { createSlices, type Slice } from '../../src/policy/slices.ts'
import { clusterPolicy, makeEngine, makeRequest, put } from './make.ts'

const cedar = createCedar()

function sliceOf(serial: number, texts: readonly string[]): Slice {
  const schema = cedar.schemaToJson(schemaText)
  if (schema.type === 'failure') throw new Error('no schema')
  const compiled = compile(cedar, schema.json, texts.join('\n'))
  if (!compiled.ok) throw new Error(compiled.failure.message)
  const members = compiled.value.map((rule, i) => ({
    id: `${serial}/${i}`,
    serial: serial * 1000 + i,
    rule,
    source: { scope: 'Cluster', source: String(serial) } as const,
  }))
  return { key: members.map((member) => member.serial).join(), members, readsNow: false }
}

/** Cedar with a record of the names under which sets were parsed, and how many policies each holds now. */
function watched() {
  const names = new Map<string, number>()
  let parses = 0
  const counting: typeof wasm.preparsePolicySet = (name, set) => {
    const size = Object.keys(set.staticPolicies ?? {}).length
    if (size > 0) parses += 1
    names.set(name, size)
    return wasm.preparsePolicySet(name, set)
  }
  return { cedar: createCedar({ ...wasm, preparsePolicySet: counting }), names, parses: () => parses }
}

const permit = 'permit (principal, action, resource);'
const forbid = 'forbid (principal, action, resource);'
const question = questionOf(makeRequest())

test('names are used again, and no more policies are kept than allowed', () => {
  const { cedar: counted, names } = watched()
  const slices = createSlices(counted, schemaText, { slots: 3, policies: 5 })
  const made = Array.from({ length: 12 }, (_, i) => sliceOf(i + 1, Array((i % 3) + 1).fill(i % 2 === 0 ? permit : forbid)))
  for (let round = 0; round < 3; round += 1) {
    for (const [i, slice] of made.entries()) {
      const asked = slices.ask(slice, question)
      expect(asked.ok && asked.response.decision).toBe(i % 2 === 0 ? 'allow' : 'deny')
      expect([...names.values()].reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(5)
    }
  }
  expect(names.size).toBeLessThanOrEqual(3)
})

test('a slice larger than all that is kept is judged alone', () => {
  const { cedar: counted, names } = watched()
  const slices = createSlices(counted, schemaText, { slots: 3, policies: 5 })
  slices.ask(sliceOf(1, [permit]), question)
  expect(slices.ask(sliceOf(2, Array(9).fill(permit)), question).ok).toBe(true)
  expect([...names.values()].filter((size) => size > 0)).toEqual([9])
})

test('what is asked again is not parsed again, and the longest unused goes first', () => {
  const { cedar: counted, parses } = watched()
  const slices = createSlices(counted, schemaText, { slots: 2, policies: 100 })
  const [a, b, c] = [sliceOf(1, [permit]), sliceOf(2, [permit]), sliceOf(3, [permit])] as const
  for (const slice of [a, b, a, c, a]) slices.ask(slice, question)
  expect(parses()).toBe(3)
  slices.ask(b, question)
  expect(parses()).toBe(4)
})

/** A thousand policies: each of one namespace's agents, ten for each of a hundred namespaces. */
const thousand = Array.from(
  { length: 1000 },
  (_, i) =>
    `permit (principal in Taskbound::Namespace::"team-${i % 100}", action == Taskbound::Action::"issue", resource) when { context.ttlSeconds <= ${600 + i} };`,
)

function engineWith(texts: readonly string[]) {
  const { engine } = makeEngine()
  for (let i = 0; i < texts.length; i += 100) put(engine, clusterPolicy(`p${i}`, texts.slice(i, i + 100).join('\n')))
  return engine
}

test('of a thousand policies a request pays only for those that can match', () => {
  const many = engineWith(thousand)
  const few = engineWith(thousand.filter((line) => line.includes('"team-7"')))
  const request = makeRequest({ agent: { namespace: 'team-7' } })
  expect(many.authorize(request).policies).toHaveLength(10)
  expect(many.authorize(request).outcome).toBe(few.authorize(request).outcome)
  const took = (engine: typeof many) => {
    const start = performance.now()
    for (let i = 0; i < 10; i += 1) engine.authorize(request)
    return performance.now() - start
  }
  // alternating and the fastest of many, so that a busy machine slows both alike; without slices it is three times and more
  const pairs = Array.from({ length: 60 }, () => [took(many), took(few)] as const)
  const fastest = (which: 0 | 1) => Math.min(...pairs.map((pair) => pair[which]))
  expect(fastest(0) / fastest(1)).toBeLessThan(1.8)
})

test('two hundred reloads do not grow memory', () => {
  const slices = createSlices(cedar, schemaText, { slots: 4, policies: 1000 })
  const { members } = sliceOf(1, thousand.slice(0, 250))
  const reload = (round: number) => slices.ask({ key: `round ${round}`, members, readsNow: false }, question)
  for (let round = 0; round < 50; round += 1) reload(round)
  const before = process.memoryUsage().rss
  for (let round = 50; round < 250; round += 1) reload(round)
  expect(process.memoryUsage().rss / before).toBeLessThan(1.25)
}, 60_000)
