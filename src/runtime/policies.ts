// Takes policy objects into force: judges a new text, writes the version in force into the object's own status, and only then
// uses it, so that a restart cannot lose a guard-rail to a later typo.

import { describeError, isConflict, isNotFound } from '../kube/errors.ts'
import type { KubeObject, Resource } from '../kube/objects.ts'
import type { Writes } from '../kube/patch.ts'
import type { StoreView } from '../kube/store.ts'
import { formatTime } from '../lib/instant.ts'
import type { PolicyEngine } from '../policy/engine.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import { type Fields, list, record } from './objects/fields.ts'
import type { PolicyObject } from './objects/kinds.ts'
import { mergePatch } from './objects/merge.ts'
import type { Watched, Watching } from './watching.ts'

export interface PolicyKind {
  readonly scope: 'Cluster' | 'Namespace'
  readonly resource: Resource
  readonly store: StoreView<PolicyObject>
  readonly absorb: (object: KubeObject) => void
}

export interface PoliciesDeps {
  readonly engine: PolicyEngine
  readonly kinds: readonly PolicyKind[]
  readonly writes: Writes
  readonly leads: () => boolean
  readonly clock: Clock
  readonly log: Log
}

export interface Policies {
  /** Brings one object into force, or out of it where it is gone. `retry` where its status could not be written. */
  handle(kind: PolicyKind, key: string): Promise<'done' | 'retry'>
  /** All there are; `true` once each is in force or known to be broken. */
  handleAll(): Promise<boolean>
}

export function createPolicies(deps: PoliciesDeps): Policies {
  const { engine, clock, log } = deps

  async function handle(kind: PolicyKind, key: string): Promise<'done' | 'retry'> {
    const object = kind.store.get(key)
    const slash = key.indexOf('/')
    const namespace = kind.scope === 'Cluster' ? undefined : key.slice(0, slash)
    if (object === undefined || object.deleting) {
      engine.remove({ scope: kind.scope, namespace, name: key.slice(slash + 1) })
      return 'done'
    }
    const policy = { scope: kind.scope, namespace, name: object.name, text: object.cedar, mode: object.mode }
    const assessed = engine.assess(policy)
    const inForce = assessed.ok
      ? object.inForce?.digest === assessed.value.digest
        ? object.inForce
        : { generation: object.generation, digest: assessed.value.digest, text: object.cedar }
      : object.inForce
    const verdict = assessed.ok
      ? { status: 'True', reason: 'PolicyInForce', message: '' }
      : { status: 'False', reason: assessed.failure.reason, message: `${assessed.failure.message}; ${standing(inForce !== undefined)}` }
    if (deps.leads()) {
      const written = await writeStatus(kind, key, object, inForce, verdict)
      if (written !== 'done') {
        // what is recorded is what counts; without any record the object denies until it has one
        engine.enforce(policy, object.inForce?.text)
        return 'retry'
      }
    } else {
      // a version that is not recorded yet is used by nobody
      engine.enforce(policy, object.inForce?.text)
      return 'done'
    }
    engine.enforce(policy, inForce?.text)
    return 'done'
  }

  async function writeStatus(
    kind: PolicyKind,
    key: string,
    object: PolicyObject,
    inForce: PolicyObject['inForce'],
    verdict: { readonly status: string; readonly reason: string; readonly message: string },
  ): Promise<'done' | 'retry'> {
    const old = list(object.status['conditions'])
      .map(record)
      .find((c) => c['type'] === 'Valid')
    const lastTransitionTime = old?.['status'] === verdict.status ? old['lastTransitionTime'] : formatTime(clock.now())
    const wanted: Fields = {
      observedGeneration: object.generation,
      inForce,
      conditions: [{ type: 'Valid', ...verdict, observedGeneration: object.generation, lastTransitionTime }],
    }
    const patch = mergePatch(object.status, wanted)
    if (patch === undefined) return 'done'
    const place = { resource: kind.resource, name: object.name, ...(kind.scope === 'Cluster' ? {} : { namespace: object.namespace }) }
    const written = await deps.writes.patchStatus(place, object.resourceVersion, patch)
    if (written.ok) {
      kind.absorb(written.value)
      return 'done'
    }
    if (!isConflict(written.failure) && !isNotFound(written.failure))
      log.warn('the status of a policy could not be written', { key, reason: describeError(written.failure) })
    return 'retry'
  }

  return {
    handle,
    async handleAll() {
      const results = await Promise.all(deps.kinds.flatMap((kind) => [...kind.store.keys()].map((key) => handle(kind, key))))
      return results.every((result) => result === 'done')
    },
  }
}

const standing = (held: boolean): string =>
  held ? 'the last valid version stays in force' : 'it never had a valid version, so everything in its scope is denied until it does'

export function policyKindsOf(watching: Pick<Watching, 'clusterPolicies' | 'namespacePolicies'>): readonly PolicyKind[] {
  const kind = (scope: PolicyKind['scope'], { resource, store, reflector }: Watched<PolicyObject>): PolicyKind => ({
    scope,
    resource,
    store,
    absorb: (object) => void reflector.absorb(object),
  })
  return [kind('Cluster', watching.clusterPolicies), kind('Namespace', watching.namespacePolicies)]
}
