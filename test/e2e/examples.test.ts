// Every YAML under examples/ and in the documentation is what the API server accepts, field by field.

import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parseDocument } from 'yaml'
import { connect, type KubeTestClient } from '../support/cluster.ts'

const root = resolve(import.meta.dirname, '../..')
const files = globSync('examples/**/*.yaml', { cwd: root })
const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...globSync('{docs,examples}/**/*.md', { cwd: root })]
const blocks = pages.flatMap((page) =>
  [...readFileSync(resolve(root, page), 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = ''], i): [string, string] => [
    `${page}, block ${i + 1}`,
    text,
  ]),
)

const namespaces = [
  'aws',
  'static',
  'github',
  'quickstart',
  'oauth',
  'postgresql',
  'webhook',
  'vault',
  'tenant',
  'service-account-token',
  'examples',
  'examples-worker',
].map((name) => `taskbound-${name}`)
let kube: KubeTestClient

beforeAll(async () => {
  kube = connect()
  // a dry run makes no namespace for what comes after it
  for (const name of namespaces) await kube.kubectl(['create', 'namespace', name])
  await kube.kubectl(['apply', '-f', resolve(root, 'test/support/rbac.yaml')])
  // a pod is refused, even in a dry run, while its ServiceAccount is absent
  await kube.kubectl(['-n', 'taskbound-examples', 'create', 'serviceaccount', 'reporter'])
})

afterAll(async () => {
  await kube.kubectl(['delete', 'namespace', ...namespaces, '--timeout=60s'])
  await kube.close()
})

async function dryRun(text: string): Promise<string> {
  const { code, stderr } = await kube.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], { stdin: text })
  return code === 0 ? '' : stderr
}

test('there are some', () => {
  expect(files.length).toBeGreaterThan(1)
  expect(blocks.length).toBeGreaterThan(3)
})

test.each(files)('%s', async (file) => {
  expect(await dryRun(readFileSync(resolve(root, file), 'utf8'))).toBe('')
})

test.each(blocks)('%s', async (_where, text) => {
  expect(await dryRun(text)).toBe('')
})

const fragments = pages.flatMap((page) =>
  [...readFileSync(resolve(root, page), 'utf8').matchAll(/```yaml fragment\n([\s\S]*?)```/g)].map(([, text = '']) => `${page}: ${text}`),
)

test('a block is either applied or marked as a fragment, and a fragment is YAML', () => {
  const marked = pages.flatMap((page) =>
    [...readFileSync(resolve(root, page), 'utf8').matchAll(/^ *```(ya?ml.*)$/gm)].map(([, kind]) => kind),
  )
  expect(marked.filter((kind) => kind !== 'yaml' && kind !== 'yaml fragment')).toEqual([])
  expect(marked.length).toBe(blocks.length + fragments.length)
  for (const fragment of fragments) expect(parseDocument(fragment.slice(fragment.indexOf(': ') + 2)).errors).toEqual([])
})

test('a field that does not exist is refused', async () => {
  const [file = ''] = files.filter((name) => name.endsWith('denied.yaml'))
  const wrong = readFileSync(resolve(root, file), 'utf8').replace('  purpose:', '  porpoise:')
  expect(await dryRun(wrong)).toContain('porpoise')
})
