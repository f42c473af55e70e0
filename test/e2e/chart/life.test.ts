// The life of a release on a real API server without a node: installed, upgraded, rolled back, uninstalled, installed again and moved. Its
// own cluster, since all others have the kinds from the beginning.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { buildTimeout, chart } from '../../chart/helm.ts'
import { type Cluster, startCluster } from '../../cluster/start.ts'
import { root } from '../../generate.ts'
import { connect, eventually, type KubeTestClient, type Ran } from '../../support/cluster.ts'
import { core, dry, expectAllowed, expectRefused, grant } from '../admission/fixture.ts'
import { type ClusterHelm, type HookRunner, helmFor, runHooks } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'taskbound-life-'))
const former = join(folder, 'former')
let cluster: Cluster
let kube: KubeTestClient
let helm: ClusterHelm
let helm3: ClusterHelm
let hooks: HookRunner
beforeAll(async () => {
  // Nothing was released before: the chart as it is, under a lower version.
  cpSync(chart, former, { recursive: true })
  const about = readFileSync(join(chart, 'Chart.yaml'), 'utf8')
  writeFileSync(join(former, 'Chart.yaml'), about.replaceAll(/ersion: 0\.1\.0$/gm, 'ersion: 0.0.9'))
  cluster = await startCluster()
  kube = connect(cluster)
  helm = await helmFor(cluster.kubeconfig, folder)
  helm3 = await helmFor(cluster.kubeconfig, folder, 3)
  hooks = runHooks(kube)
  for (const name of ['taskbound-system', 'security', 'other']) await kube.must('POST', '/api/v1/namespaces', { metadata: { name } })
}, buildTimeout)
afterAll(async () => {
  await hooks?.stop()
  await kube?.close()
  await cluster?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const here = ['taskbound', '--namespace', 'taskbound-system']
const fence = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/taskbound-operator-fence'
const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/agenttasks.taskbound.dev'
const deployment = '/apis/apps/v1/namespaces/taskbound-system/deployments/taskbound'
const provider = '/apis/taskbound.dev/v1alpha1/clustercredentialproviders/starter'
const taskPath = '/apis/taskbound.dev/v1alpha1/namespaces/taskbound-quickstart/agenttasks'

function worked({ code, stdout, stderr }: Ran): string {
  if (code !== 0) throw new Error(stderr)
  return stdout
}
const versions = async () =>
  Promise.all(
    [crd, fence, deployment].map(async (path) => (await kube.must('GET', path)).metadata.labels['app.kubernetes.io/version'] as string),
  )
const status = async (path: string) => (await kube.request('GET', path)).status
/** Each task by its UID and its version: none may change while the release does. */
const tasks = async (): Promise<readonly string[]> => {
  const { items } = await kube.must('GET', taskPath)
  return items.map((item: { metadata: { uid: string; resourceVersion: string } }) => [item.metadata.uid, item.metadata.resourceVersion])
}
/** That the fence is in force for a ServiceAccount: a Secret of anybody's is refused to it. */
const fenced = async (namespace: string, name: string) =>
  eventually(
    async () => {
      const secret = { metadata: { name: 'of-somebody' }, stringData: { a: 'b' } }
      const as = { as: `system:serviceaccount:${namespace}:${name}` }
      expectRefused(await kube.request('POST', dry(`${core('other')}/secrets`), secret, as), 'the operator may write only Opaque Secrets')
    },
    { timeoutMs: 30_000 },
  )

test('a first installation makes all there is, and a first provider when the kinds are served', async () => {
  expect(worked(await helm('install', ...here, former))).toContain('Taskbound 0.0.9 is installed')
  expect(hooks.output).toEqual(['ClusterCredentialProvider starter is made\nClusterAgentPolicy starter is made\n'])
  expect(await versions()).toEqual(['0.0.9', '0.0.9', '0.0.9'])
  await fenced('taskbound-system', 'taskbound')
  // nothing of the hook is left that could make more
  expect(await status('/apis/rbac.authorization.k8s.io/v1/clusterroles/taskbound-starter')).toBe(404)
  const quickstart = readFileSync(`${root}examples/quickstart/quickstart.yaml`, 'utf8')
  await eventually(async () => worked(await kube.kubectl(['apply', '-f', '-'], { stdin: quickstart })), { timeoutMs: 30_000, everyMs: 500 })
  expect(await tasks()).toHaveLength(1)
}, 120_000)

test('an upgrade, a rollback and an upgrade again change kinds, guards and pods, and no task; what was made once is not made again', async () => {
  const before = await tasks()
  await kube.must('DELETE', provider)
  worked(await helm('upgrade', ...here, chart))
  expect(await versions()).toEqual(['0.1.0', '0.1.0', '0.1.0'])
  worked(await helm('rollback', 'taskbound', '1', '--namespace', 'taskbound-system'))
  expect(await versions()).toEqual(['0.0.9', '0.0.9', '0.0.9'])
  worked(await helm('upgrade', ...here, chart))
  expect(await versions()).toEqual(['0.1.0', '0.1.0', '0.1.0'])
  expect(await tasks()).toEqual(before)
  expect(await status(provider)).toBe(404)
  expect(hooks.output).toHaveLength(1)
}, 120_000)

test('an upgrade with the same values changes nothing', async () => {
  const now = async () => Promise.all([crd, fence, deployment].map(async (path) => (await kube.must('GET', path)).metadata.generation))
  const before = await now()
  worked(await helm('upgrade', ...here, chart))
  expect(await now()).toEqual(before)
}, 60_000)

test('a second installation is refused, also where it is told to take over', async () => {
  const sentence = 'Taskbound is installed already, as the release `taskbound` in the namespace `taskbound-system`'
  for (const one of [helm, helm3]) {
    const { code, stderr } = await one('install', 'prod', chart, '--namespace', 'security', '--take-ownership')
    expect([code, stderr]).toEqual([1, expect.stringContaining(sentence)])
  }
  await fenced('taskbound-system', 'taskbound')
}, 60_000)

test('what is uninstalled leaves kinds, guards and tasks, and no right', async () => {
  const before = await tasks()
  worked(await helm('uninstall', ...here, '--no-hooks'))
  expect(await Promise.all([crd, fence, deployment].map(status))).toEqual([200, 200, 404])
  expect(await tasks()).toEqual(before)
  const roles = ['clusterroles', 'clusterrolebindings', 'roles', 'rolebindings']
  for (const plural of roles) {
    const { items } = await kube.must(
      'GET',
      `/apis/rbac.authorization.k8s.io/v1/${plural}?labelSelector=app.kubernetes.io/part-of=taskbound`,
    )
    expect([plural, items]).toEqual([plural, []])
  }
}, 60_000)

test('it takes over what stayed under the same name, and makes the starter where it is gone', async () => {
  const before = await tasks()
  worked(await helm('install', ...here, chart))
  expect(hooks.output[1]).toBe('ClusterCredentialProvider starter is made\nClusterAgentPolicy starter exists already and stays as it is\n')
  expect(await tasks()).toEqual(before)
  worked(await helm('uninstall', ...here, '--no-hooks'))
}, 120_000)

test('under another name in another namespace only if it is told to, and then the guards bind the new operator', async () => {
  const args = ['install', 'prod', chart, '--namespace', 'security', '--no-hooks'] as const
  const refused = await helm3(...args)
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/invalid ownership metadata/)])
  worked(await helm3(...args, '--take-ownership'))
  await fenced('security', 'prod-taskbound')
  expect(await tasks()).toHaveLength(1)
  // who was the operator is nobody now
  const secret = { metadata: { name: 'taskbound-x' }, stringData: { a: 'b' } }
  const former = { as: 'system:serviceaccount:taskbound-system:taskbound' }
  await grant(kube, former.as, 'other', [{ apiGroups: [''], resources: ['secrets'], verbs: ['create'] }])
  await eventually(async () => expectAllowed(await kube.request('POST', dry(`${core('other')}/secrets`), secret, former)))
  worked(await helm3('upgrade', 'prod', chart, '--namespace', 'security', '--set', 'replicaCount=3'))
}, 120_000)

test('kinds that somebody else applied are left alone, unless it is told to take them over', async () => {
  // the cluster of the other tests, whose kinds are from kubectl; nothing is changed in it
  const kubeconfig = process.env['KUBECONFIG'] ?? ''
  for (const major of [3, 4] as const) {
    const dryly = await helmFor(kubeconfig, folder, major)
    const args = ['install', 'taskbound', chart, '--namespace', 'taskbound-apart', '--dry-run=server'] as const
    const refused = await dryly(...args)
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/exists and cannot be imported.*invalid ownership metadata/s)])
    expect(worked(await dryly(...args, '--take-ownership'))).toContain('is installed in the namespace taskbound-apart')
  }
}, 120_000)
