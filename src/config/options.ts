// The table of all options: flag, environment variable, parser and the sentence of the help. Reads nothing by itself.

import { logLevels } from '../telemetry/log.ts'
import {
  choice,
  dnsLabel,
  httpUrl,
  integer,
  issuerUrl,
  listenAddress,
  listOf,
  matching,
  network,
  type Parser,
  secondsWithin,
  subdomain,
  trustDomain,
  yesOrNo,
} from './parsers.ts'

export interface Option<T> {
  /** without the two dashes */
  readonly flag: string
  /** further environment variables, asked in this order after `TASKBOUND_<FLAG>`; set by the platform, not for us alone */
  readonly also?: readonly string[]
  /** what stands for the value in the help; a switch may be given without one */
  readonly value: string
  /** The default as the parser reads it, or `derived` from what the help says. */
  readonly fallback?: string
  readonly derived?: string
  readonly help: string
  readonly parse: Parser<T>
}

const path = matching(/^[^\0]{1,4096}$/, 'a path')

export const options = {
  kubeconfig: {
    flag: 'kubeconfig',
    also: ['KUBECONFIG'],
    value: 'PATH',
    derived: 'the ServiceAccount of the pod, else ~/.kube/config',
    help: 'Kubeconfig for a run outside a cluster; several files are separated as in KUBECONFIG.',
    parse: path,
  },
  namespace: {
    flag: 'namespace',
    also: ['POD_NAMESPACE'],
    value: 'NAME',
    fallback: 'taskbound-system',
    help: 'Namespace of the operator: its keys, its ledger and its leases are there.',
    parse: dnsLabel,
  },
  serviceAccount: {
    flag: 'service-account',
    value: 'NAME',
    fallback: 'taskbound',
    help: 'ServiceAccount of the operator, to which the admission policies bind.',
    parse: subdomain,
  },
  impersonate: {
    flag: 'impersonate',
    value: 'true|false',
    derived: 'true outside a cluster, false inside',
    help: "Act as the operator's ServiceAccount, so that its rights and fences hold for a run from a kubeconfig too.",
    parse: yesOrNo,
  },
  replica: {
    flag: 'replica',
    also: ['POD_NAME'],
    value: 'NAME',
    derived: 'host name and process id',
    help: 'Name of this replica in leases, logs, audit lines and events; no two may share one.',
    parse: subdomain,
  },
  issuerUrl: {
    flag: 'issuer-url',
    value: 'URL',
    derived: 'https://taskbound-issuer.<namespace>.svc',
    help: 'Issuer in tokens: where verifiers find its keys. Changing it makes all live tokens unverifiable.',
    parse: issuerUrl,
  },
  trustDomain: {
    flag: 'trust-domain',
    value: 'NAME',
    derived: 'the host of the issuer URL',
    help: 'SPIFFE trust domain of the issued JWT-SVIDs.',
    parse: trustDomain,
  },
  issuerListen: {
    flag: 'issuer-listen',
    value: 'HOST:PORT',
    derived: ':8443 in a cluster, 127.0.0.1:8443 outside',
    help: 'Where the issuer is served.',
    parse: listenAddress,
  },
  issuerTls: {
    flag: 'issuer-tls',
    value: 'Own|Plain',
    fallback: 'Own',
    help: "Own: TLS by a certificate of the operator's own CA. Plain: HTTP, where a Gateway or an Ingress in front holds the certificate.",
    parse: choice('Own', 'Plain'),
  },
  advertiseAddress: {
    flag: 'advertise-address',
    also: ['POD_IP'],
    value: 'IP',
    derived: '127.0.0.1',
    help: 'Where the other replicas reach the issuer of this one.',
    parse: matching(/^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$/, 'an IP address without a port'),
  },
  healthListen: {
    flag: 'health-listen',
    value: 'HOST:PORT',
    derived: ':8081 in a cluster, 127.0.0.1:8081 outside',
    help: 'Where /healthz and /readyz are served.',
    parse: listenAddress,
  },
  metricsListen: {
    flag: 'metrics-listen',
    value: 'HOST:PORT',
    derived: ':9090 in a cluster, 127.0.0.1:9090 outside',
    help: 'Where /metrics is served.',
    parse: listenAddress,
  },
  metricsPerCredential: {
    flag: 'metrics-per-credential',
    value: 'top|all|off',
    fallback: 'top',
    help: 'Single credentials at /metrics/credentials: the 100 that die soonest, all up to 10000, or none; what is revoked late is in both.',
    parse: choice('top', 'all', 'off'),
  },
  signingAlgorithm: {
    flag: 'signing-algorithm',
    value: 'ES256|RS256',
    fallback: 'ES256',
    help: 'Algorithm of keys that are made from now on; keys that exist keep theirs.',
    parse: choice('ES256', 'RS256'),
  },
  statusListTtl: {
    flag: 'status-list-ttl-seconds',
    value: 'SECONDS',
    fallback: '15',
    help: 'How long a verifier may keep a token status list, and a revoked token look valid to it; at a failover up to a minute more.',
    parse: secondsWithin(5, 60),
  },
  policySettle: {
    flag: 'policy-settle-seconds',
    value: 'SECONDS',
    fallback: '5',
    help: 'How long the loss of a permit must last before it revokes. A matching forbid revokes at once.',
    parse: secondsWithin(0, 300),
  },
  maxActiveDeadline: {
    flag: 'max-active-deadline-seconds',
    value: 'SECONDS',
    fallback: '86400',
    help: "Ceiling of every task's `activeDeadlineSeconds`.",
    parse: secondsWithin(60, 31_536_000),
  },
  watchNamespaces: {
    flag: 'watch-namespaces',
    value: 'NAME,...',
    derived: 'all namespaces',
    help: 'Namespaces whose tasks are served.',
    parse: listOf(dnsLabel),
  },
  clusterNetworks: {
    flag: 'cluster-networks',
    value: 'CIDR,...',
    derived: 'none but the address of the API server',
    help: 'Networks of pods and Services: connected to only for providers that list them in `allowedAddresses`.',
    parse: listOf(network),
  },
  namespaceProviders: {
    flag: 'namespace-providers',
    value: 'COUNT',
    fallback: '20',
    help: 'CredentialProviders of one namespace that are checked and used, the oldest first; 0 for none.',
    parse: integer(0, 1000),
  },
  namespaceProviderAddresses: {
    flag: 'namespace-provider-addresses',
    value: 'CIDR,...',
    derived: 'public addresses only',
    help: 'Networks that are connected to for CredentialProviders beside public addresses, whichever namespace they are of.',
    parse: listOf(network),
  },
  leaseDuration: {
    flag: 'lease-duration-seconds',
    value: 'SECONDS',
    fallback: '15',
    help: 'How long another replica waits for a leader that does not renew.',
    parse: secondsWithin(2, 300),
  },
  renewDeadline: {
    flag: 'renew-deadline-seconds',
    value: 'SECONDS',
    fallback: '10',
    help: 'How long a leader that cannot renew still acts; shorter than the lease.',
    parse: secondsWithin(1, 299),
  },
  retryPeriod: {
    flag: 'retry-period-seconds',
    value: 'SECONDS',
    fallback: '2',
    help: 'Time between two tries to renew or to take over; at most half of the renew deadline.',
    parse: secondsWithin(1, 149),
  },
  concurrency: {
    flag: 'concurrency',
    value: 'COUNT',
    fallback: '16',
    help: 'Tasks that are worked on at the same time.',
    parse: integer(1, 1024),
  },
  ledgerLimit: {
    flag: 'ledger-limit',
    value: 'COUNT',
    fallback: '1000',
    help: 'Credentials outside the cluster that one namespace may have at one provider without all of them being known to be dead.',
    parse: integer(1, 100_000),
  },
  inFlight: {
    flag: 'in-flight',
    value: 'COUNT',
    fallback: '32',
    help: 'Requests to the API server at the same time; watches are not counted.',
    parse: integer(1, 1024),
  },
  sealKeyFile: {
    flag: 'seal-key-file',
    value: 'PATH',
    derived: 'a key in a Secret that the operator makes',
    help: 'Keys that seal what ends a credential, one a line, the newest first: each 32 bytes in base64.',
    parse: path,
  },
  drainTimeout: {
    flag: 'drain-timeout-seconds',
    value: 'SECONDS',
    fallback: '120',
    help: 'How long the command `drain` waits until everything is taken back. The operator itself does not use it.',
    parse: secondsWithin(1, 3600),
  },
  otlpEndpoint: {
    flag: 'otlp-endpoint',
    also: ['OTEL_EXPORTER_OTLP_ENDPOINT'],
    value: 'URL',
    derived: 'no spans',
    help: 'Collector of OpenTelemetry that spans are sent to over HTTP, at /v1/traces below this URL.',
    parse: httpUrl,
  },
  otlpTracesEndpoint: {
    flag: 'otlp-traces-endpoint',
    also: ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'],
    value: 'URL',
    derived: 'what the one above says',
    help: 'The same for spans alone, at this very URL.',
    parse: httpUrl,
  },
  logLevel: {
    flag: 'log-level',
    value: logLevels.join('|'),
    fallback: 'info',
    help: 'Least severe line of the log that is written, to standard error.',
    parse: choice(...logLevels),
  },
  auditFile: {
    flag: 'audit-file',
    value: 'PATH',
    derived: 'standard output',
    help: 'File that audit lines are appended to.',
    parse: path,
  },
} as const satisfies Record<string, Option<unknown>>

export type OptionKey = keyof typeof options
export type OptionValue<K extends OptionKey> = (typeof options)[K] extends Option<infer T> ? T : never

export const optionKeys = Object.keys(options) as readonly OptionKey[]
export const option = (key: OptionKey): Option<unknown> => options[key]
export const environmentName = (key: OptionKey): string => `TASKBOUND_${options[key].flag.toUpperCase().replaceAll('-', '_')}`
export const isSwitch = (key: OptionKey): boolean => options[key].value === 'true|false'
export const isList = (key: OptionKey): boolean => options[key].value.endsWith(',...')
