// One replica of the operator, put together: what is watched, what is done about it, and what happens as leadership comes and goes.

import type { Limits } from '../core/observed.ts'
import type { StatusLists } from '../issuer/statuslist/statuslist.ts'
import type { KubeClient } from '../kube/client.ts'
import { createDeadlines } from '../kube/deadlines.ts'
import { createElector, type Elector, type ElectorDeps } from '../kube/elector.ts'
import type { KubeObject } from '../kube/objects.ts'
import { createWrites } from '../kube/patch.ts'
import { createQueue, type Queue } from '../kube/queue.ts'
import type { Instant } from '../lib/instant.ts'
import type { Seal } from '../lib/seal.ts'
import type { PolicyEngine } from '../policy/engine.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { ReadHanded } from '../ports/handed.ts'
import type { Journal } from '../ports/journal.ts'
import type { Log } from '../ports/log.ts'
import type { Meter } from '../ports/meter.ts'
import type { FindProvider } from '../ports/provider.ts'
import type { Tracer } from '../ports/tracer.ts'
import { createApply } from './apply.ts'
import { createChores } from './chores.ts'
import { createDeparted } from './departed.ts'
import { createDoubt } from './doubt.ts'
import { createDrain, type Drain } from './drain.ts'
import { createWriteStatus } from './effects/status.ts'
import { createTakeBack } from './effects/takeback.ts'
import { createFences } from './fences.ts'
import { createFollowed } from './followed.ts'
import { createGather } from './gather.ts'
import { createHeld } from './held.ts'
import { createBulkhead } from './ledger/bulkhead.ts'
import { createHealth } from './ledger/health.ts'
import { createLedger, type Ledger } from './ledger/ledger.ts'
import { createNextLooks } from './next.ts'
import type { ProviderObject } from './objects/kinds.ts'
import { createOwnWrites } from './own.ts'
import { showPlaces } from './places.ts'
import { createPolicies, policyKindsOf } from './policies.ts'
import { problemsOf } from './problems.ts'
import { createProviderChecks } from './providers.ts'
import { createReconcile } from './reconcile.ts'
import { createAsker } from './requester.ts'
import { countTasks, type Measured } from './snapshot.ts'
import { type Document, names } from './storage.ts'
import { createTakeover, type Takeover } from './takeover.ts'
import { createTell } from './tell.ts'
import { tracedGather, tracedWriteStatus } from './traced.ts'
import { createTriggers } from './triggers.ts'
import { viewsOf } from './views.ts'
import { createWatching, freshness, type Watching } from './watching.ts'

export interface OperatorDeps {
  readonly client: KubeClient
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  readonly meter: Meter
  readonly tracer: Tracer
  readonly journal: Journal
  readonly engine: PolicyEngine
  readonly findProvider: FindProvider
  /** what providers of namespaces are handed */
  readonly readHanded: ReadHanded
  /** how many of one namespace are used */
  readonly namespaceProviders: number
  /** made by the caller, who also serves them; told here what lives */
  readonly statusLists: StatusLists
  /** a document in the operator's own namespace */
  readonly document: (name: string) => Document
  readonly seal: Seal
  /** what all handles of this installation begin with */
  readonly handlePrefix: string
  /** the most open rows of the ledger of one namespace at one provider */
  readonly ledgerLimit: number
  readonly election: Pick<
    ElectorDeps,
    'namespace' | 'name' | 'identity' | 'annotations' | 'leaseDuration' | 'renewDeadline' | 'retryPeriod'
  >
  readonly limits: Limits
  readonly concurrency: number
  /** empty for all */
  readonly namespaces: readonly string[]
}

export interface Operator {
  readonly watching: Watching
  readonly queue: Queue
  readonly elector: Elector
  readonly ledger: Pick<Ledger, 'rows'>
  readonly drain: Pick<Drain, 'draining'>
  start(): void
  stop(): Promise<void>
  /** whether this replica leads and has taken over */
  active(): boolean
  /** for whoever measures it */
  readonly measured: Measured
  /** what keeps it from being ready or alive, by name; empty when all is well */
  problems(): Readonly<Record<string, string>>
}

