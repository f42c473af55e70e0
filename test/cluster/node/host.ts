// What a node needs of the machine it runs on: root, Debian's packages, a bridge. Must not change anything that is not named `taskbound`.
import { existsSync } from 'node:fs'
import { run } from '../../support/cluster.ts'

/** The node's folder, one for a machine: the bridge and its addresses are. */
export const nodeFolder = '/tmp/taskbound-node'
export const bridge = 'taskbound0'
export const subnet = '10.88.0.0/24'
/** Of the bridge, so of the node, its API server and its DNS. */
export const nodeAddress = '10.88.0.1'

/** Program by the Debian package that has it: what `make packages` installs. */
const needed: Readonly<Record<string, string>> = {
  '/usr/bin/containerd': 'containerd',
  '/usr/sbin/runc': 'runc',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  '/usr/sbin/nft': 'nftables',
  '/usr/sbin/iptables': 'iptables',
  '/usr/bin/buildah': 'buildah',
  '/bin/busybox': 'busybox-static',
  '/usr/sbin/ip': 'iproute2',
}

/** Throws where no node can run, and says what is missing. */
export function requireHost(): void {
  if (process.platform !== 'linux') throw new Error('a node needs Linux: this level of the tests cannot run here')
  if (process.getuid?.() !== 0) throw new Error('a node needs root: run `make test-node` as root')
  const missing = Object.entries(needed).flatMap(([path, name]) => (existsSync(path) ? [] : [name]))
  if (missing.length > 0) throw new Error(`a node needs ${missing.join(', ')} of Debian: run \`make packages\``)
}

/** Runs a program to its end; any exit code but 0 is an error that shows what it wrote. Answers its output. */
export async function must(file: string, args: readonly string[], stdin?: string): Promise<string> {
  const { code, stdout, stderr } = await run(file, args, stdin)
  if (code !== 0) throw new Error(`${file} ${args.join(' ')}: exit code ${code}\n${stderr.slice(-4000)}`)
  return stdout
}

export async function makeBridge(): Promise<void> {
  await must('ip', ['link', 'add', bridge, 'type', 'bridge'])
  await must('ip', ['addr', 'add', `${nodeAddress}/24`, 'dev', bridge])
  await must('ip', ['link', 'set', bridge, 'up'])
}
