import { describe, expect, test } from '@jest/globals'
import { environmentName, option, optionKeys } from '../../src/config/options.ts'
import { asksForHelp, helpText, parseSettings, type Settings } from '../../src/config/settings.ts'
import type { Environment } from '../../src/config/sources.ts'
import { seconds } from '../../src/lib/instant.ts'

const host = { name: 'Build-Box_7', pid: 42, home: '/home/dev' }
const pod = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' }
const parse = (argv: readonly string[] = [], env: Environment = {}) => parseSettings(argv, env, host)

function good(argv: readonly string[] = [], env: Environment = {}): Settings {
  const result = parse(argv, env)
  if (!result.ok) throw new Error(result.failure.join('\n'))
  return result.value
}
function bad(argv: readonly string[] = [], env: Environment = {}): readonly string[] {
  const result = parse(argv, env)
  if (result.ok) throw new Error('was accepted')
  return result.failure
}

test('outside a cluster nothing need be set: it acts as the ServiceAccount and listens on loopback only', () => {
  expect(good()).toEqual({
    command: 'run',
    cluster: { kind: 'Kubeconfig', paths: ['/home/dev/.kube/config'] },
    namespace: 'taskbound-system',
    serviceAccount: 'taskbound',
    operatorUser: 'system:serviceaccount:taskbound-system:taskbound',
    impersonate: true,
    replica: 'build-box-7-42',
    issuer: {
      url: 'https://taskbound-issuer.taskbound-system.svc',
      trustDomain: 'taskbound-issuer.taskbound-system.svc',
      listen: { host: '127.0.0.1', port: 8443 },
      tls: 'Own',
      advertiseAddress: '127.0.0.1',
      signingAlgorithm: 'ES256',
      statusListTtl: seconds(15),
    },
    healthListen: { host: '127.0.0.1', port: 8081 },
    metricsListen: { host: '127.0.0.1', port: 9090 },
    metricsPerCredential: 'top',
    policySettle: seconds(5),
    maxActiveDeadline: seconds(86_400),
    watchNamespaces: [],
    election: { leaseDuration: seconds(15), renewDeadline: seconds(10), retryPeriod: seconds(2) },
    concurrency: 16,
    ledgerLimit: 1000,
    inFlight: 32,
    sealKeyFile: undefined,
    drainTimeout: 120_000,
    clusterNetworks: [],
    namespaceProviders: { most: 20, addresses: [] },
    tracesUrl: undefined,
    logLevel: 'info',
    auditFile: undefined,
  })
})

test('in a pod it takes the pod as it is', () => {
  const env = { ...pod, POD_NAMESPACE: 'tb', POD_NAME: 'taskbound-abc-1', POD_IP: '10.1.2.3' }
  expect(good([], env)).toMatchObject({
    cluster: { kind: 'InCluster', server: 'https://10.0.0.1:6443' },
    namespace: 'tb',
    impersonate: false,
    clusterNetworks: ['10.0.0.1'],
    replica: 'taskbound-abc-1',
    issuer: { url: 'https://taskbound-issuer.tb.svc', listen: { host: undefined, port: 8443 }, advertiseAddress: '10.1.2.3' },
    healthListen: { host: undefined, port: 8081 },
  })
})

type Row = readonly [string, readonly string[], Environment, unknown]
const at = (settings: Settings, path: string): unknown =>
  path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], settings)

