// The settings of one process: parsed once from flags and environment, checked against each other, frozen.
// Only src/config reads flags and environment; every refusal says which one and what to write instead.

import { isIP } from 'node:net'
import { homedir, hostname } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Duration } from '../lib/instant.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { LogLevel } from '../telemetry/log.ts'
import { environmentName, type OptionKey, type OptionValue, option, optionKeys, type options } from './options.ts'
import { type ListenAddress, trustDomain } from './parsers.ts'
import { collect, type Environment } from './sources.ts'

export interface Settings {
  /** what the process is to do: be the operator, or have the running one take everything back */
  readonly command: 'run' | 'drain'
  /** which API server: the pod's own, or what kubeconfig files say (merged in this order) */
  readonly cluster:
    | { readonly kind: 'InCluster'; readonly server: string }
    | { readonly kind: 'Kubeconfig'; readonly paths: readonly string[] }
  readonly namespace: string
  readonly serviceAccount: string
  /** user name of the operator's ServiceAccount */
  readonly operatorUser: string
  /** whether to act as that user */
  readonly impersonate: boolean
  readonly replica: string
  readonly issuer: {
    readonly url: string
    readonly trustDomain: string
    readonly listen: ListenAddress
    readonly tls: 'Own' | 'Plain'
    /** IP address at which other replicas reach this one's issuer */
    readonly advertiseAddress: string
    readonly signingAlgorithm: 'ES256' | 'RS256'
    readonly statusListTtl: Duration
  }
  readonly healthListen: ListenAddress
  readonly metricsListen: ListenAddress
  readonly metricsPerCredential: 'top' | 'all' | 'off'
  readonly policySettle: Duration
  readonly maxActiveDeadline: Duration
  /** empty means all */
  readonly watchNamespaces: readonly string[]
  /** networks of the cluster, and its API server: no provider's source is looked for there unless it says so */
  readonly clusterNetworks: readonly string[]
  /** what those who may make a CredentialProvider in a namespace can use of the operator */
  readonly namespaceProviders: { readonly most: number; readonly addresses: readonly string[] }
  readonly election: { readonly leaseDuration: Duration; readonly renewDeadline: Duration; readonly retryPeriod: Duration }
  readonly concurrency: number
  /** the most open rows of one namespace at one provider */
  readonly ledgerLimit: number
  readonly inFlight: number
  /** keys for sealing; `undefined` for those of a Secret that the operator makes */
  readonly sealKeyFile: string | undefined
  /** how long the command `drain` waits */
  readonly drainTimeout: Duration
  /** where spans are posted; `undefined` for nowhere */
  readonly tracesUrl: string | undefined
  readonly logLevel: LogLevel
  /** `undefined` means standard output */
  readonly auditFile: string | undefined
}

/** What defaults are derived from beside flags and environment. */
export interface Host {
  readonly name: string
  readonly pid: number
  readonly home: string
}

const thisHost = (): Host => ({ name: hostname(), pid: process.pid, home: homedir() })

/** An option with a fallback has a value once nothing is wrong; any other may have none. */
type Values = {
  readonly [K in OptionKey]: (typeof options)[K] extends { fallback: string } ? OptionValue<K> : OptionValue<K> | undefined
}

interface Parsed {
  readonly values: Values
  /** the flag or variable to name in a message */
  from(key: OptionKey): string
}

function parseValues(argv: readonly string[], env: Environment): Result<Parsed, readonly string[]> {
  const { given, errors: unknown } = collect(argv, env)
  const errors = [...unknown]
  const values: Partial<Record<OptionKey, unknown>> = {}
  const from = (key: OptionKey): string => given.get(key)?.from ?? `--${option(key).flag}`
  for (const key of optionKeys) {
    const { parse, fallback } = option(key)
    const text = given.get(key)?.text ?? fallback
    if (text === undefined) continue
    const value = parse(text)
    if (value.ok) values[key] = value.value
    else errors.push(`\`${from(key)}\` ${value.failure}; it is \`${text}\``)
  }
  return errors.length > 0 ? fail(errors) : ok({ values: values as Values, from })
}

function clusterOf(values: Values, env: Environment, host: Host): Settings['cluster'] {
  if (values.kubeconfig !== undefined)
    return { kind: 'Kubeconfig', paths: values.kubeconfig.split(delimiter).filter((path) => path !== '') }
  const name = env.KUBERNETES_SERVICE_HOST
  if (name === undefined || name === '') return { kind: 'Kubeconfig', paths: [join(host.home, '.kube', 'config')] }
  const port = env.KUBERNETES_SERVICE_PORT || '443'
  return { kind: 'InCluster', server: `https://${name.includes(':') ? `[${name}]` : name}:${port}` }
}

/** Where pods reach the API server, if that is an address. */
function apiServer(env: Environment): readonly string[] {
  const name = env.KUBERNETES_SERVICE_HOST ?? ''
  return isIP(name) === 0 ? [] : [name]
}

/** Host names as pods and machines have them, made into what a lease holder and an event may be called. */
function replicaOf(host: Host): string {
  const name = host.name
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 60)
  return `${name || 'taskbound'}-${host.pid}`
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) freeze(member)
    Object.freeze(value)
  }
  return value
}

interface Listeners {
  readonly issuerListen: ListenAddress
  readonly healthListen: ListenAddress
  readonly metricsListen: ListenAddress
}

