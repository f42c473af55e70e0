// CredentialLease between the wire and the core: how a row is read, first written, and brought up to date.

import type { Reason } from '../../api/reasons.ts'
import type { Lease, LeaseState } from '../../core/lease.ts'
import { asUid, providerKey, toTaskKey } from '../../core/names.ts'
import type { KubeObject, Resource } from '../../kube/objects.ts'
import { at, formatTime, type Instant, parseTime } from '../../lib/instant.ts'
import type { Lease as Place } from '../../ports/provider.ts'
import { record as fields, number, text, words } from '../objects/fields.ts'

export const leasesResource: Resource = { group: 'taskbound.dev', version: 'v1alpha1', plural: 'credentialleases' }

/** By which an administrator gives up a row; its value is the reason. */
const irrevocable = 'taskbound.dev/irrevocable'

/** `undefined` for what cannot be a row. */
export function readLease(object: KubeObject): Lease | undefined {
  const { metadata } = object
  const spec = fields(object['spec'])
  const status = fields(object['status'])
  const [task, provider] = [fields(spec['task']), fields(spec['provider'])]
  const [handle, credential, attempt] = [text(spec['handle']), text(spec['credential']), number(spec['attempt'])]
  const [namespace, name, taskUid] = [text(task['namespace']), text(task['name']), text(task['uid'])]
  const [providerName, providerUid, type] = [text(provider['name']), text(provider['uid']), text(provider['type'])]
  const effectBy = parseTime(text(spec['effectBy']))
  if (handle === undefined || credential === undefined || attempt === undefined || effectBy === undefined) return undefined
  if (namespace === undefined || name === undefined || taskUid === undefined) return undefined
  if (providerName === undefined || providerUid === undefined || type === undefined) return undefined
  return {
    handle,
    uid: asUid(metadata.uid),
    resourceVersion: metadata.resourceVersion,
    createdAt: parseTime(metadata.creationTimestamp) ?? at(0),
    task: { key: toTaskKey(namespace, name), namespace, name, uid: asUid(taskUid) },
    agent: text(spec['agent']) ?? '',
    action: text(spec['action']) ?? '',
    credential,
    attempt,
    provider: { kind: text(provider['kind']) ?? '', name: providerName, uid: asUid(providerUid), type },
    effectBy,
    state: (text(status['state']) ?? 'Intended') as LeaseState,
    reference: text(status['reference']),
    issuedAt: parseTime(text(status['issueTime'])),
    expiresAt: parseTime(text(status['expirationTime'])),
    closedAt: parseTime(text(status['closeTime'])),
    foundDeadAt: parseTime(text(status['foundDeadTime'])),
    reason: text(status['reason']) as Reason | undefined,
    message: text(status['message']),
    acknowledged: words(metadata.annotations)[irrevocable]?.trim() || undefined,
  }
}

/** The provider object that it comes from, as it is told from all others. */
export const sourceOf = ({ provider, task }: Pick<Lease, 'provider' | 'task'>): { readonly uid: string; readonly key: string } => ({
  uid: provider.uid,
  key: providerKey(provider, task.namespace),
})

/** By which queues know a row: they are fair between namespaces of tasks. */
export const workKey = ({ task, handle }: Lease): string => `${task.namespace}/${handle}`

/** The row as its provider knows it. */
export const placeOf = ({ handle, effectBy, reference, task }: Lease): Place => ({
  handle,
  effectBy,
  namespace: task.namespace,
  ...(reference === undefined ? {} : { reference }),
})

export type Intent = Pick<Lease, 'handle' | 'task' | 'agent' | 'action' | 'credential' | 'attempt' | 'provider' | 'effectBy'>

export function leaseObject(intent: Intent, namespace: string, installation: string): object {
  const { task, provider } = intent
  return {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'CredentialLease',
    metadata: { name: intent.handle, namespace, labels: { 'app.kubernetes.io/managed-by': 'taskbound' } },
    spec: {
      handle: intent.handle,
      installation,
      task: { namespace: task.namespace, name: task.name, uid: task.uid },
      agent: intent.agent,
      action: intent.action,
      credential: intent.credential,
      attempt: intent.attempt,
      provider: { kind: provider.kind, name: provider.name, uid: provider.uid, type: provider.type },
      effectBy: formatTime(intent.effectBy),
    },
  }
}

/** The next status of a row; members that are `undefined` are to be absent. */
export interface LeaseStatus {
  readonly state: LeaseState
  readonly reference?: string
  readonly issuedAt?: Instant | undefined
  readonly expiresAt?: Instant | undefined
  readonly revokedAt?: Instant | undefined
  readonly closedAt?: Instant | undefined
  readonly foundDeadAt?: Instant
  readonly reason?: Reason | undefined
  readonly message?: string | undefined
}

/** A merge patch: what is not named is taken away, or kept where it says what was. */
export function leaseStatus(lease: Lease, next: LeaseStatus): Readonly<Record<string, unknown>> {
  const time = (value: Instant | undefined): string | null => (value === undefined ? null : formatTime(value))
  return {
    state: next.state,
    reference: next.reference ?? lease.reference ?? null,
    issueTime: time(next.issuedAt ?? lease.issuedAt),
    expirationTime: time(next.expiresAt ?? lease.expiresAt),
    revocationTime: time(next.revokedAt),
    closeTime: time(next.closedAt),
    foundDeadTime: time(next.foundDeadAt ?? lease.foundDeadAt),
    reason: next.reason ?? null,
    message: next.message?.slice(0, 4096) ?? null,
  }
}