describe('a setting is read', () => {
  const rows: readonly Row[] = [
    ['tracesUrl', ['--otlp-endpoint=http://c:4318/'], {}, 'http://c:4318/v1/traces'],
    ['tracesUrl', [], { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c/x' }, 'https://c/x/v1/traces'],
    ['tracesUrl', [], { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://d/t' }, 'http://d/t'],
    ['tracesUrl', [], { OTEL_EXPORTER_OTLP_ENDPOINT: '' }, undefined],
    ['metricsPerCredential', ['--metrics-per-credential=off'], {}, 'off'],
    ['namespace', ['--namespace=a'], { TASKBOUND_NAMESPACE: 'b', POD_NAMESPACE: 'c' }, 'a'],
    ['namespace', ['--namespace', 'a'], {}, 'a'],
    ['namespace', [], { TASKBOUND_NAMESPACE: 'b', POD_NAMESPACE: 'c' }, 'b'],
    ['namespace', [], { TASKBOUND_NAMESPACE: '', POD_NAMESPACE: 'c' }, 'c'],
    ['namespace', [], { TASKBOUND_NAMESPACE: '', POD_NAMESPACE: '' }, 'taskbound-system'],
    ['operatorUser', ['--namespace=a', '--service-account=b'], {}, 'system:serviceaccount:a:b'],
    ['impersonate', ['--impersonate'], pod, true],
    ['impersonate', ['--impersonate=false'], {}, false],
    ['impersonate', ['--no-impersonate'], {}, false],
    ['impersonate', [], { TASKBOUND_IMPERSONATE: 'false' }, false],
    ['cluster', ['--kubeconfig=/a'], { ...pod, KUBECONFIG: '/b' }, { kind: 'Kubeconfig', paths: ['/a'] }],
    ['cluster', [], { ...pod, KUBECONFIG: '/b:/c:' }, { kind: 'Kubeconfig', paths: ['/b', '/c'] }],
    ['cluster', [], { KUBERNETES_SERVICE_HOST: 'fd00::1' }, { kind: 'InCluster', server: 'https://[fd00::1]:443' }],
    ['replica', ['--replica=x'], { POD_NAME: 'y' }, 'x'],
    ['issuer.url', ['--issuer-url=https://id.corp.example:8443/tb'], {}, 'https://id.corp.example:8443/tb'],
    ['issuer.trustDomain', ['--issuer-url=https://id.corp.example:8443/tb'], {}, 'id.corp.example'],
    ['issuer.trustDomain', ['--issuer-url=https://[::1]:1', '--trust-domain=corp.example'], {}, 'corp.example'],
    ['issuer.listen', ['--issuer-listen=:0'], {}, { host: undefined, port: 0 }],
    ['issuer.listen', ['--issuer-listen=[::1]:1'], {}, { host: '::1', port: 1 }],
    ['issuer.tls', ['--issuer-tls=Plain'], {}, 'Plain'],
    ['issuer.advertiseAddress', ['--advertise-address=fd00::2'], {}, 'fd00::2'],
    ['issuer.signingAlgorithm', ['--signing-algorithm=RS256'], {}, 'RS256'],
    ['issuer.statusListTtl', ['--status-list-ttl-seconds=60'], {}, seconds(60)],
    ['healthListen', ['--health-listen=0.0.0.0:65535'], {}, { host: '0.0.0.0', port: 65535 }],
    ['metricsListen', ['--metrics-listen=localhost:1'], {}, { host: 'localhost', port: 1 }],
    ['policySettle', ['--policy-settle-seconds=0'], {}, seconds(0)],
    ['maxActiveDeadline', [], { TASKBOUND_MAX_ACTIVE_DEADLINE_SECONDS: '600' }, seconds(600)],
    ['watchNamespaces', ['--watch-namespaces=a, b', '--watch-namespaces=c,a'], {}, ['a', 'b', 'c']],
    ['clusterNetworks', ['--cluster-networks=10.96.0.0/12,fd00::/8'], {}, ['10.96.0.0/12', 'fd00::/8']],
    ['drainTimeout', ['--drain-timeout-seconds=9'], {}, seconds(9)],
    ['command', ['drain', '--namespace=a'], {}, 'drain'],
    ['election.leaseDuration', ['--lease-duration-seconds=60'], {}, seconds(60)],
    ['election.renewDeadline', ['--renew-deadline-seconds=14'], {}, seconds(14)],
    ['election.retryPeriod', ['--retry-period-seconds=5'], {}, seconds(5)],
    ['concurrency', ['--concurrency=1'], {}, 1],
    ['ledgerLimit', ['--ledger-limit=5'], {}, 5],
    ['namespaceProviders.most', ['--namespace-providers=0'], {}, 0],
    ['namespaceProviders.addresses', ['--namespace-provider-addresses=10.2.0.0/16'], {}, ['10.2.0.0/16']],
    ['inFlight', ['--in-flight=1024'], {}, 1024],
    ['sealKeyFile', ['--seal-key-file=/keys/seal'], {}, '/keys/seal'],
    ['logLevel', [], { TASKBOUND_LOG_LEVEL: 'debug' }, 'debug'],
    ['auditFile', ['--audit-file=/var/log/audit.jsonl'], {}, '/var/log/audit.jsonl'],
  ]
  test.each(rows)('%s from %j and %j', (path, argv, env, expected) => {
    expect(at(good(argv, env), path)).toEqual(expected)
  })
})

describe('a mistake is refused with what to do', () => {
  const rows: readonly (readonly [readonly string[], Environment, RegExp])[] = [
    [['--isuer-url=https://x'], {}, /^`--isuer-url` is no option: did you mean `--issuer-url`\?/],
    [['--isuer-url', 'https://x'], {}, /did you mean `--issuer-url`/],
    [['--no-namespace'], {}, /^`--no-namespace` is no option/],
    [['-n', 'x'], {}, /^`-n` is no option/],
    [['serve'], {}, /^`serve` is no option: every option begins with `--`/],
    [['--namespace'], {}, /^`--namespace` needs a value: write `--namespace=NAME`/],
    [['--namespace='], {}, /^`--namespace` needs a value/],
    [['--namespace', '--log-level=info'], {}, /^`--namespace` needs a value/],
    [['--namespace=a', '--namespace=b'], {}, /^`--namespace` is given twice: keep one/],
    [['--namespace=A'], {}, /^`--namespace` must be a DNS label.*; it is `A`$/],
    [[], { POD_NAMESPACE: 'A' }, /^`POD_NAMESPACE` must be a DNS label/],
    [[], { TASKBOUND_NAMESPCE: 'a' }, /^`TASKBOUND_NAMESPCE` is no option: did you mean `TASKBOUND_NAMESPACE`\?/],
    [['--service-account=a/b'], {}, /must be a name of/],
    [['--impersonate=yes'], {}, /^`--impersonate` must be `true` or `false`; it is `yes`$/],
    [['--no-impersonate=true'], {}, /^`--no-impersonate` takes no value/],
    [['--issuer-url=http://x'], {}, /must begin with `https:\/\/`/],
    [['--issuer-url=x'], {}, /must be a URL/],
    [['--issuer-url=https://me:pw@x'], {}, /user or a password/],
    [['--issuer-url=https://x/?'], {}, /no query and no fragment/],
    [['--issuer-url=https://x/'], {}, /plain form, `https:\/\/x`/],
    [['--issuer-url=https://X:443/a'], {}, /plain form, `https:\/\/x\/a`/],
    [['--issuer-url=https://[::1]:1'], {}, /host of `--issuer-url` cannot be a SPIFFE trust domain; set `--trust-domain`/],
    [['--trust-domain=Corp'], {}, /SPIFFE trust domain/],
    [['--issuer-listen=8443'], {}, /must be `host:port`/],
    [['--issuer-listen=:65536'], {}, /must be `host:port`/],
    [['--issuer-tls=own'], {}, /must be one of `Own`, `Plain`/],
    [['--advertise-address=host'], {}, /must be an IP address/],
    [['--signing-algorithm=EdDSA'], {}, /must be one of `ES256`, `RS256`/],
    [['--status-list-ttl-seconds=61'], {}, /whole number from 5 to 60, in seconds and without a unit/],
    [['--policy-settle-seconds=5s'], {}, /whole number from 0 to 300, in seconds and without a unit/],
    [['--concurrency=0'], {}, /whole number from 1 to 1024/],
    [['--concurrency=1e1'], {}, /whole number/],
    [['--watch-namespaces=a,,b'], {}, /each value between commas must be a DNS label/],
    [['--cluster-networks=10.96.0.0/33'], {}, /each value between commas must be a network such as/],
    [['--namespace=a', 'drain'], {}, /^`drain` is no option/],
    [['--renew-deadline-seconds=15'], {}, /`--renew-deadline-seconds` must be less than `--lease-duration-seconds`/],
    [[], { TASKBOUND_RETRY_PERIOD_SECONDS: '6' }, /`TASKBOUND_RETRY_PERIOD_SECONDS` must be at most half of `--renew-deadline-seconds`/],
    [['--metrics-listen=:8081'], {}, /`--metrics-listen` has the port of `--health-listen`, 8081; give each its own/],
    [['--log-level=trace'], {}, /must be one of `debug`/],
    [['--audit-file='], {}, /needs a value/],
  ]
  test.each(rows)('%j %j', (argv, env, sentence) => {
    const errors = bad(argv, env)
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(sentence)
  })

  test('all mistakes are told at once', () => {
    expect(bad(['--concurrency', '--in-flight=0', '--x'], { POD_NAMESPACE: 'A' })).toHaveLength(4)
  })

  test('several free ports are no clash', () => {
    expect(good(['--issuer-listen=:0', '--health-listen=:0', '--metrics-listen=:0']).metricsListen.port).toBe(0)
  })
})

test('the variables that Kubernetes sets for a Service are none of ours, whatever the Service is called', () => {
  for (const key of optionKeys) {
    const service = environmentName(key)
    const links = ['_SERVICE_HOST', '_SERVICE_PORT', '_SERVICE_PORT_HTTPS', '_PORT', '_PORT_443_TCP', '_PORT_443_TCP_ADDR']
    expect(good([], Object.fromEntries(links.map((link) => [service + link, 'tcp://10.0.0.1:443'])))).toEqual(good())
    expect(service).not.toMatch(/_(?:SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_\w+)$/)
  }
  expect(good([], { TASKBOUND_ISSUER_PORT: 'tcp://10.0.0.1:443', TASKBOUND_SOMETHING_ELSE: 'x' })).toEqual(good())
})

test('what was parsed cannot be changed', () => {
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    expect(Object.isFrozen(value)).toBe(true)
    for (const member of Object.values(value)) walk(member)
  }
  walk(good(['--watch-namespaces=a,b']))
})

test('the help names every option with its variable, its default and a sentence, and no two share a name', () => {
  const help = helpText()
  for (const key of optionKeys) {
    const { flag, value, fallback, derived, help: sentence } = option(key)
    expect(help).toContain(`--${flag} ${value}\n`)
    expect(help).toContain(environmentName(key))
    expect(fallback ?? derived).toBeDefined()
    expect(sentence).toMatch(/\.$/)
    expect(sentence.length).toBeLessThan(140)
  }
  expect(new Set(optionKeys.map((key) => option(key).flag)).size).toBe(optionKeys.length)
  expect(asksForHelp(['--namespace=a', '--help'])).toBe(true)
  expect(asksForHelp(['--namespace=a'])).toBe(false)
})
