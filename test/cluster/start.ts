// Starts a real Kubernetes control plane (etcd, API server, controller manager; no node) on loopback in a temporary folder.
// It ends with the process that started it. Must not touch a cluster that it did not start.
import { randomInt } from 'node:crypto'
import { mkdir, mkdtemp, readFile, realpath, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Binaries, ensureBinaries } from './build.ts'
import { type Certificates, type Leaf, makeCertificates, type Pair } from './certificates.ts'
import { readTestEnvironment } from './environment.ts'
import { apiServerArgs, controllerManagerArgs, etcdArgs } from './flags.ts'
import { createRequester, type Requester } from './requester.ts'
import { type Supervisor, startSupervisor } from './supervise.ts'

export interface StartOptions {
  /** Folder to use, made if missing. Default: a new one in the system's temporary folder. */
  readonly dir?: string
  /** Leaves the folder (data, logs, keys) in place when the cluster stops. */
  readonly keep?: boolean
  /** More flags for the API server, for example `--audit-log-path=...`; a flag that is there already is replaced. */
  readonly apiServerFlags?: readonly string[]
  /** More flags for the controller manager, likewise. */
  readonly controllerManagerFlags?: readonly string[]
  /** Without a controller manager: faster, and nothing but the tests writes. Then no Namespace gets a ServiceAccount. */
  readonly withoutControllers?: boolean
  /** Where the API server is to be reached besides loopback: its certificate is good for that address too. */
  readonly address?: string
  /** More certificates to make, by the name of their files in `certs` in the folder. */
  readonly certificates?: Readonly<Record<string, Leaf>>
  /**
   * Runs when the API server is up and before the controller manager is. What defines kinds belongs here: the garbage collector looks for
   * new kinds only every half minute, but knows those that were there when it began.
   */
  readonly beforeControllers?: (cluster: Cluster) => Promise<void>
}

export interface Cluster {
  readonly server: string
  /** Path of a kubeconfig of an administrator. */
  readonly kubeconfig: string
  readonly dir: string
  /** Path of a kubectl of the same version. */
  readonly kubectl: string
  /** Requests as administrator. */
  readonly admin: Requester
  /** Process ids as they are now. */
  pids(): { readonly supervisor: number; readonly etcd?: number; readonly apiServer?: number; readonly controllerManager?: number }
  /** Default SIGTERM, which lets requests under way finish; SIGKILL cuts them. */
  stopApiServer(signal?: NodeJS.Signals): Promise<void>
  /** At the same address, ready when this resolves. */
  startApiServer(flags?: readonly string[]): Promise<void>
  restartApiServer(signal?: NodeJS.Signals): Promise<void>
  /** Leaves it running when this process ends, until its supervisor (process id in `supervisor.pid` in the folder) gets SIGTERM. */
  detach(): Promise<void>
  /** Ends every process and removes the folder (unless `keep`). Safe to call twice. */
  stop(): Promise<void>
}

export async function startCluster(options: StartOptions = {}): Promise<Cluster> {
  const binaries = await ensureBinaries(readTestEnvironment(process.env))
  const made = options.dir ?? (await mkdtemp(join(await realpath(tmpdir()), 'taskbound-')))
  const certs = join(made, 'certs')
  await mkdir(certs, { recursive: true, mode: 0o700 })
  // The supervisor is first, so that whatever goes wrong from here on leaves nothing.
  const supervisor = await startSupervisor(made, options.keep ?? false)
  try {
    return await startIn(made, await makeCertificates(certs, options.address, options.certificates), binaries, supervisor, options)
  } catch (error) {
    await supervisor.stop()
    throw error
  }
}

