// The examples on a whole node: their pods are run by a kubelet, and each ends as its page shows. The long task is left out, for its length.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createDocumented, type Documented } from '../e2e/support/documented.ts'
import { eventually } from '../support/cluster.ts'
import { createRelease, type Release } from './support/release.ts'

const names = ['job', 'pod', 'orchestrator', 'worker'] as const
const page = (name: string) => `examples/${name}/README.md`
let release: Release
let docs: Documented

beforeAll(async () => {
  release = await createRelease()
  await release.install()
  docs = await createDocumented()
  await docs.commands(page('base'))
  for (const name of names) await docs.commands(page(name))
}, 240_000)

afterAll(async () => {
  await docs?.shell('kubectl delete namespace taskbound-examples taskbound-examples-worker')
  await docs?.shell('kubectl delete clusteragentpolicy,clustercredentialprovider examples')
  await docs?.close()
  await release?.close()
})

test.each(names)('%s', (name) => docs.shows(page(name), 100_000), 120_000)

test('their agents had their credentials', async () => {
  const logs = (of: string) => docs.shell(`kubectl -n taskbound-examples logs ${of}`)
  expect(await logs('pod/one-report')).toContain('the credential is here')
  expect(await logs('pod/research-gather')).toContain('gather: the credential is here')
  expect(await logs('pod/research-summarize')).toContain('summarize: the credential is here')
  const regions = await logs('--selector batch.kubernetes.io/job-name=parallel-report')
  expect(regions.trim().split('\n').sort()).toEqual([0, 1, 2].map((n) => `region ${n}: the credential is here`))
  await eventually(
    async () =>
      expect(await docs.shell('kubectl -n taskbound-examples-worker logs deployment/worker')).toMatch(/north: worked[\s\S]*south: worked/),
    { timeoutMs: 60_000 },
  )
})
