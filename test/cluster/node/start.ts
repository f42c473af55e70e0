// Starts a real Kubernetes of one node: our control plane, a scheduler, containerd, a kubelet, a kube-proxy and a DNS. Root only, one for a
// machine. It ends with the process that started it, except for containers, which the next start ends if this one could not.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureCoreDns } from '../../tools/coredns/build.ts'
import { ensureNodeBinaries } from '../build.ts'
import { readTestEnvironment } from '../environment.ts'
import { type Cluster, freePort, startCluster, untilUp, writeKubeconfig } from '../start.ts'
import { startSupervisor } from '../supervise.ts'
import { cleanNode, forwardPackets, traces } from './clean.ts'
import {
  apiServerFlags,
  cniConfiguration,
  containerdConfiguration,
  dnsConfiguration,
  kubeletArgs,
  kubeletConfiguration,
  nodeCertificates,
  nodeName,
  pauseImage,
  proxyArgs,
  schedulerArgs,
} from './configuration.ts'
import { containersFolder, ctr, loadImage } from './containers.ts'
import { makeBridge, must, nodeAddress, nodeFolder, requireHost } from './host.ts'
import { makePause } from './images.ts'
import { holdMachine } from './machine.ts'

export interface Node {
  readonly cluster: Cluster
  /** Ends everything; an error says what is left. */
  stop(): Promise<void>
}

export async function startNode(): Promise<Node> {
  requireHost()
  const control = join(nodeFolder, 'control')
  const folder = containersFolder
  const free = await holdMachine([control, folder])
  const environment = readTestEnvironment(process.env)
  const [binaries, coreDns] = [await ensureNodeBinaries(environment), await ensureCoreDns(process.env)]
  await cleanNode()
  const before = traces()
  mkdirSync(join(folder, 'cni'), { recursive: true, mode: 0o755 })
  const supervisor = await startSupervisor(folder, true)
  let cluster: Cluster | undefined
  const stop = async () => {
    // the kubelet first, which would start again what ends
    await supervisor.stop()
    await cluster?.stop()
    await cleanNode()
  }
  try {
    await makeBridge()
    forwardPackets()
    const certs = join(control, 'certs')
    const up = await startCluster({
      dir: control,
      keep: true,
      address: nodeAddress,
      certificates: nodeCertificates,
      apiServerFlags: apiServerFlags(certs),
    })
    cluster = up
    const pem = (name: string) => readFileSync(join(certs, name), 'utf8')
    const identity = (name: string) =>
      writeKubeconfig(join(folder, `${name}.kubeconfig`), up.server, pem('ca.crt'), {
        certificate: pem(`${name}.crt`),
        key: pem(`${name}.key`),
      })
    const [scheduler, kubelet, proxy] = await Promise.all([identity('scheduler'), identity('kubelet'), identity('proxy')])

    writeFileSync(join(folder, 'cni/10.conflist'), cniConfiguration(folder))
    writeFileSync(join(folder, 'containerd.toml'), containerdConfiguration(folder, await snapshotterFor(folder)))
    await supervisor.start('containerd', 'containerd', ['--config', join(folder, 'containerd.toml')])
    await untilUp(folder, supervisor, 'containerd', async () => (await ctr('version')) !== '')
    await loadImage(await makePause(folder, pauseImage))

    writeFileSync(join(folder, 'kubelet.json'), kubeletConfiguration(folder, certs, await freePort()))
    await supervisor.start('kubelet', binaries.kubelet, kubeletArgs(folder, kubelet))
    await supervisor.start('kube-scheduler', binaries.scheduler, schedulerArgs(scheduler, await freePort()))
    await supervisor.start('kube-proxy', binaries.kubeProxy, proxyArgs(proxy, await freePort(), await freePort()))
    writeFileSync(join(folder, 'Corefile'), dnsConfiguration(up.kubeconfig))
    await supervisor.start('coredns', coreDns, ['-conf', join(folder, 'Corefile')])
    await untilUp(folder, supervisor, 'kubelet', async () => {
      const { body } = await up.admin.request('GET', `/api/v1/nodes/${nodeName}`)
      return body.status.conditions.some((one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True')
    })
    return {
      cluster: up,
      stop: async () => {
        await stop()
        free()
        const left = [...traces()].filter((one) => !before.has(one))
        if (left.length > 0) throw new Error(`the node left:\n${left.join('\n')}`)
      },
    }
  } catch (error) {
    await stop()
    free()
    throw error
  }
}

/** `native` copies each image for each container; it is for machines whose file system cannot be laid over. */
async function snapshotterFor(folder: string): Promise<string> {
  const at = (name: string) => join(folder, 'overlay', name)
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(at(name), { recursive: true })
  try {
    await must('mount', [
      '-t',
      'overlay',
      'overlay',
      '-o',
      `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`,
      at('merged'),
    ])
    await must('umount', [at('merged')])
    return 'overlayfs'
  } catch {
    return 'native'
  } finally {
    if (existsSync(at(''))) rmSync(at(''), { recursive: true })
  }
}
