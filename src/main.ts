// The composition root: what is built, in order of dependence, and what is started and stopped. Nothing else builds two things that
// know each other, and nothing here decides anything.

import { isIP } from 'node:net'
import { drain } from './cli/drain.ts'
import { asksForHelp, helpText, parseSettings, type Settings } from './config/settings.ts'
import { systemClock as clock, systemEntropy as entropy } from './config/system.ts'
import { handlePrefix } from './core/lease.ts'
import { type Certificate, createCertificate } from './http/certificate.ts'
import { healthRoutes } from './http/health.ts'
import { metricsRoute } from './http/metrics.ts'
import { createLeaderClient, type LeaderAddress } from './http/oidc/leader.ts'
import { oidcRoutes } from './http/oidc/routes.ts'
import type { Route } from './http/route.ts'
import { createHttpServer } from './http/server.ts'
import { generateKeyDocument } from './issuer/key-document.ts'
import { loadOrCreate, loadOrCreateDocument } from './issuer/key-store.ts'
import { createKeyring } from './issuer/keyring.ts'
import { accessTokenClaims } from './issuer/profiles/access-token.ts'
import { jwtSvidClaims } from './issuer/profiles/jwt-svid.ts'
import { createStatusLists, defaultStatusListSettings } from './issuer/statuslist/statuslist.ts'
import { createKubeClient, type KubeClient } from './kube/client.ts'
import { loadKubeConfig } from './kube/config.ts'
import { describeError, isAlreadyExists } from './kube/errors.ts'
import { type KubeObject, pathOf } from './kube/objects.ts'
import { seconds } from './lib/instant.ts'
import { ok, type Result } from './lib/result.ts'
import { createPolicyEngine } from './policy/engine.ts'
import type { Log } from './ports/log.ts'
import { noTracer, type Tracer } from './ports/tracer.ts'
import { createJwtProvider } from './providers/jwt/provider.ts'
import { createPostgresProvider } from './providers/postgres/provider.ts'
import { createWire } from './providers/postgres/wire.ts'
import { createRegistry } from './providers/registry.ts'
import { createPasswords, passwordKey } from './runtime/ledger/passwords.ts'
import { createOperator, type Operator } from './runtime/operator.ts'
import { createSnapshot } from './runtime/snapshot.ts'
import { createDocument, createKeyStore, createListStore, createLoginReader, names, publish } from './runtime/storage.ts'
import { createAudit, openAuditFile } from './telemetry/audit.ts'
import { createCredentialMetrics } from './telemetry/credentials.ts'
import { createEvents } from './telemetry/events.ts'
import { createJournal } from './telemetry/journal.ts'
import { createLog, openLogStream } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import type { Snapshot } from './telemetry/snapshot.ts'
import type { Tracing } from './telemetry/tracing.ts'

const version = '0.1.0'
/** Put in place of the name when the bundle is made; a run from a checkout has none. */
declare const taskboundRevision: string | undefined
const revision = typeof taskboundRevision === 'string' ? taskboundRevision : 'unknown'
/** On the KubeLease: where the other replicas find the leader's issuer. */
const addressAnnotation = 'taskbound.dev/issuer-address'

/** A start that cannot go on: its message is a sentence for whoever starts the operator. */
class CannotStart extends Error {
  override readonly name = 'CannotStart'
}

function must<T>(result: Result<T, string>): T {
  if (!result.ok) throw new CannotStart(result.failure)
  return result.value
}

async function buildClient(settings: Settings, metrics: Metrics | undefined, tracer: Tracer = noTracer): Promise<KubeClient> {
  const { cluster } = settings
  const server = cluster.kind === 'InCluster' ? new URL(cluster.server) : undefined
  const source =
    cluster.kind === 'InCluster'
      ? ({ kind: 'inCluster', host: server?.hostname.replace(/^\[|\]$/g, '') ?? '', port: server?.port || '443' } as const)
      : ({ kind: 'kubeconfig', paths: cluster.paths } as const)
  return createKubeClient({
    connection: must(await loadKubeConfig(source, clock)),
    userAgent: `taskbound/${version}`,
    clock,
    entropy,
    ...(metrics === undefined ? {} : { meter: metrics }),
    traceparent: tracer.traceparent,
    inFlight: settings.inFlight,
    ...(settings.impersonate ? { impersonate: settings.operatorUser } : {}),
  })
}

function buildJournal(settings: Settings, client: KubeClient, metrics: Metrics, log: Log) {
  return createJournal(
    createAudit({ open: () => openAuditFile(settings.auditFile), clock, replica: settings.replica, meter: metrics, log }),
    createEvents({
      async post(path, body) {
        const posted = await client.request({ method: 'POST', path, body })
        return posted.ok || isAlreadyExists(posted.failure) ? ok(undefined) : posted
      },
      clock,
      replica: settings.replica,
      onDrop: metrics.eventDropped,
    }),
  )
}

