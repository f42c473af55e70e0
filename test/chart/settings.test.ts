// What a pod of the release is told is what the operator's own parser reads, setting by setting.

import { readFileSync } from 'node:fs'
import { beforeAll, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { type OptionKey, option, optionKeys } from '../../src/config/options.ts'
import { parseSettings, type Settings } from '../../src/config/settings.ts'
import { root } from '../generate.ts'
import { buildTimeout, createHelm, type Helm, only, type Release } from './helm.ts'
import { everything } from './matrix.ts'

let helm: Helm
beforeAll(async () => {
  helm = await createHelm()
}, buildTimeout)

/** Set by the template, from what the release or the pod is. */
const byTemplate: readonly OptionKey[] = [
  'namespace',
  'serviceAccount',
  'replica',
  'issuerListen',
  'advertiseAddress',
  'healthListen',
  'metricsListen',
  'watchNamespaces',
  'drainTimeout',
]
/** Of no use in a pod. */
const never: readonly OptionKey[] = ['kubeconfig', 'impersonate']
const settings = (parse(readFileSync(`${root}charts/taskbound/values.yaml`, 'utf8')) as { readonly settings: object }).settings

function told(values: object, release: Release = {}): Settings {
  const { containers } = only(helm.render(values, release), 'Deployment').spec.template.spec
  const pod: Readonly<Record<string, string>> = {
    'metadata.name': 'taskbound-1',
    'metadata.namespace': release.namespace ?? 'taskbound-system',
    'status.podIP': '10.0.0.7',
  }
  const entries = containers[0].env.map((entry: { name: string; value?: string; valueFrom?: { fieldRef: { fieldPath: string } } }) => [
    entry.name,
    entry.value ?? pod[entry.valueFrom?.fieldRef.fieldPath ?? ''],
  ])
  const env = { ...Object.fromEntries(entries), KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }
  const flags = (containers[0].args ?? ['/app/taskbound.mjs']).slice(1)
  const parsed = parseSettings(flags, env, { name: 'host', pid: 1, home: '/' })
  if (!parsed.ok) throw new Error(parsed.failure.join('\n'))
  return parsed.value
}

test('every setting is a value with the same default, or is set by the template', () => {
  const camel = (flag: string): string => flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
  const wanted = optionKeys.filter((key) => !byTemplate.includes(key) && !never.includes(key))
  expect(Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]))).toEqual(
    Object.fromEntries(wanted.map((key) => [camel(option(key).flag), option(key).fallback ?? ''])),
  )
})

test('by default the operator is told its defaults', () => {
  const bare = parseSettings([], { KUBERNETES_SERVICE_HOST: '10.0.0.1', POD_NAME: 'taskbound-1', POD_IP: '10.0.0.7' })
  if (!bare.ok) throw new Error(bare.failure.join('\n'))
  const open = (port: number) => ({ host: undefined, port })
  expect(told({})).toEqual({
    ...bare.value,
    issuer: { ...bare.value.issuer, listen: open(8443) },
    healthListen: open(8081),
    metricsListen: open(9090),
  })
})

test('what is set arrives, large numbers and namespaces included', () => {
  const found = told(everything.values, everything.release)
  expect(found).toMatchObject({
    serviceAccount: 'operator',
    operatorUser: 'system:serviceaccount:taskbound-system:operator',
    impersonate: false,
    replica: 'taskbound-1',
    issuer: { url: 'https://issuer.example.com/tb', trustDomain: 'issuer.example.com', advertiseAddress: '10.0.0.7' },
    maxActiveDeadline: 31_536_000_000,
    ledgerLimit: 100_000,
    namespaceProviders: { most: 20, addresses: ['10.20.0.0/16'] },
    auditFile: '/audit/audit.log',
    sealKeyFile: '/keys/seal',
    logLevel: 'debug',
  })
  expect(told({ watchNamespaces: ['payroll', 'research'] }).watchNamespaces).toEqual(['payroll', 'research'])
  expect(told({ ports: { issuer: 9443, health: 9081, metrics: 9190 } })).toMatchObject({
    issuer: { listen: { port: 9443 } },
    healthListen: { port: 9081 },
    metricsListen: { port: 9190 },
  })
  for (const metricsPerCredential of ['off', false]) expect(told({ settings: { metricsPerCredential } }).metricsPerCredential).toBe('off')
  expect(told({}, { name: 'prod', namespace: 'security' })).toMatchObject({
    namespace: 'security',
    serviceAccount: 'prod-taskbound',
    issuer: { url: 'https://taskbound-issuer.security.svc' },
  })
})

test('the bounds that the schema checks are those of the parser', () => {
  const schema = JSON.parse(readFileSync(`${root}charts/taskbound/values.schema.json`, 'utf8'))
  const bounds: Readonly<Record<string, { readonly minimum?: number; readonly maximum?: number; readonly enum?: readonly string[] }>> =
    schema.properties.settings.properties
  for (const key of optionKeys) {
    const { flag, parse: read, fallback } = option(key)
    const bound = bounds[flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())]
    if (bound === undefined) continue
    const takes = (value: string | number): boolean => read(String(value)).ok
    if (fallback !== undefined && bound.enum === undefined)
      expect([flag, typeof bound.minimum, typeof bound.maximum]).toEqual([flag, 'number', 'number'])
    for (const value of bound.enum?.filter((one) => typeof one === 'string') ?? [])
      expect([flag, value, takes(value)]).toEqual([flag, value, true])
    if (bound.minimum !== undefined) expect([flag, takes(bound.minimum), takes(bound.minimum - 1)]).toEqual([flag, true, false])
    if (bound.maximum !== undefined) expect([flag, takes(bound.maximum), takes(bound.maximum + 1)]).toEqual([flag, true, false])
  }
})

test('the drain is told where the operator is, which namespaces it serves, and how long to wait', () => {
  const values = { watchNamespaces: ['a', 'b'], drain: { timeoutSeconds: 77 } }
  const { containers, serviceAccountName } = only(helm.render(values, { namespace: 'ns' }), 'Job', 'taskbound-drain').spec.template.spec
  const [{ args, env }] = containers as readonly [
    { args: readonly string[]; env: readonly { name: string; value?: string; valueFrom?: unknown }[] },
  ]
  const given = Object.fromEntries(env.map(({ name, value }) => [name, value ?? 'ns']))
  const parsed = parseSettings(args.slice(1), { ...given, KUBERNETES_SERVICE_HOST: '10.0.0.1' }, { name: 'host', pid: 1, home: '/' })
  if (!parsed.ok) throw new Error(parsed.failure.join('\n'))
  expect(parsed.value).toMatchObject({
    command: 'drain',
    namespace: 'ns',
    operatorUser: `system:serviceaccount:ns:${serviceAccountName}`,
    watchNamespaces: ['a', 'b'],
    drainTimeout: 77_000,
    impersonate: false,
  })
})
