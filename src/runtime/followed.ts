// Which kinds are followed as workloads: Jobs and Pods from the start, any other from the first task that names it.

import type { WorkloadRef } from '../core/observed.ts'
import type { KubeClient } from '../kube/client.ts'
import type { Resource } from '../kube/objects.ts'
import type { Clock } from '../ports/clock.ts'
import type { Workload } from './objects/kinds.ts'
import type { Triggers } from './triggers.ts'
import type { Workloads } from './views.ts'
import { freshness, type Watched, type Watching } from './watching.ts'
import { createWorkloads, type WatchedKind } from './workloads.ts'

export interface FollowedDeps {
  readonly client: KubeClient
  readonly clock: Clock
  readonly watching: Watching
  readonly triggers: Triggers
}

export interface Followed {
  readonly workloads: Workloads
  /** of a kind that is followed */
  resourceOf(ref: WorkloadRef): Resource | undefined
}

export function createFollowed({ client, clock, watching, triggers }: FollowedDeps): Followed {
  const kinds = new Map<string, WatchedKind>([
    ['batch/v1/Job', watchedKind(watching.jobs, clock)],
    ['v1/Pod', watchedKind(watching.pods, clock)],
  ])
  triggers.follow('Job', watching.jobs.store)
  triggers.follow('Pod', watching.pods.store)
  const resources = new Map([
    ['batch/v1/Job', watching.jobs.resource],
    ['v1/Pod', watching.pods.resource],
  ])
  const workloads = createWorkloads({
    client,
    clock,
    known: kinds,
    learned: triggers.kind,
    watch(resource, kind) {
      const watched = watching.workload(resource)
      resources.set(`${resource.group === '' ? '' : `${resource.group}/`}${resource.version}/${kind}`, resource)
      triggers.follow(kind, watched.store)
      void watched.reflector.waitSynced().then(() => triggers.kind('', kind))
      return watchedKind(watched, clock)
    },
  })
  return { workloads, resourceOf: (ref) => resources.get(`${ref.apiVersion}/${ref.kind}`) }
}

function watchedKind(watched: Watched<Workload>, clock: Clock): WatchedKind {
  const { reflector, store } = watched
  return {
    get: (key) => store.get(key),
    inStep() {
      const progress = reflector.lastProgress()
      return reflector.synced() && progress !== undefined && clock.monotonic() - progress <= freshness
    },
  }
}
