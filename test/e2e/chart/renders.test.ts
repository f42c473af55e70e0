// Everything that the chart renders is valid to a real API server: by its own schemas, strictly, and by asking it.

import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { buildTimeout, createHelm, type Helm, type Manifest, only } from '../../chart/helm.ts'
import { cases } from '../../chart/matrix.ts'
import { type Cluster, startCluster } from '../../cluster/start.ts'
import { connect, eventually, type KubeTestClient } from '../../support/cluster.ts'
import { ensureCheck } from '../../tools/checks.ts'
import { monitoringKinds } from '../../tools/monitoring.ts'
import { location, type OpenApi, writeSchemas } from './schemas.ts'

let cluster: Cluster
let kube: KubeTestClient
let helm: Helm
let kubeconform: string
let schemas: string
beforeAll(async () => {
  helm = await createHelm()
  kubeconform = await ensureCheck('kubeconform', process.env)
  schemas = await mkdtemp(join(tmpdir(), 'taskbound-schemas-'))
  cluster = await startCluster()
  kube = connect(cluster)
  const ours = helm.render({}).filter(({ kind }) => kind === 'CustomResourceDefinition')
  for (const stdin of [await monitoringKinds(), yaml(ours)]) {
    const applied = await kube.kubectl(['apply', '--server-side', '-f', '-'], { stdin })
    expect([applied.code, applied.stderr]).toEqual([0, ''])
  }
  for (const name of ['taskbound-system', 'security', 'payroll', 'research']) {
    await kube.must('POST', '/api/v1/namespaces', { metadata: { name } })
  }
  await eventually(
    async () => {
      const api = await kube.must('GET', '/openapi/v2')
      // each kind's schema is merged in on its own, so one of them says nothing of the next
      const missing = [...theirs, ...ours.map(({ spec }) => spec.names.kind)].filter((kind) => !knows(api, kind))
      if (missing.length > 0) throw new Error(`the API server tells no schema of ${missing} yet`)
      await writeSchemas(api, schemas)
    },
    { timeoutMs: 30_000, everyMs: 500 },
  )
}, buildTimeout)
afterAll(async () => {
  await kube?.close()
  await cluster?.stop()
  await rm(schemas, { recursive: true, force: true })
})

const theirs = ['PodMonitor', 'PrometheusRule', 'ServiceMonitor']
const knows = ({ definitions }: OpenApi, kind: string): boolean =>
  Object.keys(definitions).some((name) => /^(dev\.taskbound|com\.coreos)\./.test(name) && name.endsWith(`.${kind}`))

/** JSON is YAML, and what is a string in one version of YAML is none in another. */
const yaml = (objects: readonly object[]): string => objects.map((object) => JSON.stringify(object)).join('\n---\n')
function conform(objects: readonly object[]): { readonly code: number | null; readonly output: string } {
  const args = ['-strict', '-summary', '-schema-location', `${schemas}/${location}`, '-']
  const { status, stdout, stderr } = spawnSync(kubeconform, args, { input: yaml(objects), encoding: 'utf8' })
  return { code: status, output: stdout + stderr }
}

describe.each(cases)('$name', ({ values, release }) => {
  test('kubeconform finds every object valid, and knows every kind', () => {
    const objects = helm.render(values, release)
    const { output } = conform(objects)
    expect(output).toBe(
      `Summary: ${objects.length} resources found parsing stdin - Valid: ${objects.length}, Invalid: 0, Errors: 0, Skipped: 0\n`,
    )
  })

  test('the API server would take every object, and knows every field', async () => {
    const objects = helm.render(values, release)
    const args = ['apply', '--dry-run=server', '--validate=strict', '--server-side', '--force-conflicts', '-f', '-']
    const { code, stdout, stderr } = await kube.kubectl(args, { stdin: yaml(objects) })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout.trim().split('\n')).toHaveLength(objects.length)
  })
})

test('what the chart makes at the installation is valid too', async () => {
  const [{ env }] = only(helm.render(), 'Job', 'taskbound-starter').spec.template.spec.containers
  const objects: readonly Manifest[] = JSON.parse(env.find(({ name }: { readonly name: string }) => name === 'OBJECTS').value)
  expect(conform(objects)).toEqual({ code: 0, output: expect.stringContaining('Valid: 2, Invalid: 0') })
  const { code, stderr } = await kube.kubectl(['create', '--dry-run=server', '--validate=strict', '-f', '-'], { stdin: yaml(objects) })
  expect([code, stderr]).toEqual([0, ''])
})

test('a field that nobody knows is found', () => {
  const [deployment] = helm.render().filter(({ kind }) => kind === 'Deployment')
  const wrong = { ...deployment, spec: { ...deployment?.spec, replicass: 2 } }
  expect(conform([wrong])).toEqual({ code: 1, output: expect.stringContaining("'replicass' not allowed") })
})
