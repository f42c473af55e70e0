// Removes whatever a node left on the machine, after its stop and after its crash: containers, mounts, network namespaces, the bridge, rules,
// the folder. Must not touch what other programs made: everything is found by the node's folder, bridge or network.
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../../support/cluster.ts'
import { commandLine } from '../processes.ts'
import { bridge, nodeFolder } from './host.ts'

/** Also the name of the containerd namespace's parent control group and of the CNI network. */
export const network = 'taskbound-node'
const cniResults = '/var/lib/cni/results'

export async function cleanNode(): Promise<void> {
  await endProcesses()
  for (const mount of mountsBelow(nodeFolder)) await run('umount', ['-l', mount])
  await removeNetwork()
  removeControlGroups()
  rmSync(nodeFolder, { recursive: true, force: true, maxRetries: 5 })
}

/** What is left of a node on this machine, for people: nothing is the empty list. */
export function leftovers(): readonly string[] {
  return [
    ...ours().map((pid) => `process ${pid}: ${commandLine(pid)}`),
    ...mountsBelow(nodeFolder).map((path) => `mount ${path}`),
    ...(existsSync(`/sys/class/net/${bridge}`) ? [`bridge ${bridge}`] : []),
    ...(existsSync(nodeFolder) ? [`folder ${nodeFolder}`] : []),
    ...controlGroups().map((path) => `control group ${path}`),
    ...results().map(({ file }) => `network of a container ${file}`),
  ]
}

function pids(): readonly number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger)
}

/** Processes that name the folder, and those that shims of ours started: each container's first, with which the rest of it ends. */
function ours(): readonly number[] {
  const named = pids().filter((pid) => pid !== process.pid && names(pid))
  const shims = new Set(named.filter((pid) => commandLine(pid)?.includes('containerd-shim') === true))
  return [...named, ...pids().filter((pid) => shims.has(parentOf(pid)))]
}

function names(pid: number): boolean {
  const line = commandLine(pid)
  if (line === undefined || !line.includes(`${nodeFolder}/`)) return false
  try {
    return /^(etcd|kube-.*|kubelet|containerd.*|coredns|runc)$/.test(readlinkSync(`/proc/${pid}/exe`).split('/').at(-1) ?? '')
  } catch {
    return false
  }
}

function parentOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])
  } catch {
    return 0
  }
}

async function endProcesses(): Promise<void> {
  // first who would start others again
  for (let tries = 0; tries < 100; tries++) {
    const left = ours()
    if (left.length === 0) return
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // gone by itself
      }
    }
    await sleep(50)
  }
  throw new Error(`these processes cannot be ended: ${ours().join(', ')}`)
}

/** Deepest first. */
function mountsBelow(folder: string): readonly string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => (line.split(' ')[1] ?? '').replaceAll('\\040', ' '))
    .filter((path) => path.startsWith(`${folder}/`))
    .reverse()
}

function results(): readonly { readonly file: string; readonly namespace: string | undefined }[] {
  if (!existsSync(cniResults)) return []
  return readdirSync(cniResults)
    .filter((name) => name.startsWith(`${network}-`))
    .map((name) => {
      const file = join(cniResults, name)
      return { file, namespace: (JSON.parse(readFileSync(file, 'utf8')) as { netns?: string }).netns }
    })
}

async function removeNetwork(): Promise<void> {
  for (const { file, namespace } of results()) {
    if (namespace !== undefined && existsSync(namespace)) {
      await run('umount', ['-l', namespace])
      rmSync(namespace, { force: true })
    }
    rmSync(file, { force: true })
  }
  if (existsSync(`/sys/class/net/${bridge}`)) await run('ip', ['link', 'delete', bridge])
  for (const family of ['ip', 'ip6']) await run('nft', ['delete', 'table', family, 'kube-proxy'])
}

function controlGroups(): readonly string[] {
  const root = '/sys/fs/cgroup'
  if (!existsSync(root)) return []
  return ['', ...readdirSync(root)].map((controller) => join(root, controller, network)).filter((path) => existsSync(path))
}

function removeControlGroups(): void {
  const remove = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) remove(join(path, entry.name))
    rmdirSync(path)
  }
  for (const path of controlGroups()) remove(path)
}
