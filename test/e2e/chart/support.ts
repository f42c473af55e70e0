// What the tests of installations share: helm against a cluster, and the part of a node that runs the pods of hooks.
// Must not touch the user's helm configuration.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KubeTestClient, type Ran, run } from '../../support/cluster.ts'
import { ensureHelm, type Major } from '../../tools/helm/build.ts'

export type ClusterHelm = (...args: readonly string[]) => Promise<Ran>

/** helm for one cluster. It must not block this process, which does the work of a node meanwhile. */
export async function helmFor(kubeconfig: string, home: string, major: Major = 4): Promise<ClusterHelm> {
  const helm = await ensureHelm(major, process.env)
  const own = ['CACHE', 'CONFIG', 'DATA'].map((what) => `HELM_${what}_HOME=${home}`)
  return (...args) => run('env', [...own, helm, '--kubeconfig', kubeconfig, ...args])
}

interface Pod {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels?: Readonly<Record<string, string>> }
  readonly spec: {
    readonly serviceAccountName: string
    readonly containers: readonly {
      readonly args?: readonly string[]
      readonly env?: readonly { readonly name: string; readonly value?: string }[]
    }[]
  }
  readonly status?: { readonly phase?: string }
}

export interface HookRunner {
  /** What the scripts printed so far. */
  readonly output: readonly string[]
  stop(): Promise<void>
}

/** Runs the pods of the starter, which have no node, as a node would: the script as it is, with a token of its ServiceAccount. */
export function runHooks(kube: KubeTestClient): HookRunner {
  const output: string[] = []
  const done = new Set<string>()
  let stopped = false
  const working = (async () => {
    while (!stopped) {
      const { items } = (await kube.must('GET', '/api/v1/pods')) as { readonly items: readonly Pod[] }
      for (const pod of items) {
        const key = `${pod.metadata.namespace}/${pod.metadata.name}`
        if (!pod.metadata.labels?.['app.kubernetes.io/name']?.endsWith('-starter') || done.has(key)) continue
        done.add(key)
        const ran = await runPod(kube, pod)
        output.push(ran.output)
        const status = { phase: ran.code === 0 ? 'Succeeded' : 'Failed' }
        // the Job, and with it the pod, may have been given up meanwhile
        await kube.request('PATCH', `/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}/status`, { status })
      }
      await sleep(100)
    }
  })()
  return {
    output,
    stop: async () => {
      stopped = true
      await working
    },
  }
}

async function runPod(kube: KubeTestClient, pod: Pod): Promise<{ readonly code: number | null; readonly output: string }> {
  const { namespace } = pod.metadata
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${pod.spec.serviceAccountName}/token`
  const { status } = await kube.must('POST', path, { spec: { expirationSeconds: 600 } })
  const folder = mkdtempSync(join(tmpdir(), 'taskbound-pod-'))
  writeFileSync(join(folder, 'token'), status.token)
  writeFileSync(join(folder, 'ca.crt'), kube.endpoint.ca ?? '')
  const [container] = pod.spec.containers
  const server = new URL(kube.endpoint.server)
  const env = {
    ...Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value])),
    KUBERNETES_SERVICE_HOST: server.hostname,
    KUBERNETES_SERVICE_PORT: server.port,
    NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt'),
    SERVICE_ACCOUNT: folder,
  }
  const child = spawn(process.execPath, container?.args ?? [], { env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += part.toString()))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  rmSync(folder, { recursive: true })
  return { code, output }
}
