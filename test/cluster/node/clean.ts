// Removes whatever a node left on the machine, after its stop and after its crash: containers, mounts, network namespaces, the bridge, rules,
// the folder. Must not touch what other programs made: everything is found by the node's folder, bridge or network.
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../../support/cluster.ts'
import { commandLine } from '../processes.ts'
import { bridge, nodeFolder } from './host.ts'

/** Also the name of the parent control group. */
export const network = 'taskbound-node'
const cniResults = '/var/lib/cni/results'
const shimSockets = '/run/containerd/s'
const runcStates = '/run/containerd/runc/k8s.io'
const forwarding = '/proc/sys/net/ipv4/ip_forward'

export async function cleanNode(): Promise<void> {
  await endProcesses()
  for (const mount of mountsBelow(nodeFolder)) await run('umount', ['-l', mount])
  for (const one of bundles()) await removeOutside(one)
  if (existsSync(`/sys/class/net/${bridge}`)) await run('ip', ['link', 'delete', bridge])
  for (const family of ['ip', 'ip6']) await run('nft', ['delete', 'table', family, 'kube-proxy'])
  removeControlGroups()
  const former = join(nodeFolder, 'ip_forward')
  if (existsSync(former)) writeFileSync(forwarding, readFileSync(former))
  rmSync(nodeFolder, { recursive: true, force: true, maxRetries: 5 })
}

/** Lets the machine forward packets, as a node must, and notes whether it did before. */
export function forwardPackets(): void {
  writeFileSync(join(nodeFolder, 'ip_forward'), readFileSync(forwarding))
  writeFileSync(forwarding, '1')
}

/** Everything on this machine that a node may leave: to be compared with what was there before it. */
export function traces(): ReadonlySet<string> {
  const folders = ['/sys/class/net', '/run/netns', cniResults, shimSockets, runcStates]
  return new Set([
    ...ours().map((pid) => `process ${pid}: ${commandLine(pid)}`),
    ...mountsBelow(nodeFolder).map((path) => `mount ${path}`),
    ...folders.flatMap((folder) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [])),
    ...[nodeFolder, ...controlGroups()].filter((path) => existsSync(path)),
    `forwarding: ${readFileSync(forwarding, 'utf8').trim()}`,
  ])
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

/** What a container has outside of the node's folder, as its bundle in there says. */
interface Bundle {
  readonly id: string
  readonly networkNamespace: string | undefined
  readonly socket: string | undefined
}

function bundles(): readonly Bundle[] {
  const folder = join(nodeFolder, 'node/containerd/state/io.containerd.runtime.v2.task/k8s.io')
  if (!existsSync(folder)) return []
  return readdirSync(folder).map((id) => {
    const at = (name: string) => join(folder, id, name)
    const { linux } = existsSync(at('config.json')) ? JSON.parse(readFileSync(at('config.json'), 'utf8')) : { linux: undefined }
    const spaces: readonly { type: string; path?: string }[] = linux?.namespaces ?? []
    return {
      id,
      networkNamespace: spaces.find(({ type, path }) => type === 'network' && path?.startsWith('/var/run/netns/') === true)?.path,
      socket: existsSync(at('address')) ? readFileSync(at('address'), 'utf8').replace('unix://', '') : undefined,
    }
  })
}

async function removeOutside({ id, networkNamespace, socket }: Bundle): Promise<void> {
  if (networkNamespace !== undefined && existsSync(networkNamespace)) {
    await run('umount', ['-l', networkNamespace])
    rmSync(networkNamespace, { force: true })
  }
  if (socket?.startsWith(`${shimSockets}/`) === true) rmSync(socket, { force: true })
  rmSync(join(runcStates, id), { recursive: true, force: true })
  const kept = existsSync(cniResults) ? readdirSync(cniResults) : []
  for (const name of kept) if (name.includes(id)) rmSync(join(cniResults, name), { force: true })
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
