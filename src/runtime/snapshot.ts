// What the gauges are computed from: the stores of one replica, as they are when somebody scrapes.

import { providerKey } from '../core/names.ts'
import type { CredentialRecord, Task } from '../core/observed.ts'
import { phase } from '../core/record.ts'
import type { StoreView } from '../kube/store.ts'
import { type Instant, plus, seconds } from '../lib/instant.ts'
import { type Census, createCensus } from '../telemetry/census.ts'
import type { CredentialRow, PolicyRow, Snapshot, TaskRow } from '../telemetry/snapshot.ts'
import { list, record } from './objects/fields.ts'
import type { PolicyObject } from './objects/kinds.ts'
import type { Operator } from './operator.ts'

const overdueAfter = seconds(60)

/** What an operator tells of itself beside its stores. */
export interface Measured extends Pick<Snapshot, 'held' | 'ledgerLimit' | 'policyChangedAt'> {
  readonly census: Census
}

export function createSnapshot(operator: () => Operator | undefined): Snapshot {
  const nobody = createCensus()
  return {
    census: () => operator()?.measured.census ?? nobody,
    *tasks() {
      for (const task of operator()?.watching.tasks.store.values() ?? []) yield taskRow(task)
    },
    leases: () => operator()?.ledger.rows() ?? [],
    queue: () => {
      const queue = operator()?.queue
      return { depth: queue?.depth() ?? {}, oldest: queue?.oldest() }
    },
    *watches() {
      for (const { resource, reflector } of operator()?.watching.all() ?? []) {
        const name = resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`
        yield { resource: name, lastProgress: reflector.lastProgress() }
      }
    },
    leader: () => operator()?.active() ?? false,
    held: () => operator()?.measured.held() ?? [],
    get ledgerLimit() {
      return operator()?.measured.ledgerLimit ?? Number.POSITIVE_INFINITY
    },
    *policies() {
      const watching = operator()?.watching
      for (const object of watching?.clusterPolicies.store.values() ?? []) yield policyRow('Cluster', object)
      for (const object of watching?.namespacePolicies.store.values() ?? []) yield policyRow('Namespace', object)
    },
    *providers() {
      for (const { name, ready } of operator()?.watching.providers.store.values() ?? []) yield { name, ready: ready?.status === 'True' }
    },
    policyChangedAt: () => operator()?.measured.policyChangedAt(),
  }
}

/** Counts tasks as they come, change and go. */
export function countTasks(tasks: Pick<StoreView<Task>, 'subscribe'>): Census {
  const census = createCensus()
  tasks.subscribe(({ before, after }) => census.change(before && taskRow(before), after && taskRow(after)))
  return census
}

/** The same for the same task, whenever it is asked. */
function taskRow({ namespace, name, record, report, deletedAt }: Task): TaskRow {
  const state = record.completedAt !== undefined ? 'Revoking' : phase(record) === 'delivered' ? 'Live' : 'Pending'
  const credentials: CredentialRow[] = []
  for (const one of record.credentials)
    if (one.revokedAt === undefined) credentials.push(credentialRow(namespace, one, state, record.completedAt))
  let [ready, issued]: (Task['report']['conditions'][number] | undefined)[] = []
  for (const condition of report.conditions) {
    if (condition.type === 'Ready') ready = condition
    else if (condition.type === 'Issued') issued = condition
  }
  return {
    namespace,
    name,
    state: ready?.reason ?? 'New',
    waiting: ready?.reason === 'Pending' ? { reason: issued?.reason ?? 'Waiting', since: ready.lastTransitionTime } : undefined,
    deletedAt,
    credentials,
  }
}

function credentialRow(namespace: string, credential: CredentialRecord, state: string, endedAt: Instant | undefined): CredentialRow {
  const { name, provider, expiresAt, revocation, handle } = credential
  const overdueAt = endedAt === undefined || revocation.class === 'ExpireOnly' ? undefined : plus(endedAt, overdueAfter)
  return { name, provider: providerKey(provider, namespace), expiresAt, lasting: handle !== undefined, state, overdueAt }
}

function policyRow(scope: PolicyRow['scope'], { status, inForce }: PolicyObject): PolicyRow {
  const valid = list(status['conditions'])
    .map(record)
    .find(({ type }) => type === 'Valid')
  if (valid === undefined) return { scope, state: 'New' }
  return { scope, state: valid['status'] === 'True' ? 'Valid' : inForce === undefined ? 'Broken' : 'Outdated' }
}
