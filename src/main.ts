// The composition root: what is built, started and stopped, in order. Nothing else builds two things that know each other.

import { isIP } from 'node:net'
import { asksForHelp, helpText, parseSettings, type Settings } from './config/settings.ts'
import { systemClock as clock, systemEntropy as entropy } from './config/system.ts'
import { createCertificate } from './http/certificate.ts'
import { healthRoutes } from './http/health.ts'
import { metricsRoute } from './http/metrics.ts'
import { createLeaderClient } from './http/oidc/leader.ts'
import { oidcRoutes } from './http/oidc/routes.ts'
import { createHttpServer } from './http/server.ts'
import { generateKeyDocument } from './issuer/key-document.ts'
import { loadOrCreate } from './issuer/key-store.ts'
import { createKeyring } from './issuer/keyring.ts'
import { accessTokenClaims } from './issuer/profiles/access-token.ts'
import { jwtSvidClaims } from './issuer/profiles/jwt-svid.ts'
import { createStatusLists, defaultStatusListSettings } from './issuer/statuslist/statuslist.ts'
import { createKubeClient } from './kube/client.ts'
import { loadKubeConfig } from './kube/config.ts'
import { seconds } from './lib/instant.ts'
import type { Result } from './lib/result.ts'
import { createPolicyEngine } from './policy/engine.ts'
import { createJwtProvider } from './providers/jwt/provider.ts'
import { createRegistry } from './providers/registry.ts'
import { createOperator, type Operator } from './runtime/operator.ts'
import { createSnapshot } from './runtime/snapshot.ts'
import { createDocument, createKeyStore, createListStore, names, publish } from './runtime/storage.ts'
import { createAudit, openAuditFile } from './telemetry/audit.ts'
import { createEvents } from './telemetry/events.ts'
import { createJournal } from './telemetry/journal.ts'
import { createLog, openLogStream } from './telemetry/log.ts'
import { createMetrics } from './telemetry/metrics.ts'

const version = '0.1.0'

/** A start that cannot go on: its message is a sentence for whoever starts the operator. */
class CannotStart extends Error {
  override readonly name = 'CannotStart'
}

function must<T>(result: Result<T, string>): T {
  if (!result.ok) throw new CannotStart(result.failure)
  return result.value
}

