// What the gauges are computed from: the stores of one replica, as they are when somebody scrapes.

import type { CredentialRecord, Task } from '../core/observed.ts'
import { isAlive, phase } from '../core/record.ts'
import { type Instant, minus, seconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { CredentialRow, PolicyRow, Snapshot, TaskRow } from '../telemetry/snapshot.ts'
import { list, record } from './objects/fields.ts'
import type { PolicyObject } from './objects/kinds.ts'
import type { Operator } from './operator.ts'

const overdueAfter = seconds(60)

export function createSnapshot(operator: () => Operator | undefined, clock: Clock): Snapshot {
  return {
    *tasks(): Iterable<TaskRow> {
      const now = clock.now()
      for (const task of operator()?.watching.tasks.store.values() ?? []) yield taskRow(task, now)
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
    held: () => operator()?.held() ?? [],
    get ledgerLimit() {
      return operator()?.ledgerLimit ?? Number.POSITIVE_INFINITY
    },
    *policies() {
      const watching = operator()?.watching
      for (const object of watching?.clusterPolicies.store.values() ?? []) yield policyRow('Cluster', object)
      for (const object of watching?.namespacePolicies.store.values() ?? []) yield policyRow('Namespace', object)
    },
    policyChangedAt: () => operator()?.policyChangedAt(),
  }
}

/** A hundred thousand of these are made at a scrape. */
function taskRow({ namespace, name, record, report, deletedAt }: Task, now: Instant): TaskRow {
  const over = record.completedAt !== undefined
  const overdue = over && record.completedAt < minus(now, overdueAfter)
  const state = over ? 'Revoking' : phase(record) === 'delivered' ? 'Live' : 'Pending'
  const credentials: CredentialRow[] = []
  for (const credential of record.credentials) if (isAlive(credential, now)) credentials.push(credentialRow(credential, state, overdue))
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

function credentialRow({ name, provider, expiresAt, revocation }: CredentialRecord, state: string, overdue: boolean): CredentialRow {
  return { name, provider: provider.name, expiresAt, state, overdue: overdue && revocation.class !== 'ExpireOnly' }
}

function policyRow(scope: PolicyRow['scope'], { status, inForce }: PolicyObject): PolicyRow {
  const valid = list(status['conditions'])
    .map(record)
    .find(({ type }) => type === 'Valid')
  if (valid === undefined) return { scope, state: 'New' }
  return { scope, state: valid['status'] === 'True' ? 'Valid' : inForce === undefined ? 'Broken' : 'Outdated' }
}
