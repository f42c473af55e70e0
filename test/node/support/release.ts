// The release on the node: installed by a real helm as the docs say, looked at from outside. Must not help the operator in any way.

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { firstProcess } from '../../cluster/node/containers.ts'
import { untilStamping } from '../../cluster/shared.ts'
import { connect, eventually, type KubeTestClient, type Ran, run } from '../../support/cluster.ts'
import { ensureHelm } from '../../tools/helm/build.ts'
import { operatorImage } from './images.ts'

const root = join(import.meta.dirname, '../../..')
export const namespace = 'taskbound-system'
export const issuer = `https://taskbound-issuer.${namespace}.svc`
const { registry, repository } = operatorImage
export const imageValues: readonly string[] = ['--set', `image.registry=${registry}`, '--set', `image.repository=${repository}`]

export interface OperatorPod {
  readonly name: string
  readonly ready: boolean
  readonly ip: string
  /** process id on this machine */
  pid(): Promise<number>
}

export interface Release {
  readonly kube: KubeTestClient
  /** Runs a shell script in the checkout with kubectl and helm on its path, as a person would. */
  shell(script: string): Promise<Ran>
  /** Any exit code but 0 is an error. Answers the output. */
  helm(...args: readonly string[]): Promise<string>
  /** Installs or upgrades with these values besides the image, and waits until both replicas are ready. */
  install(...values: readonly string[]): Promise<void>
  /** As if nothing had ever been installed: release, kinds, guards and namespace are gone. */
  remove(): Promise<void>
  pods(): Promise<readonly OperatorPod[]>
  leader(): Promise<OperatorPod>
  /** URL at which this machine reaches the issuer. */
  issuerAddress(): Promise<string>
  close(): Promise<void>
}

export async function createRelease(): Promise<Release> {
  const kube = connect()
  const helmPath = await ensureHelm(4, process.env)
  const kubectl = process.env['TASKBOUND_TEST_KUBECTL'] ?? 'kubectl'
  const home = join(root, '.cache/helm')
  const env = [
    `PATH=${dirname(kubectl)}:${dirname(helmPath)}:${process.env['PATH']}`,
    `KUBECONFIG=${kube.kubeconfig}`,
    ...['CACHE', 'CONFIG', 'DATA'].map((kind) => `HELM_${kind}_HOME=${home}`),
  ]
  const shell = (script: string) => run('env', ['-C', root, ...env, 'bash', '-euo', 'pipefail', '-c', script])
  const must = async (script: string) => {
    const { code, stdout, stderr } = await shell(script)
    if (code !== 0) throw new Error(`${script}\n${stdout}${stderr}`)
    return stdout
  }

  const release: Release = {
    kube,
    shell,
    helm: (...args) => must(['helm', ...args].map((arg) => `'${arg}'`).join(' ')),
    async install(...values) {
      const where = ['--namespace', namespace, '--create-namespace']
      await release.helm('upgrade', '--install', 'taskbound', 'charts/taskbound', ...where, ...imageValues, ...values)
      await must(`kubectl -n ${namespace} rollout status deployment/taskbound --timeout=120s`)
      await untilStamping({ kubectl, kubeconfig: kube.kubeconfig }, join(root, 'crds'))
    },
    async remove() {
      if ((await kube.request('GET', `/api/v1/namespaces/${namespace}`)).status === 404) return
      await shell(`helm uninstall taskbound --namespace ${namespace} --wait`)
      for (const command of commandsOf('docs/operations/uninstall.md', '## Remove everything')) await must(command)
    },
    async pods() {
      const { items } = await kube.must('GET', `/api/v1/namespaces/${namespace}/pods?labelSelector=app.kubernetes.io/name%3Dtaskbound`)
      return items
        .filter(({ metadata }: { metadata: { deletionTimestamp?: string } }) => metadata.deletionTimestamp === undefined)
        .map(({ metadata, status }: PodObject): OperatorPod => {
          const container = status.containerStatuses?.[0]
          return {
            name: metadata.name,
            ready: container?.ready ?? false,
            ip: status.podIP ?? '',
            pid: () => firstProcess(container?.containerID ?? ''),
          }
        })
    },
    async leader() {
      return eventually(
        async () => {
          const { items } = await kube.must('GET', `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`)
          const holders: readonly string[] = items.map(({ spec }: { spec: { holderIdentity?: string } }) => spec.holderIdentity ?? '')
          const found = (await release.pods()).find(({ name, ready }) => ready && holders.some((holder) => holder.startsWith(name)))
          if (found === undefined) throw new Error(`no pod leads: ${holders.join(', ')}`)
          return found
        },
        { timeoutMs: 60_000, everyMs: 200 },
      )
    },
    async issuerAddress() {
      const { spec } = await kube.must('GET', `/api/v1/namespaces/${namespace}/services/taskbound-issuer`)
      return `https://${spec.clusterIP}`
    },
    close: () => kube.close(),
  }
  return release
}

interface PodObject {
  readonly metadata: { readonly name: string }
  readonly status: {
    readonly podIP?: string
    readonly containerStatuses?: readonly { readonly ready: boolean; readonly containerID?: string }[]
  }
}

/** The commands of the first `sh` block below a heading of a page, those of several lines as one. */
export function commandsOf(page: string, heading: string): readonly string[] {
  const text = `\n${readFileSync(join(root, page), 'utf8')}`
  const below = text.slice(text.indexOf(`\n${heading}\n`) + 1)
  const block = /^```sh\n([\s\S]*?)^```/m.exec(below)?.[1]
  if (!text.includes(`\n${heading}\n`) || block === undefined) throw new Error(`${page} has no commands below \`${heading}\``)
  return block
    .replaceAll(/ *\\\n */g, ' ')
    .trim()
    .split('\n')
}
