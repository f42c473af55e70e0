// Gives a whole test run (or a demo) the one cluster it uses: the user's, where KUBECONFIG names one, or a new one.
// Must not stop a cluster that it did not start.
import { existsSync } from 'node:fs'
import { mkdtemp, realpath, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, eventually, run } from '../support/cluster.ts'
import { ensureBinaries } from './build.ts'
import { readTestEnvironment, say } from './environment.ts'
import { startCluster } from './start.ts'
import { startSupervisor } from './supervise.ts'

export interface SharedCluster {
  /** Always JSON with its certificates inside. */
  readonly kubeconfig: string
  readonly kubectl: string
  /** Whether it is the user's own. */
  readonly given: boolean
  release(): Promise<void>
}

/** With the kinds and admission policies of `crds` in it, when that folder exists. */
export async function acquireCluster(crds = join(import.meta.dirname, '../../crds')): Promise<SharedCluster> {
  const environment = readTestEnvironment(process.env)
  if (environment.kubeconfig !== undefined) return await useGiven(environment.kubeconfig, crds)
  const begun = Date.now()
  const cluster = await startCluster({ beforeControllers: ({ kubectl, kubeconfig }) => applyKinds(kubectl, kubeconfig, crds) })
  try {
    await untilStamping(cluster, crds)
  } catch (error) {
    await cluster.stop()
    throw error
  }
  say(`control plane up in ${((Date.now() - begun) / 1000).toFixed(1)} s: ${cluster.server}`)
  return { kubeconfig: cluster.kubeconfig, kubectl: cluster.kubectl, given: false, release: () => cluster.stop() }
}

async function useGiven(kubeconfig: string, crds: string): Promise<SharedCluster> {
  const kubectl = (await onPath('kubectl')) ? 'kubectl' : (await ensureBinaries(readTestEnvironment(process.env))).kubectl
  // Flattened, so that it can be read without knowing where its files are. `--kubeconfig` would not split a list of files; the variable does.
  const view = await run(kubectl, ['config', 'view', '--raw', '--flatten', '--minify', '-o', 'json'])
  if (view.code !== 0) throw new Error(`KUBECONFIG (${kubeconfig}): ${view.stderr}`)
  // It may hold a key, so a supervisor removes the copy even when this process is killed.
  const folder = await mkdtemp(join(await realpath(tmpdir()), 'taskbound-kubeconfig-'))
  const supervisor = await startSupervisor(folder, false)
  const release = () => supervisor.stop()
  const path = join(folder, 'kubeconfig.json')
  await writeFile(path, view.stdout, { mode: 0o600 })
  const server: string | undefined = JSON.parse(view.stdout).clusters?.[0]?.cluster?.server
  say(`using the cluster of KUBECONFIG: ${server} (TASKBOUND_TEST_USE_KUBECONFIG=0 starts one instead)`)
  try {
    await applyKinds(kubectl, path, crds)
    await untilStamping({ kubectl, kubeconfig: path }, crds)
  } catch (error) {
    await release()
    throw error
  }
  return { kubeconfig: path, kubectl, given: true, release }
}

/**
 * Applies the CRDs, and the admission policies in the folders below, and waits until the kinds are served. A policy is in force some
 * seconds later, which the API server does not tell: a test of one probes for it. Nothing happens without the folder.
 */
export async function applyKinds(kubectl: string, kubeconfig: string, crds: string): Promise<void> {
  if (!existsSync(crds)) return
  const must = async (...args: string[]) => {
    const { code, stderr } = await run(kubectl, ['--kubeconfig', kubeconfig, ...args])
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
  }
  await must('apply', '--server-side', '--force-conflicts', '-R', '-f', crds)
  await must('wait', '--for=condition=Established', '--timeout=30s', '-R=false', '-f', crds)
}

/**
 * Waits until the API server both applies the policy that stamps tasks and knows the schema it stamps them by. It looks for new schemas
 * every five seconds, and until then refuses every task with 503.
 */
export async function untilStamping(access: { readonly kubectl: string; readonly kubeconfig: string }, crds: string): Promise<void> {
  if (!existsSync(join(crds, 'admission', 'requester-stamp.yaml'))) return
  const kube = connect(access)
  const credentials = [{ name: 'probe', providerRef: { kind: 'ClusterCredentialProvider', name: 'probe' } }]
  const task = {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'AgentTask',
    metadata: { generateName: 'probe-' },
    spec: { agentRef: { name: 'probe' }, action: 'probe', credentials },
  }
  const path = '/apis/taskbound.dev/v1alpha1/namespaces/default/agenttasks?dryRun=All'
  try {
    await eventually(
      async () => {
        const { spec } = await kube.must('POST', path, task)
        if (spec.requestedBy === undefined) throw new Error('tasks are not stamped with who made them')
      },
      { timeoutMs: 30_000 },
    )
  } finally {
    await kube.close()
  }
}

async function onPath(file: string): Promise<boolean> {
  return run(file, ['version', '--client']).then(
    ({ code }) => code === 0,
    () => false,
  )
}
