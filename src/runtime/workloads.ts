// Watches the kinds that tasks name as workloads: Jobs and labelled Pods from the start, any other kind once a task names it.

import type { WorkloadFacts, WorkloadRef } from '../core/observed.ts'
import type { KubeClient } from '../kube/client.ts'
import { describeError, isForbidden, isNotFound } from '../kube/errors.ts'
import { pathOf, type Resource } from '../kube/objects.ts'
import { type Duration, seconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { Workload } from './objects/kinds.ts'
import type { Workloads } from './views.ts'

/** One kind that is being watched. */
export interface WatchedKind {
  get(key: string): Workload | undefined
  /** listed, and not too old to conclude anything from */
  inStep(): boolean
}

export interface WorkloadsDeps {
  readonly client: Pick<KubeClient, 'request'>
  readonly clock: Pick<Clock, 'monotonic'>
  /** Starts to watch a kind; its changes reach the queue by the caller's own subscription. */
  readonly watch: (resource: Resource, kind: string) => WatchedKind
  /** tells that something about a kind became known, so that waiting tasks are looked at again */
  readonly learned: (apiVersion: string, kind: string) => void
  /** kinds watched from the start, by `<apiVersion>/<kind>` */
  readonly known: ReadonlyMap<string, WatchedKind>
}

interface Kind {
  watched: WatchedKind | undefined
  problem: string | undefined
  asking: boolean
  askedAt: Duration
}

/** How long what discovery said of a kind that cannot be watched stands before it is asked again. */
const stands = seconds(60)

export function createWorkloads(deps: WorkloadsDeps): Workloads {
  const { client, clock } = deps
  const kinds = new Map<string, Kind>()

  function find({ apiVersion, kind }: WorkloadRef): Kind {
    const name = `${apiVersion}/${kind}`
    const found = kinds.get(name) ?? { watched: deps.known.get(name), problem: undefined, asking: false, askedAt: 0 as Duration }
    kinds.set(name, found)
    const due = found.problem === undefined || clock.monotonic() - found.askedAt > stands
    if (found.watched === undefined && !found.asking && due) void discover(apiVersion, kind, found)
    return found
  }

  async function discover(apiVersion: string, kind: string, found: Kind): Promise<void> {
    found.asking = true
    found.askedAt = clock.monotonic()
    const answer = await resourceOf(apiVersion, kind)
    if (typeof answer === 'string') found.problem = answer
    else {
      found.problem = undefined
      found.watched = deps.watch(answer, kind)
    }
    found.asking = false
    deps.learned(apiVersion, kind)
  }

  /** The plural of a kind, from the API server's discovery, if the operator may list it; or a sentence. */
  async function resourceOf(apiVersion: string, kind: string): Promise<Resource | string> {
    const core = !apiVersion.includes('/')
    const [group = '', version = ''] = core ? ['', apiVersion] : apiVersion.split('/')
    const path = core ? `/api/${version}` : `/apis/${group}/${version}`
    const listed = await client.request<{ resources?: readonly { name: string; kind: string; namespaced: boolean }[] }>({
      method: 'GET',
      path,
    })
    if (!listed.ok) return isNotFound(listed.failure) ? `this cluster does not serve \`${apiVersion}\`` : describeError(listed.failure)
    const resource = listed.value.body.resources?.find((r) => r.kind === kind && r.namespaced && !r.name.includes('/'))
    if (resource === undefined) return `this cluster serves no namespaced kind \`${kind}\` in \`${apiVersion}\``
    const found: Resource = { group, version, plural: resource.name }
    const probe = await client.request({ method: 'GET', path: pathOf(found), query: { limit: 1 } })
    if (!probe.ok && isForbidden(probe.failure))
      return `the operator may not list and watch \`${resource.name}.${group}\`; grant it get, list and watch of them`
    return probe.ok ? found : describeError(probe.failure)
  }

  return {
    look(namespace, ref): WorkloadFacts {
      const { watched, problem } = find(ref)
      if (watched === undefined)
        return problem === undefined ? { state: 'unknown' } : { state: 'unwatchable', message: `workload kind \`${ref.kind}\`: ${problem}` }
      if (!watched.inStep()) return { state: 'unknown' }
      const object = watched.get(`${namespace}/${ref.name}`)
      if (object === undefined) return { state: 'absent' }
      return { state: 'present', uid: object.uid, deleting: object.deleting, finished: object.finished }
    },
  }
}
