// The composition root: what is built, in order of dependence, and what is started and stopped. Nothing else builds two things that
// know each other, and nothing here decides anything.

import { isIP } from 'node:net'
import { drain } from './cli/drain.ts'
import { buildClient, buildJournal, buildTracing, CannotStart, findHandlePrefix, revision, version } from './compose/basics.ts'
import { addressAnnotation, buildCertificate, buildIssuer } from './compose/issuer.ts'
import { buildProviders } from './compose/providers.ts'
import { buildSeal } from './compose/seal.ts'
import { asksForHelp, helpText, parseSettings, type Settings } from './config/settings.ts'
import { systemClock as clock, systemEntropy as entropy } from './config/system.ts'
import { healthRoutes } from './http/health.ts'
import { metricsRoute } from './http/metrics.ts'
import type { Route } from './http/route.ts'
import { createHttpServer } from './http/server.ts'
import { seconds } from './lib/instant.ts'
import { createPolicyEngine } from './policy/engine.ts'
import { noTracer } from './ports/tracer.ts'
import { createOperator, type Operator } from './runtime/operator.ts'
import { createSnapshot } from './runtime/snapshot.ts'
import { createDocument } from './runtime/storage.ts'
import { createCredentialMetrics } from './telemetry/credentials.ts'
import { createLog, openLogStream } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import type { Snapshot } from './telemetry/snapshot.ts'

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
  const seal = await buildSeal(settings, client)
  const providers = await buildProviders(settings, client, issuer, seal, prefix)

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
    findProvider: providers.find,
    readHanded: providers.readHanded,
    namespaceProviders: settings.namespaceProviders.most,
    statusLists: issuer.statusLists,
    document: (name) => createDocument(client, settings.namespace, name),
    seal,
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
  await providers.close()
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