function listenersOf(values: Values, inCluster: boolean): Listeners {
  // a run from a checkout must not offer itself to the network
  const host = inCluster ? undefined : '127.0.0.1'
  return {
    issuerListen: values.issuerListen ?? { host, port: 8443 },
    healthListen: values.healthListen ?? { host, port: 8081 },
    metricsListen: values.metricsListen ?? { host, port: 9090 },
  }
}

/** As OpenTelemetry's specification of exporters derives it. */
function tracesUrlOf({ otlpEndpoint, otlpTracesEndpoint }: Values): string | undefined {
  if (otlpTracesEndpoint !== undefined || otlpEndpoint === undefined) return otlpTracesEndpoint
  return `${otlpEndpoint.replace(/\/+$/, '')}/v1/traces`
}

/** What is wrong between settings that are right by themselves. */
function contradictions({ values, from }: Parsed, listeners: Listeners): readonly string[] {
  const errors: string[] = []
  if (values.renewDeadline >= values.leaseDuration) {
    errors.push(`\`${from('renewDeadline')}\` must be less than \`${from('leaseDuration')}\`, or two replicas could lead at once`)
  }
  if (values.retryPeriod * 2 > values.renewDeadline) {
    errors.push(`\`${from('retryPeriod')}\` must be at most half of \`${from('renewDeadline')}\`, or one lost request loses the lead`)
  }
  const taken = new Map<number, OptionKey>()
  for (const key of ['issuerListen', 'healthListen', 'metricsListen'] as const) {
    const { port } = listeners[key]
    const first = port === 0 ? undefined : taken.get(port)
    if (first !== undefined) errors.push(`\`${from(key)}\` has the port of \`${from(first)}\`, ${port}; give each its own`)
    taken.set(port, key)
  }
  return errors
}

/** @returns the settings, or everything that is wrong with them, a sentence each */
export function parseSettings(
  argv: readonly string[] = process.argv.slice(2),
  env: Environment = process.env,
  host: Host = thisHost(),
): Result<Settings, readonly string[]> {
  const command = argv[0] === 'drain' ? 'drain' : 'run'
  const parsed = parseValues(command === 'run' ? argv : argv.slice(1), env)
  if (!parsed.ok) return parsed
  const { values, from } = parsed.value
  const cluster = clusterOf(values, env, host)
  const inCluster = cluster.kind === 'InCluster'
  const listeners = listenersOf(values, inCluster)
  const errors = [...contradictions(parsed.value, listeners)]
  const url = values.issuerUrl ?? `https://taskbound-issuer.${values.namespace}.svc`
  const domain = trustDomain(values.trustDomain ?? new URL(url).hostname)
  if (!domain.ok) {
    errors.push(`the host of \`${from('issuerUrl')}\` cannot be a SPIFFE trust domain; set \`--${option('trustDomain').flag}\``)
  }
  if (!domain.ok || errors.length > 0) return fail(errors)
  const { namespace, serviceAccount } = values
  return ok(
    freeze<Settings>({
      command,
      cluster,
      namespace,
      serviceAccount,
      operatorUser: `system:serviceaccount:${namespace}:${serviceAccount}`,
      impersonate: values.impersonate ?? !inCluster,
      replica: values.replica ?? replicaOf(host),
      issuer: {
        url,
        trustDomain: domain.value,
        listen: listeners.issuerListen,
        tls: values.issuerTls,
        advertiseAddress: values.advertiseAddress ?? '127.0.0.1',
        signingAlgorithm: values.signingAlgorithm,
        statusListTtl: values.statusListTtl,
      },
      healthListen: listeners.healthListen,
      metricsListen: listeners.metricsListen,
      metricsPerCredential: values.metricsPerCredential,
      policySettle: values.policySettle,
      maxActiveDeadline: values.maxActiveDeadline,
      watchNamespaces: values.watchNamespaces ?? [],
      clusterNetworks: [...(values.clusterNetworks ?? []), ...apiServer(env)],
      namespaceProviders: { most: values.namespaceProviders, addresses: values.namespaceProviderAddresses ?? [] },
      election: { leaseDuration: values.leaseDuration, renewDeadline: values.renewDeadline, retryPeriod: values.retryPeriod },
      concurrency: values.concurrency,
      ledgerLimit: values.ledgerLimit,
      inFlight: values.inFlight,
      sealKeyFile: values.sealKeyFile,
      drainTimeout: values.drainTimeout,
      tracesUrl: tracesUrlOf(values),
      logLevel: values.logLevel,
      auditFile: values.auditFile,
    }),
  )
}

/** Whether the command line asks for the help instead of a run. */
export function asksForHelp(argv: readonly string[] = process.argv.slice(2)): boolean {
  return argv.includes('--help') || argv.includes('-h')
}

/** All options with their variables and defaults, for a terminal. */
export function helpText(): string {
  const entries = optionKeys.map((key) => {
    const { flag, value, fallback, derived, help, also = [] } = option(key)
    const variables = [environmentName(key), ...also].join(', ')
    return `  --${flag} ${value}\n      ${help}\n      Variable: ${variables}. Default: ${fallback ?? derived}.\n`
  })
  return `The Taskbound operator.\n\nWithout a command it runs. \`drain\` has the running one take everything back before it is removed, waits for that, and says what\nis left; it takes the same options.\n\nA flag wins over its variable. An empty variable counts as not set.\n\n${entries.join('\n')}`
}
