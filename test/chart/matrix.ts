// The ways in which the chart is rendered by tests: values, and what the cluster has.

import { monitoringApis, type Release, stampApi } from './helm.ts'

export interface Case {
  readonly name: string
  readonly values: object
  readonly release: Release
}

export const everything: Case = {
  name: 'everything on',
  values: {
    global: { imageRegistry: 'registry.example.com', imagePullSecrets: ['shared'], commonLabels: { tier: 'security' } },
    commonLabels: { team: 'platform' },
    image: { repository: 'platform/taskbound', digest: `sha256:${'0'.repeat(64)}` },
    imagePullSecrets: [{ name: 'own' }],
    settings: {
      issuerUrl: 'https://issuer.example.com/tb',
      maxActiveDeadlineSeconds: 31_536_000,
      ledgerLimit: 100_000,
      namespaceProviderAddresses: '10.20.0.0/16',
      auditFile: '/audit/audit.log',
      sealKeyFile: '/keys/seal',
      otlpEndpoint: 'http://collector.monitoring:4318',
      metricsPerCredential: 'all',
    },
    replicaCount: 3,
    strategy: { rollingUpdate: { maxUnavailable: 1 } },
    extraEnv: [{ name: 'TZ', value: 'UTC' }],
    extraArgs: ['--log-level=debug'],
    extraVolumes: [{ name: 'audit', emptyDir: {} }],
    extraVolumeMounts: [{ name: 'audit', mountPath: '/audit' }],
    podLabels: { a: 'b' },
    podAnnotations: { c: 'd' },
    deploymentAnnotations: { e: 'f' },
    priorityClassName: 'system-cluster-critical',
    tolerations: [{ operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    serviceAccount: { name: 'operator', annotations: { g: 'h' }, labels: { i: 'j' } },
    rbac: { workloads: [{ apiGroup: 'argoproj.io', resources: ['workflows'] }] },
    issuerService: { type: 'LoadBalancer', annotations: { k: 'l' }, labels: { m: 'n' } },
    metrics: {
      service: { annotations: { o: 'p' }, labels: { q: 'r' } },
      serviceMonitor: {
        enabled: true,
        interval: '30s',
        scrapeTimeout: '10s',
        labels: { release: 'prometheus' },
        annotations: { s: 't' },
        relabelings: [{ action: 'labeldrop', regex: 'pod' }],
        metricRelabelings: [{ action: 'labeldrop', regex: 'x' }],
      },
      credentials: { scrape: true, interval: '2m' },
      dashboards: { enabled: true, labels: { dashboards: 'yes' }, annotations: { grafana_folder: 'Taskbound' } },
      rules: {
        enabled: true,
        labels: { release: 'prometheus' },
        annotations: { u: 'v' },
        runbookUrl: 'https://runbooks.example.com/taskbound',
        extraLabels: { team: 'platform' },
        disabled: ['TaskboundDenyRateHigh'],
        overrides: { TaskboundWorkqueueBacklog: { for: '30m', labels: { severity: 'critical' } } },
      },
    },
    networkPolicy: {
      enabled: true,
      issuerFrom: [{ namespaceSelector: {} }],
      metricsFrom: [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }],
      apiServerTo: [{ ipBlock: { cidr: '10.0.0.1/32' } }],
      extraEgress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }], ports: [{ port: 5432 }] }],
      extraIngress: [{ ports: [{ port: 'issuer' }] }],
    },
    extraObjects: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '{{ .Release.Name }}-extra' } }],
  },
  release: { apiVersions: [stampApi, ...monitoringApis] },
}

export const cases: readonly Case[] = [
  { name: 'defaults', values: {}, release: { apiVersions: [stampApi] } },
  everything,
  { name: 'watched namespaces', values: { watchNamespaces: ['payroll', 'research'] }, release: { apiVersions: [stampApi] } },
  { name: 'no kinds', values: { crds: { enabled: false } }, release: { apiVersions: [stampApi] } },
  {
    name: 'another name, the oldest Kubernetes',
    values: {},
    release: { name: 'prod', namespace: 'security', kubeVersion: 'v1.30.1-eks-1' },
  },
  {
    name: 'as little as possible',
    values: {
      starter: { enabled: false },
      replicaCount: 1,
      rbac: { create: false, aggregateToView: false, aggregateToEdit: false, aggregateToAdmin: false },
      serviceAccount: { create: false, name: 'given' },
      metrics: { service: { enabled: false }, podMonitor: { enabled: true, renderMode: 'alwaysRender' } },
      settings: { issuerTls: 'Plain', issuerUrl: null, trustDomain: null, auditFile: null },
      nodeOptions: null,
      podSecurityContext: null,
      securityContext: null,
      resources: null,
      nodeSelector: null,
      topologySpreadConstraints: [],
    },
    release: {},
  },
]
