// The page of rights says what the manifest gives, rule by rule, no more and no less.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'

interface Role {
  readonly kind: string
  readonly rules?: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[]
}

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(resolve(root, 'docs/reference/rbac.md'), 'utf8')
const roles = parseAllDocuments(readFileSync(resolve(root, 'test/support/rbac.yaml'), 'utf8')).map((document) => document.toJS() as Role)

function written(heading: string): readonly string[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? ''
  return [...section.matchAll(/^\| (`.+?) \| (.+?) \| .+ \|$/gm)].map(
    ([, resources = '', verbs = '']) => `${resources.replaceAll('`', '')}: ${verbs}`,
  )
}

const given = (kind: string): readonly string[] =>
  roles
    .filter((role) => role.kind === kind)
    .flatMap(({ rules = [] }) => rules.map(({ resources, verbs }) => `${resources.join(', ')}: ${verbs.join(', ')}`))

test.each([
  ['In the whole cluster', 'ClusterRole'],
  ['In its own namespace', 'Role'],
])('%s', (heading, kind) => {
  expect(written(heading)).toEqual(given(kind))
  expect(given(kind).length).toBeGreaterThan(0)
})

test('each verb has its reason', () => {
  const lacking = [...page.matchAll(/^\| (`.+?) \| (.+?) \| (.+) \|$/gm)].flatMap(([, resources, verbs = '', why = '']) => {
    const given = [...why.matchAll(/(?:^|; )([a-z, ]+?): /g)].flatMap(([, list = '']) => list.split(/, | and /))
    return verbs.split(', ').flatMap((verb) => (given.includes(verb) ? [] : `${resources}: ${verb}`))
  })
  expect(lacking).toEqual([])
})

test('nothing reads Secrets outside the own namespace, and nothing is a wildcard', () => {
  const onSecrets = given('ClusterRole').filter((rule) => rule.startsWith('secrets'))
  expect(onSecrets).toEqual(['secrets: create, update, delete'])
  expect([...given('ClusterRole'), ...given('Role')].filter((rule) => /\*|serviceaccounts\/token/.test(rule))).toEqual([])
})
