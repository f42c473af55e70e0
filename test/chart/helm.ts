// Renders the chart with a real helm, without a cluster. Must not read the user's helm configuration or kubeconfig.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { root } from '../generate.ts'
import { ensureHelm, type Major } from '../tools/helm/build.ts'

export interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  // biome-ignore lint/suspicious/noExplicitAny: of any kind
  readonly spec: any
  readonly rules?: readonly Rule[]
  readonly roleRef?: { readonly kind: string; readonly name: string }
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace?: string }[]
  readonly automountServiceAccountToken?: boolean
}

export interface Release {
  readonly name?: string
  readonly namespace?: string
  readonly kubeVersion?: string
  /** beyond what helm takes for granted */
  readonly apiVersions?: readonly string[]
  readonly chart?: string
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export const chart = `${root}charts/taskbound`
export const stampApi = 'admissionregistration.k8s.io/v1/MutatingAdmissionPolicy'
/** The kinds of the Prometheus operator. */
export const monitoringApis: readonly string[] = ['ServiceMonitor', 'PodMonitor', 'PrometheusRule'].map(
  (kind) => `monitoring.coreos.com/v1/${kind}`,
)

/** Time that building helm may take, the first time on a machine. */
export const buildTimeout = 900_000

export interface Helm {
  run(args: readonly string[], stdin?: string): Ran
  /** The objects of a release; an error of helm throws. */
  render(values?: object, release?: Release): readonly Manifest[]
  /** What helm says about values that it must refuse. */
  refusal(values: object, release?: Release): string
}

export async function createHelm(major: Major = 4): Promise<Helm> {
  const helm = await ensureHelm(major, process.env)
  const home = `${root}.cache/helm`
  const env = {
    PATH: process.env['PATH'],
    HELM_CACHE_HOME: home,
    HELM_CONFIG_HOME: home,
    HELM_DATA_HOME: home,
    KUBECONFIG: join(home, 'none'),
    HOME: home,
  }

  function run(args: readonly string[], stdin = ''): Ran {
    const { status, stdout, stderr, error } = spawnSync(helm, args, { input: stdin, encoding: 'utf8', env, maxBuffer: 64 << 20 })
    if (error !== undefined) throw error
    return { code: status ?? -1, stdout, stderr }
  }

  function template(values: object, release: Release): Ran {
    const { name = 'taskbound', namespace = 'taskbound-system', kubeVersion = '1.36.3', apiVersions = [] } = release
    const apis = apiVersions.flatMap((api) => ['--api-versions', api])
    const args = [name, release.chart ?? chart, '--namespace', namespace, '--kube-version', kubeVersion, ...apis, '--values', '-']
    return run(['template', ...args], JSON.stringify(values))
  }

  return {
    run,
    render(values = {}, release = {}) {
      const { code, stdout, stderr } = template(values, release)
      if (code !== 0) throw new Error(stderr)
      return parseAllDocuments(stdout).flatMap((document) => {
        if (document.errors.length > 0) throw document.errors[0]
        return (document.toJS() as Manifest | null) ?? []
      })
    },
    refusal(values, release = {}) {
      const { code, stdout, stderr } = template(values, release)
      if (code === 0) throw new Error(`helm took it:\n${stdout.slice(0, 2000)}`)
      return stderr
    },
  }
}

/** The one object of a kind, and of a name if there are several. */
export function only(objects: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = objects.filter((object) => object.kind === kind && (name === undefined || object.metadata.name === name))
  const [first] = found
  if (first === undefined || found.length > 1)
    throw new Error(`${found.length} objects of kind ${kind}${name === undefined ? '' : ` called ${name}`}`)
  return first
}
