// What one replica knows of the cluster, as its stores have it, and the few live reads that settle a doubt. No writes.

import type { Presence, Task, WorkloadFacts, WorkloadRef } from '../core/observed.ts'
import type { StoreView } from '../kube/store.ts'
import { createUnion } from '../kube/union.ts'
import type { Agent, Known, Namespace, Pod, PolicyObject, ProviderObject } from './objects/kinds.ts'
import type { Watching } from './watching.ts'

export interface Views {
  readonly tasks: StoreView<Task>
  readonly agents: StoreView<Agent>
  readonly serviceAccounts: StoreView<Known>
  readonly namespaces: StoreView<Namespace>
  readonly pods: StoreView<Pod>
  /** of the cluster and of all namespaces, by `key` */
  readonly providers: StoreView<ProviderObject>
  readonly namespacePolicies: StoreView<PolicyObject>
  readonly clusterPolicies: StoreView<PolicyObject>
}

/** The objects that tasks name as their workloads, of whatever kind. */
export interface Workloads {
  /** What is known; starts to watch the kind when it is named for the first time, and says `unknown` until that is in step. */
  look(namespace: string, ref: WorkloadRef): WorkloadFacts
}

/** One live GET, where a store's silence is not enough to end something: `unknown` where the API server did not answer. */
export interface Doubt {
  task(namespace: string, name: string): Promise<Presence>
  agent(namespace: string, name: string): Promise<Presence>
  serviceAccount(namespace: string, name: string): Promise<Presence>
  workload(namespace: string, ref: WorkloadRef): Promise<Presence>
}

export const viewsOf = (watching: Watching): Views => ({
  tasks: watching.tasks.store,
  agents: watching.agents.store,
  serviceAccounts: watching.serviceAccounts.store,
  namespaces: watching.namespaces.store,
  pods: watching.pods.store,
  providers: createUnion(watching.providers.store, watching.namespaceProviders.store),
  namespacePolicies: watching.namespacePolicies.store,
  clusterPolicies: watching.clusterPolicies.store,
})
