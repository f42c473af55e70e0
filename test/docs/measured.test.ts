// Pages that were measured are committed as they came out: their shape must be that of what is measured now, type by type and row by row.

import { resolve } from 'node:path'
import { expect, test } from '@jest/globals'
import { subjects, withoutSubject } from '../e2e/matrix/subjects.ts'
import { readCrds, walk } from '../generate/crds.ts'

const root = resolve(import.meta.dirname, '../..')
const measured = Object.keys(subjects).sort()

test('every type of provider has a subject, or is said to have none yet', async () => {
  const kinds = (await readCrds(`${root}/`)).filter(({ kind }) => kind === 'ClusterCredentialProvider')
  const types = kinds.flatMap(({ schema }) => walk(schema).find(({ path }) => path === '.spec.type')?.schema.enum ?? [])
  expect(types.length).toBeGreaterThan(0)
  expect(types.filter((type) => !measured.includes(String(type)) && !withoutSubject.includes(String(type)))).toEqual([])
  expect(measured.filter((type) => withoutSubject.includes(type) || !types.includes(type))).toEqual([])
})
