// The coordination.k8s.io Lease as one record, and what each candidate may write into it. Pure: the elector decides when.

import type { Instant } from '../lib/instant.ts'
import type { KubeObject, Resource } from './objects.ts'

export const kubeLeases: Resource = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' }

/** What a KubeLease says. An empty holder means that it was given back. */
export interface LeaseRecord {
  readonly holder: string
  readonly durationSeconds: number
  readonly transitions: number
  readonly annotations: Readonly<Record<string, string>>
  readonly resourceVersion: string
}

interface LeaseSpec {
  readonly holderIdentity?: string
  readonly leaseDurationSeconds?: number
  readonly leaseTransitions?: number
  readonly acquireTime?: string
}

export function readLease(object: KubeObject): LeaseRecord {
  const spec = (object['spec'] ?? {}) as LeaseSpec
  return {
    holder: spec.holderIdentity ?? '',
    durationSeconds: spec.leaseDurationSeconds ?? 0,
    transitions: spec.leaseTransitions ?? 0,
    annotations: object.metadata.annotations ?? {},
    resourceVersion: object.metadata.resourceVersion,
  }
}

/**
 * The object to write: from `observed` with its resourceVersion, so that whoever read an older one is refused, or new.
 * Fields and labels that others put there stay.
 */
export function writtenLease(
  at: { readonly namespace: string; readonly name: string },
  observed: KubeObject | undefined,
  record: Omit<LeaseRecord, 'resourceVersion'>,
  now: Instant,
  acquires: boolean,
): unknown {
  const spec = (observed?.['spec'] ?? {}) as LeaseSpec
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      ...(observed?.metadata ?? at),
      annotations: { ...observed?.metadata.annotations, ...record.annotations },
    },
    spec: {
      ...spec,
      holderIdentity: record.holder,
      leaseDurationSeconds: record.durationSeconds,
      leaseTransitions: record.transitions,
      acquireTime: acquires ? formatMicroTime(now) : spec.acquireTime,
      renewTime: formatMicroTime(now),
    },
  }
}

/** RFC 3339 with microseconds, as `metav1.MicroTime` is written. */
function formatMicroTime(time: Instant): string {
  return new Date(time).toISOString().replace('Z', '000Z')
}
