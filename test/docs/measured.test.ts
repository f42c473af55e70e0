// Pages that were measured are committed as they came out: their shape must be that of what is measured now, type by type and row by row.

import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from '@jest/globals'
import { ways } from '../e2e/matrix/endings.ts'
import { absent, endless, killedApart, neverKilled, sources, spared, subjects } from '../e2e/matrix/subjects.ts'
import { readCrds, walk } from '../generate/crds.ts'

const root = resolve(import.meta.dirname, '../..')

const kinds = (await readCrds(`${root}/`)).filter(({ kind }) => kind === 'ClusterCredentialProvider')
const types = kinds.flatMap(({ schema }) => walk(schema).find(({ path }) => path === '.spec.type')?.schema.enum ?? []).map(String)

test('every type of provider is killed, or is said not to be, and its end is measured, or is said not to be', () => {
  expect(types.length).toBeGreaterThan(0)
  expect([...Object.keys(subjects), ...Object.keys(killedApart), ...neverKilled].sort()).toEqual([...types].sort())
  expect([...Object.keys(sources), ...endless].sort()).toEqual([...types].sort())
  for (const [type, { points }] of Object.entries(subjects)) expect([type, points.length]).not.toEqual([type, 0])
})

test('every type of provider is there while writes are refused, or is said not to be', () => {
  expect([...Object.keys({ ...subjects, ...spared }), ...absent].sort()).toEqual([...types].sort())
})

test('what is killed by tests of its own is killed by tests that are there', () => {
  expect(Object.values(killedApart).filter((file) => !existsSync(resolve(root, file)))).toEqual([])
})

/** The sections of a page by their titles, if it is there. */
function sectionsOf(page: string): ReadonlyMap<string, string> | undefined {
  const file = resolve(root, 'docs/reference', page)
  if (!existsSync(file)) return undefined
  const [, ...sections] = readFileSync(file, 'utf8').split(/^## /m)
  return new Map(sections.map((text) => [text.slice(0, text.indexOf('\n')), text]))
}

test('the crash matrix has a section for every type, with every await', () => {
  const sections = sectionsOf('crash-matrix.md')
  if (sections === undefined) return
  expect([...sections.keys()].sort()).toEqual([...types].sort())
  for (const [type, { points }] of Object.entries(subjects))
    expect([type, points.filter(({ step, at }) => !sections.get(type)?.includes(`\n| ${step} | ${at} |`))]).toEqual([type, []])
})

test('the times to revoke have a section for every type, with every way of ending', () => {
  const sections = sectionsOf('time-to-revoke.md')
  if (sections === undefined) return
  expect([...sections.keys()].sort()).toEqual([...types].sort())
  for (const type of Object.keys(sources))
    expect([type, ways.filter(({ what }) => !sections.get(type)?.includes(`\n| ${what} |`))]).toEqual([type, []])
})
