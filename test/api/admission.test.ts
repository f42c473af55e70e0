import { readdir, readFile } from 'node:fs/promises'
import { beforeAll, expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'
import { root } from '../generate.ts'

interface Document {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  // biome-ignore lint/suspicious/noExplicitAny: two kinds of policy and two of binding
  readonly spec: any
}

const files = new Map<string, readonly [Document, Document]>()
beforeAll(async () => {
  for (const file of (await readdir(`${root}crds/admission`)).sort()) {
    const documents = parseAllDocuments(await readFile(`${root}crds/admission/${file}`, 'utf8'))
    files.set(file, documents.map((document) => document.toJS()) as unknown as readonly [Document, Document])
  }
})

test('each file is one policy and its binding, called like the file', () => {
  expect(files.size).toBe(10)
  for (const [file, documents] of files) {
    expect(documents).toHaveLength(2)
    const [policy, binding] = documents
    const name = `taskbound-${file.replace('.yaml', '')}`
    expect([policy.metadata.name, binding.metadata.name, binding.spec.policyName]).toEqual([name, name, name])
    expect([policy.apiVersion, binding.apiVersion]).toEqual(Array(2).fill('admissionregistration.k8s.io/v1'))
    expect(binding.kind).toBe(`${policy.kind}Binding`)
  }
})

test('each fails closed, denies, holds everywhere, and says why', () => {
  for (const [policy, binding] of files.values()) {
    expect(policy.spec.failurePolicy).toBe('Fail')
    expect(binding.spec.matchResources).toBeUndefined()
    expect(binding.spec.paramRef).toBeUndefined()
    if (policy.kind !== 'ValidatingAdmissionPolicy') continue
    expect(binding.spec.validationActions).toEqual(['Deny'])
    for (const validation of policy.spec.validations) expect(validation.message).toMatch(/^.{20,}[^.]$/)
  }
})

test('the operator tells the refusals of its fence apart by these sentences', () => {
  const [fence] = files.get('operator-fence.yaml') ?? []
  expect(fence?.spec.validations.map((validation: { message: string }) => validation.message)).toEqual([
    'this Secret was not made by the operator',
    'this Secret belongs to another task',
    'the stored attempt is not smaller',
    "the operator may write only Opaque Secrets called 'taskbound-*' that are owned by an AgentTask, labelled with its UID and numbered by an attempt",
    'the operator may put no finalizer on a Secret',
    "the operator may delete Secrets only with the propagation policy 'Background'",
    'in its own namespace the operator may write only Opaque and TLS Secrets',
    'in its own namespace the operator may change and delete only what it keeps to end credentials, and Secrets of tasks',
  ])
})
