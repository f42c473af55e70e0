// Finds or builds the binaries of a Kubernetes control plane, from the versions pinned in the go.mod beside this file.
// Built once for a machine and kept outside the clone. Must not start any of them.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { say, type TestEnvironment } from './environment.ts'
import { commandLine } from './processes.ts'

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
const noGo = [
  'go is not there, and it is needed once to build the Kubernetes control plane that the tests run against',
  '  either install Go 1.26 or newer (https://go.dev/dl),',
  '  or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl (setup-envtest makes one),',
  '  or set KUBECONFIG to a cluster that the tests may use',
].join('\n')

export async function ensureBinaries(environment: TestEnvironment): Promise<Binaries> {
  if (environment.assetsFolder !== undefined) return givenBinaries(environment.assetsFolder)
  const [goMod, goSum] = await Promise.all(['go.mod', 'go.sum'].map((name) => readFile(join(moduleFolder, name), 'utf8')))
  const version = /^\tk8s\.io\/kubernetes (v\S+)/m.exec(goMod ?? '')?.[1]
  if (goMod === undefined || goSum === undefined || version === undefined) throw new Error('test/cluster/go.mod pins no k8s.io/kubernetes')
  const flags = ['-ldflags', `-s -w -X k8s.io/component-base/version.gitVersion=${version}`]
  const target = `${process.platform}/${process.arch}`
  const key = createHash('sha256')
    .update([goMod, goSum, target, ...flags].join('\0'))
    .digest('hex')
    .slice(0, 16)
  const folder = join(environment.cacheFolder, 'kubernetes', key)
  const missing = () => Object.entries(packages).filter(([name]) => !existsSync(join(folder, name)))
  if (missing().length > 0) {
    await mkdir(folder, { recursive: true })
    await holding(join(folder, 'lock'), async () => {
      for (const [name, path] of missing()) await build(name, path, version, flags, folder)
    })
  }
  return {
    etcd: join(folder, 'etcd'),
    apiServer: join(folder, 'kube-apiserver'),
    kubectl: join(folder, 'kubectl'),
    controllerManager: join(folder, 'kube-controller-manager'),
  }
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

async function build(name: string, path: string, version: string, flags: readonly string[], folder: string): Promise<void> {
  const begun = Date.now()
  const seconds = () => `${Math.round((Date.now() - begun) / 1000)} s`
  say(`building ${name} (Kubernetes ${version}): minutes the first time, then it is kept`)
  const tick = setInterval(() => say(`building ${name}: ${seconds()}`), 15_000)
  const unfinished = join(folder, `.${name}.${process.pid}`)
  try {
    await go(['build', ...flags, '-o', unfinished, path])
    await rename(unfinished, join(folder, name)) // so that nobody ever sees half a binary
    say(`built ${name} in ${seconds()}`)
  } finally {
    clearInterval(tick)
    await rm(unfinished, { force: true })
  }
}

function go(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, { cwd: moduleFolder, env: { ...process.env, CGO_ENABLED: '0' }, stdio: ['ignore', 'ignore', 'pipe'] })
    let tail = ''
    child.stderr.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-4000)
    })
    child.on('error', (error: NodeJS.ErrnoException) => reject(error.code === 'ENOENT' ? new Error(noGo) : error))
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`go ${args.join(' ')} failed with ${code}:\n${tail}`))))
  })
}

/**
 * Runs `work` while holding a lock file that names this process. The lock only saves work: two that hold it at once (both took it from
 * the same dead process) build the same bytes twice, and each rename is atomic.
 */
async function holding(lock: string, work: () => Promise<void>): Promise<void> {
  const mine = `${lock}.${process.pid}`
  await writeFile(mine, String(process.pid))
  try {
    for (let told = 0; ; ) {
      // A link is made with its content or not at all, so the file always says whose it is.
      if (await succeeds(link(mine, lock))) break
      const holder = Number(await readFile(lock, 'utf8').catch(() => '0'))
      if (holder > 0 && commandLine(holder) === undefined) await rm(lock, { force: true })
      else {
        if (holder !== told) say(`process ${holder} is building the control plane: waiting for it`)
        told = holder
        await sleep(250)
      }
    }
    try {
      await work()
    } finally {
      await rm(lock, { force: true })
    }
  } finally {
    await rm(mine, { force: true })
  }
}

function succeeds(attempt: Promise<unknown>): Promise<boolean> {
  return attempt.then(
    () => true,
    () => false,
  )
}