export function createOperator(deps: OperatorDeps): Operator {
  const { client, clock, entropy, log, meter, tracer, engine, statusLists, findProvider } = deps
  const { namespace } = deps.election
  const watching = createWatching({ client, clock, entropy, log, meter, namespaces: deps.namespaces, ownNamespace: namespace })
  const views = viewsOf(watching)
  const queue = createQueue({ clock, entropy, log, concurrency: deps.concurrency })
  const deadlines = createDeadlines<Instant>({ now: clock.now, fire: (key) => queue.add(key, 'end'), log })
  const looks = createNextLooks({ queue, deadlines, clock })
  const writes = createWrites(client)
  const departed = createDeparted()
  const own = createOwnWrites()
  const triggers = createTriggers({ views, queue, departed, leads: () => elector.isLeader(), isOwn: own.has })

  const elector = createElector({
    ...deps.election,
    client,
    clock,
    entropy,
    log,
    onGained: () => takeover.gained(),
    onLost: () => takeover.lost(),
  })
  const leads = (): boolean => takeover.active()

  const fences = createFences({
    client,
    policies: watching.admissionPolicies.store,
    bindings: watching.admissionBindings.store,
    probeNamespace: deps.namespaces[0] ?? 'default',
    document: deps.document(names.vouched),
    clock,
    log,
    changed: () => triggers.everything('resync'),
  })
  const changed = (): void => triggers.everything('end')
  const drain = createDrain({ ...deps, watching, departed, leads, changed, namespace, replica: deps.election.identity })
  const policyKinds = policyKindsOf(watching)
  const policies = createPolicies({ engine, kinds: policyKinds, writes, leads: () => elector.isLeader(), clock, log })
  const providers = createProviderChecks({
    store: views.providers,
    most: deps.namespaceProviders,
    findProvider,
    writes,
    absorb: (kind, object) =>
      void (kind === 'CredentialProvider' ? watching.namespaceProviders : watching.providers).reflector.absorb(object),
    leads: () => elector.isLeader(),
    clock,
    log,
    changed: providerChanged,
    well(object) {
      health.well(object.uid, object.key)
      return leads() ? ledger.works(object) : undefined
    },
  })
  function providerChanged(key: string): void {
    triggers.provider(key)
    ledger.provider(key)
  }

  const chores = createChores({ ...deps, watching, kinds: policyKinds, policies, providers, fences, triggers })

  const { workloads, resourceOf } = createFollowed({ client, clock, watching, triggers })
  const agentsByAccount = views.agents.index((agent) => [`${agent.namespace}/${agent.serviceAccount}`])
  const doubt = createDoubt({ client, resourceOf })
  const health = createHealth({ check: chores.checkProvider, changed: providerChanged })
  const notReady = (object: ProviderObject): string | undefined =>
    providers.notReady(object) ?? (health.stuck(object.uid) ? 'its source does not answer' : undefined)
  const ledger = createLedger({
    health,
    notReady,
    readHanded: deps.readHanded,
    leases: watching.leases.store,
    tasks: views.tasks,
    providers: views.providers,
    doubt,
    findProvider,
    client,
    writes,
    absorb: (object) => void watching.leases.reflector.absorb(object),
    document: deps.document,
    seal: deps.seal,
    leads,
    changed: looks.row,
    clock,
    entropy,
    journal: deps.journal,
    meter,
    tracer,
    log,
    calm: () => queue.depth().resync === 0,
    serves: (name) => deps.namespaces.length === 0 || deps.namespaces.includes(name),
    namespace,
    prefix: deps.handlePrefix,
    limit: deps.ledgerLimit,
  })
  const { hold, held } = createHeld({ leads, draining: drain.draining, stale: () => watching.stale(freshness), fences })
  const gather = tracedGather(
    tracer,
    createGather({
      views,
      leases: ledger.facts,
      workloads,
      doubt,
      authorizer: engine,
      policyPending: chores.policyPending,
      findProvider,
      notReady,
      asker: createAsker({
        vouchedSince: fences.vouchedSince,
        isAgent: (namespace, account) => agentsByAccount(`${namespace}/${account}`).size > 0,
      }),
      hold,
      draining: drain.draining,
      clock,
      meter,
      log,
      limits: deps.limits,
    }),
  )
  const absorbTask = (object: KubeObject) => void watching.tasks.reflector.absorb(object)
  const writeStatus = tracedWriteStatus(tracer, own.noting(createWriteStatus({ client, writes, leads, absorb: absorbTask })))
  const reconcile = createReconcile({
    views,
    departed,
    doubt,
    forget: (uid) => statusLists.forget(uid),
    gather,
    apply: createApply({
      views,
      gather,
      writes,
      leads,
      findProvider,
      clock,
      meter,
      tracer,
      writeStatus,
      ledger,
      health,
      bulkhead: createBulkhead(Math.max(1, Math.floor(deps.concurrency / 2)), queue.lend),
      handlePrefix: deps.handlePrefix,
    }),
    writeStatus,
    takeBack: createTakeBack({ client, writes, leads, writeStatus }),
    tell: createTell({ journal: deps.journal, meter, clock }),
    clock,
    log,
    meter,
    tracer,
  })

  const takeover: Takeover = createTakeover({
    elector,
    watching,
    policies,
    providers,
    fences,
    statusLists,
    log,
    done() {
      triggers.everything('resync')
      chores.checkNamespaceProviders()
      ledger.sweep()
    },
  })
  showPlaces(watching.tasks.store, statusLists)
  const census = countTasks(watching.tasks.store)

  async function work(key: string): Promise<void> {
    if (!leads()) return
    await looks.pass(reconcile, key)
  }

  let retiring: ReturnType<typeof setInterval> | undefined
  return {
    watching,
    queue,
    elector,
    ledger,
    drain,
    active: leads,
    measured: { held, census, ledgerLimit: deps.ledgerLimit, policyChangedAt: engine.lastChange },
    start() {
      watching.start()
      void queue.run(work)
      chores.start()
      ledger.start()
      drain.start()
      retiring = setInterval(() => void statusLists.retire(), 60_000)
      void watching.waitSynced().then((synced) => {
        if (synced) elector.start()
      })
    },
    async stop() {
      clearInterval(retiring)
      drain.stop()
      takeover.lost()
      // what waits for a source that does not answer must not keep a successor waiting: it writes nothing any more
      const outside = Promise.all([chores.stop(), ledger.stop()])
      await queue.shutdown('drop')
      deadlines.stop()
      await elector.stop()
      await outside
      await watching.stop()
    },
    problems: () => problemsOf(watching, engine),
  }
}
