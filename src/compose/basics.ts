// What every part is built from: who we are, the way to the API server, what is told of all that happens. Decides nothing.

import type { Settings } from '../config/settings.ts'
import { systemClock as clock, systemEntropy as entropy } from '../config/system.ts'
import { handlePrefix } from '../core/lease.ts'
import { createKubeClient, type KubeClient } from '../kube/client.ts'
import { loadKubeConfig } from '../kube/config.ts'
import { describeError, isAlreadyExists } from '../kube/errors.ts'
import { type KubeObject, pathOf } from '../kube/objects.ts'
import { ok, type Result } from '../lib/result.ts'
import type { Log } from '../ports/log.ts'
import { noTracer, type Tracer } from '../ports/tracer.ts'
import { createAudit, openAuditFile } from '../telemetry/audit.ts'
import { createEvents } from '../telemetry/events.ts'
import { createJournal } from '../telemetry/journal.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'

export const version = '0.1.0'
/** Put in place of the name when the bundle is made; a run from a checkout has none. */
declare const taskboundRevision: string | undefined
export const revision = typeof taskboundRevision === 'string' ? taskboundRevision : 'unknown'
/** A start that cannot go on: its message is a sentence for whoever starts the operator. */
export class CannotStart extends Error {
  override readonly name = 'CannotStart'
}

export function must<T>(result: Result<T, string>): T {
  if (!result.ok) throw new CannotStart(result.failure)
  return result.value
}

export async function buildClient(settings: Settings, metrics: Metrics | undefined, tracer: Tracer = noTracer): Promise<KubeClient> {
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

/** What all handles of this installation begin with: it follows from the cluster and the operator's namespace, so a reinstallation has the same. */
export async function findHandlePrefix(settings: Settings, client: KubeClient): Promise<string> {
  const path = pathOf({ group: '', version: 'v1', plural: 'namespaces' }, { name: 'kube-system' })
  const found = await client.request<KubeObject>({ method: 'GET', path })
  if (!found.ok) throw new CannotStart(`the namespace \`kube-system\` cannot be read: ${describeError(found.failure)}`)
  return handlePrefix(found.value.body.metadata.uid, settings.namespace)
}

export function buildJournal(settings: Settings, client: KubeClient, metrics: Metrics, log: Log) {
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
export async function buildTracing({ tracesUrl: url, replica, namespace }: Settings, log: Log): Promise<Tracing | undefined> {
  if (url === undefined) return undefined
  const { createTracing } = await import('../telemetry/tracing.ts')
  return createTracing({ url, version, replica, namespace, log })
}
