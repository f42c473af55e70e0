// Builds the stores and reflectors of one replica: what is watched, how much of each object is kept, and whether it is all in step.

import type { Lease } from '../core/lease.ts'
import type { Task } from '../core/observed.ts'
import type { KubeClient } from '../kube/client.ts'
import type { KubeObject, Resource } from '../kube/objects.ts'
import { createReflector, type Reflector } from '../kube/reflector.ts'
import { createStore, type Store } from '../kube/store.ts'
import type { Duration } from '../lib/instant.ts'
import { milliseconds, seconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { Meter } from '../ports/meter.ts'
import { type Mode, modeName, readMode } from './drain.ts'
import type { AdmissionObject } from './fences.ts'
import { leasesResource, readLease } from './ledger/rows.ts'
import {
  type Agent,
  type Known,
  type Namespace,
  type Pod,
  type PolicyObject,
  type ProviderObject,
  readAgent,
  readJob,
  readKnown,
  readNamespace,
  readNamespaceProvider,
  readOther,
  readPod,
  readPolicy,
  readProvider,
  type Workload,
} from './objects/kinds.ts'
import { readTask } from './objects/task.ts'

/** A kind that is watched: its store, and what keeps it in step. */
export interface Watched<T> {
  readonly resource: Resource
  readonly store: Store<T>
  readonly reflector: Reflector
}

export interface WatchingDeps {
  readonly client: KubeClient
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  readonly meter: Pick<Meter, 'watchRestarted'>
  /** empty for all */
  readonly namespaces: readonly string[]
  /** the operator's own: where the ledger is */
  readonly ownNamespace: string
}

export interface Watching {
  readonly tasks: Watched<Task>
  readonly agents: Watched<Agent>
  readonly serviceAccounts: Watched<Known>
  readonly namespaces: Watched<Namespace>
  readonly pods: Watched<Pod>
  readonly jobs: Watched<Workload>
  readonly providers: Watched<ProviderObject>
  /** those of namespaces */
  readonly namespaceProviders: Watched<ProviderObject>
  readonly namespacePolicies: Watched<PolicyObject>
  readonly clusterPolicies: Watched<PolicyObject>
  readonly leases: Watched<Lease>
  readonly admissionPolicies: Watched<AdmissionObject>
  readonly admissionBindings: Watched<AdmissionObject>
  /** the object by which an administrator has everything ended */
  readonly mode: Watched<Mode>
  /** Watches one more workload kind, from now on. */
  workload(resource: Resource): Watched<Workload>
  all(): readonly Watched<unknown>[]
  /** whether every kind that all decisions depend on was listed at least once */
  waitSynced(): Promise<boolean>
  unsynced(): string | undefined
  start(): void
  stop(): Promise<void>
  /** plural of a kind that every decision depends on and that made no progress for `limit`; `undefined` when all did */
  stale(limit: Duration): string | undefined
  /** Consistent lists, that begin after this call, of every kind that all decisions depend on. */
  relist(): Promise<boolean>
}

const group = 'taskbound.dev'
const version = 'v1alpha1'
const own = (plural: string): Resource => ({ group, version, plural })
const core = (plural: string): Resource => ({ group: '', version: 'v1', plural })
const admission = (plural: string): Resource => ({ group: 'admissionregistration.k8s.io', version: 'v1', plural })

export function createWatching(deps: WatchingDeps): Watching {
  const watched: Watched<unknown>[] = []
  const vitals: Watched<unknown>[] = []
  const { client, clock, entropy, log, meter } = deps
  let started = false

  function watch<T>(
    resource: Resource,
    decode: (object: KubeObject) => T | undefined,
    options: {
      readonly clusterScoped?: boolean
      readonly metadataOnly?: boolean
      readonly labelSelector?: string
      readonly fieldSelector?: string
      /** instead of the namespaces that are watched */
      readonly namespaces?: readonly string[]
      /** every decision depends on it */
      readonly vital?: boolean
    } = {},
  ): Watched<T> {
    const { clusterScoped = false, vital = true, namespaces = deps.namespaces, ...rest } = options
    const store = createStore<T>({ log })
    const scope = clusterScoped || namespaces.length === 0 ? {} : { namespaces }
    const onAbsent = (gone: number, held: number): void => {
      if (gone > few && gone > held / 5)
        log.error('more than a fifth is gone in one list; each is confirmed before anything of it dies', {
          resource: resource.plural,
          gone,
          held,
        })
    }
    const reflector = createReflector<T>({
      client,
      onAbsent,
      idleTimeout,
      resource: { ...resource, ...scope },
      decode,
      store,
      clock,
      entropy,
      log,
      meter,
      ...rest,
    })
    const made = { resource, store, reflector }
    watched.push(made)
    if (vital) vitals.push(made)
    if (started) reflector.start()
    return made
  }

  const bound = { clusterScoped: true, metadataOnly: true }
  return {
    tasks: watch(own('agenttasks'), readTask),
    agents: watch(own('agents'), readAgent),
    serviceAccounts: watch(core('serviceaccounts'), readKnown, { metadataOnly: true }),
    namespaces: watch(core('namespaces'), readNamespace, { clusterScoped: true, metadataOnly: true }),
    pods: watch(core('pods'), readPod, { labelSelector: 'taskbound.dev/task' }),
    jobs: watch({ group: 'batch', version: 'v1', plural: 'jobs' }, readJob),
    providers: watch(own('clustercredentialproviders'), readProvider, { clusterScoped: true }),
    namespaceProviders: watch(own('credentialproviders'), readNamespaceProvider),
    namespacePolicies: watch(own('agentpolicies'), readPolicy),
    clusterPolicies: watch(own('clusteragentpolicies'), readPolicy, { clusterScoped: true }),
    leases: watch(leasesResource, readLease, { namespaces: [deps.ownNamespace] }),
    admissionPolicies: watch(admission('validatingadmissionpolicies'), readAdmission, bound),
    admissionBindings: watch(admission('validatingadmissionpolicybindings'), readAdmission, bound),
    mode: watch(core('configmaps'), readMode, { namespaces: [deps.ownNamespace], fieldSelector: `metadata.name=${modeName}` }),
    // somebody may name a kind that cannot be listed: only the tasks that name it wait for it
    workload: (resource) => watch(resource, readOther, { vital: false }),
    all: () => watched,
    waitSynced: async () => (await Promise.all(vitals.map(({ reflector }) => reflector.waitSynced()))).every(Boolean),
    unsynced: () => vitals.find(({ reflector }) => !reflector.synced())?.resource.plural,
    start() {
      started = true
      for (const { reflector } of watched) reflector.start()
    },
    stop: async () => void (await Promise.all(watched.map(({ reflector }) => reflector.stop()))),
    stale(limit) {
      const now = clock.monotonic()
      const late = vitals.find(({ reflector }) => {
        const progress = reflector.lastProgress()
        return progress === undefined || milliseconds(now - progress) > limit
      })
      return late?.resource.plural
    },
    relist: async () => (await Promise.all(vitals.map(({ reflector }) => reflector.relist()))).every(Boolean),
  }
}

/** Below `freshness`, so that a watch that fell silent is resumed before issuing has to stop for it. */
const idleTimeout = seconds(75)
/** Deletions so few in one list are nothing to alarm about. */
const few = 20

/** How old a view may be that something is issued on. */
export const freshness = seconds(90)

function readAdmission(object: KubeObject): AdmissionObject | undefined {
  const known = readKnown(object)
  return known === undefined
    ? undefined
    : { name: known.name, uid: known.uid, createdAt: known.createdAt, generation: object.metadata.generation ?? 0 }
}
