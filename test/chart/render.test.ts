// The chart is rendered by a real helm in all the ways that differ, and what comes out is what an installation may rest on.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { root } from '../generate.ts'
import { buildTimeout, chart, createHelm, type Helm, type Manifest, monitoringApis, only, stampApi } from './helm.ts'
import { cases, everything } from './matrix.ts'

let helm: Helm
let helm3: Helm
beforeAll(async () => {
  helm = await createHelm()
  helm3 = await createHelm(3)
}, buildTimeout)

const clusterScoped = /^(CustomResourceDefinition|ClusterRole|ClusterRoleBinding|(Validating|Mutating)AdmissionPolicy(Binding)?)$/
const names = (objects: readonly Manifest[], kind: RegExp): readonly string[] =>
  objects.filter((object) => kind.test(object.kind)).map((object) => object.metadata.name)

test.each(['helm', 'helm3'] as const)('%s lint has nothing to say but that there is no icon', (which) => {
  const linted = { helm, helm3 }[which].run(['lint', '--strict', '--namespace', 'taskbound-system', '--kube-version', '1.36.3', chart])
  expect(linted.stdout.match(/^\[(WARNING|ERROR)\].*$/gm) ?? []).toEqual([])
  expect(linted.code).toBe(0)
})

describe.each(cases)('$name', ({ values, release }) => {
  let objects: readonly Manifest[]
  beforeAll(() => {
    objects = helm.render(values, release)
  })

  test('helm 3 makes the same of it', () => {
    expect(helm3.render(values, release)).toEqual(objects)
  })

  test('a second render is the same to the letter', () => {
    expect(JSON.stringify(helm.render(values, release))).toBe(JSON.stringify(objects))
  })

  test('no object is there twice, and each has its namespace and the labels of the release', () => {
    const keys = objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`)
    expect(keys.filter((key, i) => keys.indexOf(key) !== i)).toEqual([])
    for (const { kind, metadata } of objects.filter((object) => !object.metadata.name.endsWith('-extra'))) {
      expect([kind, metadata.namespace === undefined]).toEqual([kind, clusterScoped.test(kind)])
      expect(metadata.labels).toMatchObject({ 'app.kubernetes.io/instance': release.name ?? 'taskbound' })
      expect(metadata.name.length).toBeLessThanOrEqual(63)
    }
  })

  test('nothing was left empty by a template', () => {
    const empty = (value: unknown, path: string): readonly string[] => {
      if (value === null || value === '<no value>') return [path]
      if (typeof value !== 'object') return []
      return Object.entries(value).flatMap(([key, member]) => empty(member, `${path}.${key}`))
    }
    expect(objects.flatMap((object) => empty(object, `${object.kind}/${object.metadata.name}`))).toEqual([])
  })

  test('selectors find the pods, and a Service names ports that are there', () => {
    const { template, selector } = only(objects, 'Deployment').spec
    expect(template.metadata.labels).toMatchObject(selector.matchLabels)
    const ports = template.spec.containers[0].ports.map((port: { name: string }) => port.name)
    const services = objects.filter((object) => object.kind === 'Service')
    expect(services.map((service) => service.metadata.name)).toContain('taskbound-issuer')
    for (const { spec } of services) {
      expect(spec.selector).toEqual(selector.matchLabels)
      for (const port of spec.ports) expect(ports).toContain(port.targetPort)
    }
    // neither Service, PodDisruptionBudget nor NetworkPolicy may take the pod of `helm test` for a replica
    const labels = only(objects, 'Pod').metadata.labels ?? {}
    expect(Object.entries<string>(selector.matchLabels).every(([key, value]) => labels[key] === value)).toBe(false)
  })
})

describe('by default', () => {
  let objects: readonly Manifest[]
  beforeAll(() => {
    objects = helm.render({}, { apiVersions: [stampApi] })
  })

  test('two replicas under a budget, spread over nodes', () => {
    const { spec } = only(objects, 'Deployment')
    expect(spec.replicas).toBe(2)
    expect(spec.template.spec.topologySpreadConstraints).toEqual([
      { maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway', labelSelector: spec.selector },
    ])
    expect(only(objects, 'PodDisruptionBudget').spec).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow' })
    expect(names(helm.render({ replicaCount: 1 }), /PodDisruptionBudget/)).toEqual([])
  })

  test('the pods satisfy the Pod Security Standard `restricted` and write nowhere', () => {
    for (const pod of [only(objects, 'Deployment').spec.template.spec, only(objects, 'Pod').spec]) {
      expect(pod.securityContext).toEqual({
        runAsNonRoot: true,
        runAsUser: 65532,
        runAsGroup: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      })
      expect(pod.containers).toHaveLength(1)
      const [container] = pod.containers
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: true,
      })
      expect(container.resources).toMatchObject({ requests: { memory: expect.any(String) }, limits: { memory: expect.any(String) } })
      expect(container.resources.limits.cpu).toBeUndefined()
      expect(pod.hostNetwork ?? pod.hostPID ?? pod.hostIPC).toBeUndefined()
      expect(pod.enableServiceLinks).toBe(false)
    }
  })

  test('probes ask the port that says how it is', () => {
    const [container] = only(objects, 'Deployment').spec.template.spec.containers
    const asked = ['startupProbe', 'livenessProbe', 'readinessProbe'].map((probe) => container[probe].httpGet)
    expect(asked).toEqual([
      { path: '/healthz', port: 'health' },
      { path: '/healthz', port: 'health' },
      { path: '/readyz', port: 'health' },
    ])
  })

  test('nothing of the Prometheus operator, and no NetworkPolicy', () => {
    expect(names(objects, /Monitor|PrometheusRule|NetworkPolicy/)).toEqual([])
  })

  test('only the operator has a token: neither its ServiceAccount by default nor the pod of `helm test`', () => {
    expect(only(objects, 'ServiceAccount', 'taskbound').automountServiceAccountToken).toBe(false)
    expect(only(objects, 'Deployment').spec.template.spec.automountServiceAccountToken).toBe(true)
    expect(only(objects, 'Pod').spec.automountServiceAccountToken).toBe(false)
  })

  test('the image is that of the version', () => {
    const [container] = only(objects, 'Deployment').spec.template.spec.containers
    expect(container.image).toBe('taskbound:0.1.0')
    const [other] = only(helm.render(everything.values, everything.release), 'Deployment').spec.template.spec.containers
    expect(other.image).toBe(`registry.example.com/platform/taskbound@sha256:${'0'.repeat(64)}`)
  })
})

test('monitors are left out, refused or made where the cluster has no such kind, as is asked', () => {
  const asking = (renderMode: string) => ({
    metrics: { serviceMonitor: { enabled: true, renderMode }, rules: { enabled: true, renderMode } },
  })
  const kinds = /ServiceMonitor|PrometheusRule/
  expect(names(helm.render(asking('skipIfMissing')), kinds)).toEqual([])
  expect(names(helm.render(asking('alwaysRender')), kinds)).toEqual(['taskbound', 'taskbound'])
  expect(names(helm.render(asking('failIfMissing'), { apiVersions: monitoringApis }), kinds)).toEqual(['taskbound', 'taskbound'])
  expect(helm.refusal(asking('failIfMissing'))).toContain('install its CRD first')
})

test('monitors keep the label `namespace` of series, and give the job the name that alerts select', () => {
  for (const [kind, key, list] of [
    ['ServiceMonitor', 'serviceMonitor', 'endpoints'],
    ['PodMonitor', 'podMonitor', 'podMetricsEndpoints'],
  ] as const) {
    const objects = helm.render({ metrics: { [key]: { enabled: true } } }, { apiVersions: monitoringApis })
    const { spec } = only(objects, kind)
    const job = { targetLabel: 'job', replacement: 'taskbound', action: 'replace' }
    const path = { sourceLabels: ['__metrics_path__'], targetLabel: 'metrics_path', action: 'replace' }
    expect(spec[list]).toEqual([
      { port: 'metrics', path: '/metrics', honorLabels: true, relabelings: [job] },
      { port: 'metrics', path: '/metrics/credentials', honorLabels: true, relabelings: [job, path] },
    ])
    const found = kind === 'ServiceMonitor' ? only(objects, 'Service', 'taskbound-metrics') : only(objects, 'Deployment').spec.template
    expect(found.metadata.labels).toMatchObject(spec.selector.matchLabels)
  }
})

test('single credentials are scraped as often as is asked, and not where there are none or nobody wants them', () => {
  const scrapes = (metrics: object, settings: object = {}) => {
    const objects = helm.render(
      { metrics: { serviceMonitor: { enabled: true, interval: '30s' }, ...metrics }, settings },
      { apiVersions: monitoringApis },
    )
    return (only(objects, 'ServiceMonitor').spec.endpoints as { path: string; interval: string }[]).map(({ path, interval }) => [
      path,
      interval,
    ])
  }
  expect(scrapes({})).toEqual([
    ['/metrics', '30s'],
    ['/metrics/credentials', '30s'],
  ])
  expect(scrapes({ credentials: { interval: '2m' } })[1]).toEqual(['/metrics/credentials', '2m'])
  expect(scrapes({ credentials: { scrape: false } })).toHaveLength(1)
  for (const metricsPerCredential of ['off', false]) expect(scrapes({}, { metricsPerCredential })).toHaveLength(1)
})

test('the NetworkPolicy lets replicas reach each other also where the issuer is closed to others', () => {
  const { spec } = only(helm.render(everything.values, everything.release), 'NetworkPolicy')
  const own = { podSelector: spec.podSelector }
  expect(spec.ingress[0]).toEqual({ ports: [{ port: 'issuer' }], from: [own, { namespaceSelector: {} }] })
  expect(spec.egress).toContainEqual({ ports: [{ port: 8443, protocol: 'TCP' }], to: [own] })
  expect(spec.policyTypes).toEqual(['Ingress', 'Egress'])
})

test.each([
  ['an unknown value', { replicas: 3 }, {}, 'replicas'],
  ['an unknown value further down', { settings: { issuerURL: 'https://x' } }, {}, 'issuerURL'],
  ['an issuer without https', { settings: { issuerUrl: 'http://issuer.example.com' } }, {}, 'issuerUrl'],
  ['a list that verifiers may keep for too long', { settings: { statusListTtlSeconds: 3600 } }, {}, 'statusListTtlSeconds'],
  ['a right on every kind of a group', { rbac: { workloads: [{ apiGroup: 'batch', resources: ['*'] }] } }, {}, 'workloads'],
  ['the namespace `default`', {}, { namespace: 'default' }, 'install into a namespace of its own'],
  ['tasks in its own namespace', { watchNamespaces: ['taskbound-system'] }, {}, "the operator's own namespace"],
  ['a ServiceAccount that nobody names', { serviceAccount: { create: false } }, {}, 'serviceAccount.name'],
  ['two monitors', { metrics: { serviceMonitor: { enabled: true }, podMonitor: { enabled: true } } }, {}, 'not both'],
  ['a monitor without its Service', { metrics: { service: { enabled: false }, serviceMonitor: { enabled: true } } }, {}, 'metrics.service'],
  ['a Kubernetes that is too old', {}, { kubeVersion: '1.29.9' }, '1.30'],
] as const)('%s is refused', (_, values, release, sentence) => {
  expect(helm.refusal(values, release)).toContain(sentence)
  expect(helm3.refusal(values, release)).toContain(sentence)
})

test('as a sub-chart it takes `enabled` and `global`, and what else is in `global` does not matter', () => {
  const parent = mkdtempSync(join(tmpdir(), 'taskbound-parent-'))
  mkdirSync(join(parent, 'charts'))
  cpSync(chart, join(parent, 'charts/taskbound'), { recursive: true })
  const dependency = { name: 'taskbound', version: '0.1.0', condition: 'taskbound.enabled' }
  writeFileSync(
    join(parent, 'Chart.yaml'),
    JSON.stringify({ apiVersion: 'v2', name: 'parent', version: '1.0.0', dependencies: [dependency] }),
  )
  const values = (enabled: boolean) => ({
    global: { imageRegistry: 'registry.example.com', commonLabels: { team: 'platform' }, storageClass: 'fast' },
    taskbound: { enabled, replicaCount: 3 },
  })
  const release = { chart: parent, name: 'all', apiVersions: [stampApi] }
  expect(helm.render(values(false), release)).toEqual([])
  const deployment = only(helm.render(values(true), release), 'Deployment')
  expect(deployment.metadata).toMatchObject({ name: 'all-taskbound', labels: { team: 'platform' } })
  expect(deployment.spec.replicas).toBe(3)
  expect(deployment.spec.template.spec.containers[0].image).toBe('registry.example.com/taskbound:0.1.0')
  rmSync(parent, { recursive: true })
})

test('chart, package and operator have one version', () => {
  const text = (path: string): string => readFileSync(`${root}${path}`, 'utf8')
  const { version } = JSON.parse(text('package.json')) as { readonly version: string }
  expect(text('charts/taskbound/Chart.yaml')).toContain(`\nversion: ${version}\nappVersion: ${version}\n`)
  expect(text('src/compose/basics.ts')).toContain(`const version = '${version}'`)
})
