// What is kept in order beside the tasks: policies brought into force, providers checked, fences tried. One queue, few workers.

import { createQueue, type QueueDeps } from '../kube/queue.ts'
import { seconds } from '../lib/instant.ts'
import type { PolicyEngine } from '../policy/engine.ts'
import type { Fences } from './fences.ts'
import { createBulkhead } from './ledger/bulkhead.ts'
import type { Policies, PolicyKind } from './policies.ts'
import type { ProviderChecks } from './providers.ts'
import type { Triggers } from './triggers.ts'
import type { Watching } from './watching.ts'

export interface ChoresDeps extends Pick<QueueDeps, 'clock' | 'entropy' | 'log' | 'timers'> {
  readonly watching: Pick<Watching, 'providers' | 'namespaceProviders' | 'admissionPolicies' | 'admissionBindings'>
  readonly kinds: readonly PolicyKind[]
  readonly policies: Policies
  readonly providers: ProviderChecks
  readonly fences: Fences
  readonly engine: Pick<PolicyEngine, 'changedAt'>
  readonly triggers: Pick<Triggers, 'policies'>
}

export interface Chores {
  start(): void
  stop(): Promise<unknown>
  /** Has a provider checked soon; often asked, it is checked once a second at the most. */
  checkProvider(key: string): void
  /** Has all providers of namespaces checked, in their turn. */
  checkNamespaceProviders(): void
  /** whether a policy that applies in this namespace was seen and is not in force yet */
  policyPending(namespace: string): boolean
}

/** Together with what is asked for meanwhile. */
const soon = seconds(1)
const fencePeriod = seconds(60)
/** Checks of one namespace's providers, also those that nobody waits for any more. */
const atATime = 2

export function createChores(deps: ChoresDeps): Chores {
  const { watching, policies, providers, engine } = deps
  const queue = createQueue({ ...deps, concurrency: 4, groupOf: () => '' })
  /** for those providers whose sources are of namespaces: none of them may hold up anything else */
  const namespaceQueue = createQueue({ ...deps, concurrency: 8 })
  const pending = new Set<string>()
  // the check of a source that does not answer keeps neither another's check waiting nor a policy
  const check = createBulkhead(1, queue.lend)

  for (const kind of deps.kinds) {
    kind.store.subscribe(({ key, before, after }) => {
      const name = `${kind.scope} ${key}`
      if (before?.uid !== after?.uid || before?.generation !== after?.generation) pending.add(name)
      queue.add(name, 'end')
    })
  }
  watching.providers.store.subscribe(({ key }) => queue.add(`Provider ${key}`, 'new'))
  watching.namespaceProviders.store.subscribe(({ key }) => namespaceQueue.add(key, 'new'))
  for (const { store } of [watching.admissionPolicies, watching.admissionBindings]) {
    store.subscribe(({ key }) => {
      if (key.startsWith('taskbound-')) queue.add('Fences', 'end')
    })
  }

  async function policy(kind: PolicyKind, key: string): Promise<'done' | 'retry'> {
    const namespace = kind.scope === 'Namespace' ? key.slice(0, key.indexOf('/')) : undefined
    const before = engine.changedAt(namespace ?? '')
    const result = await policies.handle(kind, key)
    const wasPending = result === 'done' && pending.delete(`${kind.scope} ${key}`)
    if (wasPending || engine.changedAt(namespace ?? '') !== before) deps.triggers.policies(namespace)
    return result
  }

  async function provider(name: string): Promise<'done' | 'retry'> {
    const result = (await check(name, () => providers.check(name))) ?? 'retry'
    // a provider that is gone or changed may free an audience, or take one
    for (const other of providers.affected(name)) queue.add(`Provider ${other}`, 'new')
    return result
  }

  async function namespaceProvider(key: string): Promise<void> {
    if (providers.busy(key.slice(0, key.indexOf('/'))) >= atATime) return namespaceQueue.addAfter(key, soon, 'new')
    const result = await providers.check(key)
    for (const other of providers.affected(key)) namespaceQueue.add(other, 'new')
    if (result === 'retry') return namespaceQueue.retry(key)
    namespaceQueue.forget(key)
    const again = providers.again(key)
    if (again !== undefined) namespaceQueue.addAfter(key, again, 'resync')
  }

  async function work(key: string): Promise<void> {
    const [what = '', name = ''] = key.split(' ')
    if (what === 'Fences') {
      // until then nothing is issued
      if ((await deps.fences.check()) === 'unanswered') queue.addAfter('Fences', soon, 'end')
      else queue.addAfter('Fences', fencePeriod, 'resync')
      return
    }
    const kind = deps.kinds.find(({ scope }) => scope === what)
    const result = kind === undefined ? await provider(name) : await policy(kind, name)
    if (result === 'retry') queue.retry(key)
    else queue.forget(key)
    const again = kind === undefined ? providers.again(name) : undefined
    if (again !== undefined) queue.addAfter(key, again, 'resync')
  }

  return {
    checkProvider: (key) =>
      key.includes('/') ? namespaceQueue.addAfter(key, soon, 'new') : queue.addAfter(`Provider ${key}`, soon, 'new'),
    checkNamespaceProviders() {
      for (const key of watching.namespaceProviders.store.keys()) namespaceQueue.add(key, 'resync')
    },
    start() {
      void queue.run(work)
      void namespaceQueue.run(namespaceProvider)
      queue.add('Fences')
    },
    stop: () => Promise.all([queue.shutdown('drop'), namespaceQueue.shutdown('drop')]),
    policyPending: (namespace) =>
      pending.size > 0 && [...pending].some((name) => name.startsWith('Cluster ') || name.startsWith(`Namespace ${namespace}/`)),
  }
}