async function startIn(
  dir: string,
  certificates: Certificates,
  binaries: Binaries,
  supervisor: Supervisor,
  options: StartOptions,
): Promise<Cluster> {
  const pids: { supervisor: number; etcd?: number; apiServer?: number; controllerManager?: number } = { supervisor: supervisor.pid }
  const etcd = await onFreePorts(2, async ([client = 0, peer = 0]) => {
    pids.etcd = await supervisor.start('etcd', binaries.etcd, etcdArgs(join(dir, 'etcd'), client, peer))
    const url = `http://127.0.0.1:${client}`
    await untilUp(dir, supervisor, 'etcd', async () => (await fetch(`${url}/health`)).ok)
    return url
  })

  const apiServerFlags = (port: number, more: readonly string[] = options.apiServerFlags ?? []) =>
    apiServerArgs({ port, etcd, certs: certificates.folder, more })
  const run = async (port: number, admin: Requester, flags?: readonly string[]) => {
    pids.apiServer = await supervisor.start('kube-apiserver', binaries.apiServer, apiServerFlags(port, flags))
    await untilUp(dir, supervisor, 'kube-apiserver', async () => (await admin.request('GET', '/readyz')).status === 200)
  }
  const { port, server, admin } = await onFreePorts(1, async ([port = 0]) => {
    const server = `https://127.0.0.1:${port}`
    const admin = createRequester({ server, ca: certificates.ca, ...certificates.admin })
    await run(port, admin)
    return { port, server, admin }
  })

  const kubeconfig = await writeKubeconfig(join(dir, 'admin.kubeconfig'), server, certificates.ca, certificates.admin)
  const stopApiServer = async (signal: NodeJS.Signals = 'SIGTERM') => {
    await supervisor.end('kube-apiserver', signal, 10_000)
    delete pids.apiServer
  }
  const cluster: Cluster = {
    server,
    kubeconfig,
    dir,
    kubectl: binaries.kubectl,
    admin,
    pids: () => ({ ...pids }),
    stopApiServer,
    startApiServer: (flags) => run(port, admin, flags),
    restartApiServer: async (signal) => {
      await stopApiServer(signal)
      await run(port, admin)
    },
    detach: () => supervisor.detach(),
    stop: async () => {
      admin.close()
      await supervisor.stop()
    },
  }
  await options.beforeControllers?.(cluster)

  const { controllerManager } = binaries
  if (controllerManager !== undefined && options.withoutControllers !== true) {
    const identity = await writeKubeconfig(join(dir, 'controllers.kubeconfig'), server, certificates.ca, certificates.controllerManager)
    await onFreePorts(1, async ([port = 0]) => {
      const args = controllerManagerArgs({
        port,
        kubeconfig: identity,
        certs: certificates.folder,
        more: options.controllerManagerFlags ?? [],
      })
      pids.controllerManager = await supervisor.start('kube-controller-manager', controllerManager, args)
      const path = '/api/v1/namespaces/default/serviceaccounts/default'
      await untilUp(dir, supervisor, 'kube-controller-manager', async () => (await admin.request('GET', path)).status === 200)
    })
  }
  return cluster
}

class Exited extends Error {}

/** Resolves once `isUp` says so; an exit of the program, or a minute, is an error that carries the end of its log. */
export async function untilUp(dir: string, supervisor: Supervisor, name: string, isUp: () => Promise<boolean>): Promise<void> {
  for (const begun = Date.now(); ; await sleep(50)) {
    if (await isUp().catch(() => false)) return
    const exit = supervisor.exitOf(name)
    const seconds = (Date.now() - begun) / 1000
    if (exit === undefined && seconds < 60) continue
    const log = await readFile(join(dir, `${name}.log`), 'utf8').catch(() => '')
    const tail = log.split('\n').slice(-15).join('\n')
    if (exit === undefined) await supervisor.end(name, 'SIGKILL', 1000)
    throw new Exited(`${name} ${exit === undefined ? `was not up after ${Math.round(seconds)} s` : `exited with ${exit}`}:\n${tail}`)
  }
}

/**
 * Runs `start` with ports that are free now. Another process may take one before the server does; then that server exits, which is told
 * apart by its log, and it is tried again with others.
 */
async function onFreePorts<T>(count: number, start: (ports: readonly number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const ports = await Promise.all(Array.from({ length: count }, freePort))
    try {
      return await start(ports)
    } catch (error) {
      if (attempt === 5 || !(error instanceof Exited) || !/address already in use/.test(error.message)) throw error
    }
  }
}

/** Below the ranges from which systems take ports for outgoing connections, so that a server that restarts finds its port free. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000)
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(false))
      server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
}

/** A kubeconfig in JSON with everything inside. */
export async function writeKubeconfig(path: string, server: string, ca: string, user: Pair): Promise<string> {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'taskbound-test', cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [{ name: 'user', user: { 'client-certificate-data': base64(user.certificate), 'client-key-data': base64(user.key) } }],
    contexts: [{ name: 'taskbound-test', context: { cluster: 'taskbound-test', user: 'user', namespace: 'default' } }],
    'current-context': 'taskbound-test',
  }
  await writeFile(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 })
  return path
}