/** Spans, where somebody wants them; what sends them is not even loaded otherwise. */
async function buildTracing({ tracesUrl: url, replica, namespace }: Settings, log: Log): Promise<Tracing | undefined> {
  if (url === undefined) return undefined
  const { createTracing } = await import('./telemetry/tracing.ts')
  return createTracing({ url, version, replica, namespace, log })
}

/** The certificate of the issuer's own TLS, published for verifiers; none where something in front of it holds one. */
async function buildCertificate(settings: Settings, client: KubeClient): Promise<Certificate | undefined> {
  if (settings.issuer.tls === 'Plain') return undefined
  const { namespace } = settings
  const certificate = must(
    await createCertificate({
      store: createKeyStore(client, namespace, names.ca),
      clock,
      entropy,
      host: new URL(settings.issuer.url).hostname,
      alsoKnownAs: [`taskbound-issuer.${namespace}.svc`],
    }),
  )
  must(await publish(client, namespace, names.caPublished, { 'ca.crt': certificate.authority }))
  return certificate
}

/** What all handles of this installation begin with: it follows from the cluster and the operator's namespace, so a reinstallation has the same. */
async function findHandlePrefix(settings: Settings, client: KubeClient): Promise<string> {
  const path = pathOf({ group: '', version: 'v1', plural: 'namespaces' }, { name: 'kube-system' })
  const found = await client.request<KubeObject>({ method: 'GET', path })
  if (!found.ok) throw new CannotStart(`the namespace \`kube-system\` cannot be read: ${describeError(found.failure)}`)
  return handlePrefix(found.value.body.metadata.uid, settings.namespace)
}

/** Keys, status lists and the provider that issues under them. `operator` is asked late: it is built after. */
async function buildIssuer(
  settings: Settings,
  client: KubeClient,
  certificate: Certificate | undefined,
  operator: () => Operator | undefined,
) {
  const { namespace, issuer } = settings
  const identity = { url: issuer.url, trustDomain: issuer.trustDomain }
  const make = () => generateKeyDocument(clock.now(), issuer.signingAlgorithm)
  const keyring = must(await createKeyring(must(await loadOrCreate(createKeyStore(client, namespace, names.keys), make))))
  const host = new URL(issuer.url).hostname
  const leader = (): LeaderAddress | undefined => {
    const holder = operator()?.elector.holder()
    const origin = holder?.annotations[addressAnnotation]
    if (origin === undefined || holder?.identity === settings.replica) return undefined
    return {
      origin,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(certificate === undefined ? {} : { ca: certificate.authority }),
    }
  }
  const statusLists = createStatusLists({
    clock,
    entropy,
    signer: keyring,
    keys: () => keyring.jwks(),
    identity,
    term: () => (operator()?.elector.isLeader() === true ? operator()?.elector.term() : undefined),
    store: createListStore(createDocument(client, namespace, names.lists)),
    fetchFromLeader: createLeaderClient(leader),
    settings: { ...defaultStatusListSettings, ttl: issuer.statusListTtl },
  })
  const claims = { accessToken: accessTokenClaims, jwtSvid: jwtSvidClaims }
  const jwt = createJwtProvider({ signer: keyring, statuses: statusLists, claims, identity, entropy, listTtl: issuer.statusListTtl })
  return { statusLists, jwt, routes: oidcRoutes({ identity, keyring: () => keyring, statuses: statusLists }) }
}

