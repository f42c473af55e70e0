// Finds or builds the binaries of a Kubernetes control plane, from the versions pinned in the go.mod beside this file.
// Built once for a machine and kept outside the clone. Must not start any of them.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureGoTools } from '../tools/build.ts'
import { say, type TestEnvironment } from './environment.ts'

/** Paths of executables. */
export interface Binaries {
  readonly etcd: string
  readonly apiServer: string
  readonly kubectl: string
  /** Absent when a given folder has none: then nothing is garbage-collected, no Namespace finishes deleting, no ServiceAccount is made. */
  readonly controllerManager?: string
}

const moduleFolder = import.meta.dirname
const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
}
const nodePackages = {
  kubelet: 'k8s.io/kubernetes/cmd/kubelet',
  'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
}
const noGo = [
  'go is not there, and it is needed once to build the Kubernetes control plane that the tests run against',
  '  either install Go 1.26 or newer (https://go.dev/dl),',
  '  or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl (setup-envtest makes one),',
  '  or set KUBECONFIG to a cluster that the tests may use',
].join('\n')

/** What a node runs, and the scheduler that gives it pods. */
export interface NodeBinaries {
  readonly kubelet: string
  readonly kubeProxy: string
  readonly scheduler: string
}

export async function ensureBinaries(environment: TestEnvironment): Promise<Binaries> {
  if (environment.assetsFolder !== undefined) return givenBinaries(environment.assetsFolder)
  const folder = await ensureKubernetes(environment, packages)
  return {
    etcd: join(folder, 'etcd'),
    apiServer: join(folder, 'kube-apiserver'),
    kubectl: join(folder, 'kubectl'),
    controllerManager: join(folder, 'kube-controller-manager'),
  }
}

export async function ensureNodeBinaries(environment: TestEnvironment): Promise<NodeBinaries> {
  const folder = await ensureKubernetes(environment, nodePackages)
  return { kubelet: join(folder, 'kubelet'), kubeProxy: join(folder, 'kube-proxy'), scheduler: join(folder, 'kube-scheduler') }
}

async function ensureKubernetes(environment: TestEnvironment, packages: Readonly<Record<string, string>>): Promise<string> {
  const goMod = await readFile(join(moduleFolder, 'go.mod'), 'utf8')
  const version = /^\tk8s\.io\/kubernetes (v\S+)/m.exec(goMod)?.[1]
  if (version === undefined) throw new Error('test/cluster/go.mod pins no k8s.io/kubernetes')
  return ensureGoTools({
    moduleFolder,
    cacheFolder: join(environment.cacheFolder, 'kubernetes'),
    packages,
    flags: ['-ldflags', `-s -w -X k8s.io/component-base/version.gitVersion=${version}`],
    what: `Kubernetes ${version}`,
    noGo,
  })
}

function givenBinaries(folder: string): Binaries {
  for (const name of ['etcd', 'kube-apiserver', 'kubectl']) {
    if (!existsSync(join(folder, name))) throw new Error(`KUBEBUILDER_ASSETS is \`${folder}\`, which has no ${name}: unset it to build one`)
  }
  const controllerManager = join(folder, 'kube-controller-manager')
  const some = { etcd: join(folder, 'etcd'), apiServer: join(folder, 'kube-apiserver'), kubectl: join(folder, 'kubectl') }
  if (existsSync(controllerManager)) return { ...some, controllerManager }
  say(`${folder} has no kube-controller-manager: no garbage collection, Namespaces never finish deleting, tests of both fail`)
  return some
}
