// The kinds and their guards in a release are those of crds/, but for who the operator is, and they stay when the release goes.

import { readFileSync } from 'node:fs'
import { beforeAll, expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'
import { places } from '../generate/chart.ts'
import { manifests, root } from '../generate.ts'
import { buildTimeout, createHelm, type Helm, type Manifest, type Release, stampApi } from './helm.ts'

let helm: Helm
beforeAll(async () => {
  helm = await createHelm()
}, buildTimeout)

const kinds = /^(CustomResourceDefinition|(Validating|Mutating)AdmissionPolicy(Binding)?)$/
const read = (change: (text: string) => string): readonly Manifest[] =>
  manifests.flatMap((path) =>
    parseAllDocuments(change(readFileSync(`${root}${path}`, 'utf8'))).map((document) => document.toJS() as Manifest),
  )
const inRelease = (values: object, release: Release = {}): readonly Manifest[] =>
  helm.render(values, { apiVersions: [stampApi], ...release }).filter(({ kind }) => kinds.test(kind))
const byKey = (objects: readonly Manifest[]) =>
  Object.fromEntries(objects.map(({ metadata, ...rest }) => [`${rest.kind} ${metadata.name}`, rest]))

test('in its default place a release has them as they are written', () => {
  const written = read((text) => text)
  expect(written.length).toBe(27)
  expect(byKey(inRelease({}))).toEqual(byKey(written))
})

test('in another place only the name of the operator and its namespace differ', () => {
  const moved = read((text) =>
    text
      .replaceAll('system:serviceaccount:taskbound-system:taskbound', 'system:serviceaccount:security:keeper')
      .replaceAll("'taskbound-system'", "'security'"),
  )
  const made = inRelease({ serviceAccount: { name: 'keeper' } }, { name: 'prod', namespace: 'security' })
  expect(byKey(made)).toEqual(byKey(moved))
  expect(JSON.stringify(made)).not.toContain('taskbound-system')
})

test('the sources name the operator in no other way than the generator knows', () => {
  for (const path of manifests) {
    const rest = places.reduce((text, [from]) => text.replaceAll(from, ''), readFileSync(`${root}${path}`, 'utf8'))
    expect([path, rest.match(/taskbound-system|serviceaccount:taskbound/g)]).toEqual([path, null])
  }
})

test('they stay when the release goes, all or none, and are part of it, all or none', () => {
  const kept = (objects: readonly Manifest[]) =>
    objects.filter(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'] === 'keep').length
  const all = inRelease({})
  expect(kept(all)).toBe(all.length)
  expect(kept(inRelease({ crds: { keep: false } }))).toBe(0)
  expect(inRelease({ crds: { enabled: false } })).toEqual([])
  // nothing else is left behind
  expect(kept(helm.render({}, { apiVersions: [stampApi] }))).toBe(all.length)
})

test('the stamp is there where the API server has it, or where it is asked for', () => {
  const stamps = (requesterStamp: string, release: Release) =>
    inRelease({ requesterStamp }, release).filter(({ kind }) => kind.startsWith('Mutating')).length
  const old = { kubeVersion: '1.30.0', apiVersions: [] }
  expect([stamps('auto', {}), stamps('always', old), stamps('never', {})]).toEqual([2, 2, 0])
  // without the check nothing else would stand between a client and a requester of its choice
  expect(inRelease({ requesterStamp: 'never' }).map(({ metadata }) => metadata.name)).toContain('taskbound-requester-check')
})

test('each kind is smaller than 200 KB as it is applied', () => {
  for (const object of inRelease({}).filter(({ kind }) => kind === 'CustomResourceDefinition')) {
    expect(JSON.stringify(object).length).toBeLessThan(200_000)
  }
})