async function run(settings: Settings): Promise<void> {
  const logStream = openLogStream(2)
  const base = { replica: settings.replica, version }
  const log = createLog({ level: settings.logLevel, clock, base, stream: logStream, safeErrors: [CannotStart] })
  let operator: Operator | undefined
  const snapshot = createSnapshot(() => operator)
  const metrics = createMetrics({ clock, version, revision, snapshot })
  const tracing = await buildTracing(settings, log)
  const tracer = tracing ?? noTracer
  const client = await buildClient(settings, metrics, tracer)
  const journal = buildJournal(settings, client, metrics, log)
  const certificate = await buildCertificate(settings, client)
  const issuer = await buildIssuer(settings, client, certificate, () => operator)
  const prefix = await findHandlePrefix(settings, client)
  const wire = createWire()
  const passwords = must(await loadOrCreateDocument(createKeyStore(client, settings.namespace, names.passwordKey), passwordKey(entropy)))
  const postgres = createPostgresProvider({
    wire,
    clock,
    entropy,
    readLogin: createLoginReader(client, settings.namespace),
    password: createPasswords(passwords),
    prefix,
  })

  const tls = certificate === undefined ? {} : { tls: certificate.tls() }
  const issuerServer = createHttpServer({ name: 'issuer', ...at(settings.issuer.listen), routes: issuer.routes, log, ...tls })
  const issuerPort = await issuerServer.start()
  const advertised =
    isIP(settings.issuer.advertiseAddress) === 6 ? `[${settings.issuer.advertiseAddress}]` : settings.issuer.advertiseAddress
  const started = createOperator({
    client,
    clock,
    entropy,
    log,
    meter: metrics,
    tracer,
    journal,
    engine: createPolicyEngine({ clock }),
    registry: createRegistry([issuer.jwt, postgres]),
    statusLists: issuer.statusLists,
    document: (name) => createDocument(client, settings.namespace, name),
    handlePrefix: prefix,
    ledgerLimit: settings.ledgerLimit,
    election: {
      namespace: settings.namespace,
      name: 'taskbound',
      identity: settings.replica,
      annotations: { [addressAnnotation]: `${certificate === undefined ? 'http' : 'https'}://${advertised}:${issuerPort}` },
      ...settings.election,
    },
    limits: { maxActiveDeadline: settings.maxActiveDeadline, policySettle: settings.policySettle, rejudge: seconds(60) },
    concurrency: settings.concurrency,
    namespaces: settings.watchNamespaces,
  })
  operator = started

  const problem = (name: string) => () => started.problems()[name]
  const health = healthRoutes(
    { progress: problem('progress'), policy: problem('policy') },
    { sync: problem('sync'), policy: problem('policy') },
  )
  const healthServer = createHttpServer({ name: 'health', ...at(settings.healthListen), routes: health, log })
  const routes = [metricsRoute('/metrics', scraping(metrics)), ...credentialRoutes(settings, snapshot)]
  const metricsServer = createHttpServer({ name: 'metrics', ...at(settings.metricsListen), routes, log })
  const renewal = setInterval(() => {
    const renewed = certificate?.renew()
    if (renewed !== undefined) issuerServer.reload(renewed)
  }, hour)

  await healthServer.start()
  await metricsServer.start()
  started.start()
  log.info('started', {
    issuer: settings.issuer.url,
    namespace: settings.namespace,
    acts: settings.impersonate ? settings.operatorUser : 'itself',
  })
  log.info('stopping', { signal: await ended() })

  // In the reverse order of dependence; what hangs is left behind.
  setTimeout(() => process.exit(1), 15_000).unref()
  clearInterval(renewal)
  await started.stop()
  await Promise.all([issuerServer.stop(), healthServer.stop(), metricsServer.stop()])
  await wire.close()
  await journal.flush()
  await tracing?.close()
  metrics.close()
  client.close()
  log.info('stopped')
  logStream.flush()
}

const scraping = (metrics: Pick<Metrics, 'contentType' | 'scrape'>) => async () => ({
  contentType: metrics.contentType,
  text: await metrics.scrape(),
})

function credentialRoutes({ metricsPerCredential: mode }: Settings, snapshot: Snapshot): readonly Route[] {
  return mode === 'off' ? [] : [metricsRoute('/metrics/credentials', scraping(createCredentialMetrics(mode, snapshot, clock)))]
}

async function runDrain(settings: Settings): Promise<void> {
  const client = await buildClient(settings, undefined)
  const print = (line: string): void => void process.stdout.write(`${line}\n`)
  const { namespace, watchNamespaces, drainTimeout: timeout } = settings
  const id = entropy.uuid()
  process.exitCode = await drain({ client, clock, namespace, watchNamespaces, timeout, id, print })
  client.close()
}

const hour = 3_600_000
const at = ({ host, port }: Settings['healthListen']) => ({ ...(host === undefined ? {} : { host }), port })

function ended(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  return promise
}

async function start(): Promise<void> {
  if (asksForHelp()) {
    process.stdout.write(helpText())
    return
  }
  const settings = parseSettings()
  if (!settings.ok) {
    process.stderr.write(`${settings.failure.join('\n')}\n`)
    process.exit(2)
  }
  try {
    await (settings.value.command === 'drain' ? runDrain : run)(settings.value)
  } catch (error) {
    // What else it may be is a bug, whose text could hold anything: only its name is told.
    const why = error instanceof CannotStart ? error.message : `unexpected ${error instanceof Error ? error.name : 'error'}`
    process.stderr.write(`the operator cannot start: ${why}\n`)
    process.exit(1)
  }
}

await start()