async function run(settings: Settings): Promise<void> {
  const logStream = openLogStream(2)
  const log = createLog({
    level: settings.logLevel,
    clock,
    base: { replica: settings.replica, version },
    stream: logStream,
    safeErrors: [CannotStart],
  })
  let operator: Operator | undefined
  const metrics = createMetrics({ clock, version, revision: 'unknown', snapshot: createSnapshot(() => operator, clock) })

  const source =
    settings.cluster.kind === 'InCluster'
      ? ({
          kind: 'inCluster',
          host: new URL(settings.cluster.server).hostname,
          port: new URL(settings.cluster.server).port || '443',
        } as const)
      : ({ kind: 'kubeconfig', paths: settings.cluster.paths } as const)
  const client = createKubeClient({
    connection: must(await loadKubeConfig(source, clock)),
    userAgent: `taskbound/${version}`,
    clock,
    entropy,
    meter: metrics,
    inFlight: settings.inFlight,
    ...(settings.impersonate ? { impersonate: settings.operatorUser } : {}),
  })

  const { namespace } = settings
  const identity = { url: settings.issuer.url, trustDomain: settings.issuer.trustDomain }
  const issuerHost = new URL(identity.url).hostname
  const document = must(
    await loadOrCreate(createKeyStore(client, namespace, names.keys), () =>
      generateKeyDocument(clock.now(), settings.issuer.signingAlgorithm),
    ),
  )
  const keyring = must(await createKeyring(document))
  const certificate =
    settings.issuer.tls === 'Plain'
      ? undefined
      : must(
          await createCertificate({
            store: createKeyStore(client, namespace, names.ca),
            clock,
            entropy,
            host: issuerHost,
            alsoKnownAs: [`taskbound-issuer.${namespace}.svc`],
          }),
        )
  if (certificate !== undefined) must(await publish(client, namespace, names.caPublished, { 'ca.crt': certificate.authority }))

  const leader = () => {
    const holder = operator?.elector.holder()
    const origin = holder?.annotations[addressAnnotation]
    if (origin === undefined || holder?.identity === settings.replica) return undefined
    const named = isIP(issuerHost) === 0 ? { servername: issuerHost } : {}
    return { origin, ...named, ...(certificate === undefined ? {} : { ca: certificate.authority }) }
  }
  const listTtl = settings.issuer.statusListTtl
  const statusLists = createStatusLists({
    clock,
    entropy,
    signer: keyring,
    keys: () => keyring.jwks(),
    identity,
    term: () => (operator?.elector.isLeader() === true ? operator.elector.term() : undefined),
    store: createListStore(createDocument(client, namespace, names.lists)),
    fetchFromLeader: createLeaderClient(leader),
    settings: { ...defaultStatusListSettings, ttl: listTtl },
  })
  const jwt = createJwtProvider({
    signer: keyring,
    statuses: statusLists,
    claims: { accessToken: accessTokenClaims, jwtSvid: jwtSvidClaims },
    identity,
    entropy,
    listTtl,
  })

  const journal = createJournal(
    createAudit({ open: () => openAuditFile(settings.auditFile), clock, replica: settings.replica, meter: metrics, log }),
    createEvents({
      post: (path, body) => client.request({ method: 'POST', path, body }),
      clock,
      replica: settings.replica,
      onDrop: metrics.eventDropped,
    }),
  )

  const issuerServer = createHttpServer({
    name: 'issuer',
    host: settings.issuer.listen.host ?? '0.0.0.0',
    port: settings.issuer.listen.port,
    routes: oidcRoutes({ identity, keyring: () => keyring, statuses: statusLists }),
    log,
    ...(certificate === undefined ? {} : { tls: certificate.tls() }),
  })
  const issuerPort = await issuerServer.start()

  const scheme = certificate === undefined ? 'http' : 'https'
  operator = createOperator({
    client,
    clock,
    entropy,
    log,
    meter: metrics,
    journal,
    engine: createPolicyEngine({ clock }),
    registry: createRegistry([jwt]),
    statusLists,
    vouched: createDocument(client, namespace, names.vouched),
    election: {
      namespace,
      name: 'taskbound',
      identity: settings.replica,
      annotations: { [addressAnnotation]: `${scheme}://${settings.issuer.advertiseAddress}:${issuerPort}` },
      ...settings.election,
    },
    limits: { maxActiveDeadline: settings.maxActiveDeadline, policySettle: settings.policySettle, rejudge: seconds(60) },
    concurrency: settings.concurrency,
    namespaces: settings.watchNamespaces,
  })
  const started: Operator = operator

  const problem = (name: string) => () => started.problems()[name]
  const healthServer = createHttpServer({
    name: 'health',
    host: settings.healthListen.host ?? '0.0.0.0',
    port: settings.healthListen.port,
    routes: healthRoutes(
      { progress: problem('progress'), policy: problem('policy') },
      { sync: problem('sync'), policy: problem('policy') },
    ),
    log,
  })
  const metricsServer = createHttpServer({
    name: 'metrics',
    host: settings.metricsListen.host ?? '0.0.0.0',
    port: settings.metricsListen.port,
    routes: [metricsRoute(async () => ({ contentType: metrics.contentType, text: await metrics.scrape() }))],
    log,
  })
  const renewal = setInterval(() => {
    const renewed = certificate?.renew()
    if (renewed !== undefined) issuerServer.reload(renewed)
  }, 3_600_000)

  await healthServer.start()
  await metricsServer.start()
  started.start()
  log.info('started', { issuer: identity.url, namespace, impersonates: settings.impersonate ? settings.operatorUser : undefined })

  const ended = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ended.resolve(signal))
  log.info('stopping', { signal: await ended.promise })

  // In the reverse order of dependence; what hangs is left behind after some seconds.
  setTimeout(() => process.exit(1), 15_000).unref()
  clearInterval(renewal)
  await started.stop()
  await Promise.all([issuerServer.stop(), healthServer.stop(), metricsServer.stop()])
  await journal.flush()
  metrics.close()
  client.close()
  log.info('stopped')
  logStream.flush()
}

/** On the KubeLease: where the other replicas find the leader's issuer. */
const addressAnnotation = 'taskbound.dev/issuer-address'

if (asksForHelp()) process.stdout.write(helpText())
else {
  const settings = parseSettings()
  if (!settings.ok) {
    process.stderr.write(`${settings.failure.join('\n')}\n`)
    process.exitCode = 2
  } else {
    await run(settings.value).catch((error: unknown) => {
      process.stderr.write(`the operator cannot start: ${error instanceof CannotStart ? error.message : 'unexpected error'}\n`)
      if (!(error instanceof CannotStart)) throw error
      process.exit(1)
    })
  }
}
