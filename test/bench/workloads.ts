// What is asked of a contestant: lives at a load, single ends in the middle of a burst, tasks that a restarted operator finds.
// Each has a namespace of its own, empties it afterwards, and measures alike whoever does the work.

import { api, merge, type Sample, type Side } from './contestants.ts'
import { type Answer, type Driver, drive, perSecond, type Seen, type Spread, spread, until } from './driver.ts'

export interface Workload {
  readonly name: string
  readonly count: number
  /** `alone`: the next one begins when the Secret of the one before was seen */
  readonly load: { readonly rate: number } | { readonly inFlight: number } | 'alone'
}

export interface Figures {
  readonly secret: Spread
  readonly secretsPerSecond: number
  readonly gone: Spread
  readonly gonePerSecond: number
}

/** Milliseconds that the last Secret of a workload may take. */
const patience = 180_000

export interface Bench {
  readonly driver: Driver
  /** of the provider and of the label that it admits; prefix of namespaces */
  readonly name: string
}

export interface Place {
  readonly namespace: string
  readonly seen: Seen
  create(i: number, side: Side): Promise<void>
  end(i: number, side: Side): Promise<void>
  readonly acknowledged: ReadonlyMap<string, number>
  readonly ended: ReadonlyMap<string, number>
  /** Nothing of it is left for the operator of a later run to find. */
  empty(): Promise<void>
}

let serial = 0
const secretOf = (i: number): string => `taskbound-t${i}`

async function prepare({ driver, name }: Bench): Promise<Place> {
  serial += 1
  const namespace = `${name}-${serial}`
  await driver.call('POST', '/api/v1/namespaces', { metadata: { name: namespace, labels: { [`bench.taskbound.dev/${name}`]: 'yes' } } })
  await driver.call('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'agent' } })
  const spec = { serviceAccountName: 'agent', owner: 'bench' }
  await driver.call('POST', `${api}/namespaces/${namespace}/agents`, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'Agent',
    metadata: { name: 'agent' },
    spec,
  })
  const seen = await driver.watch(namespace)
  const tasks = `${api}/namespaces/${namespace}/agenttasks`
  const [acknowledged, ended] = [new Map<string, number>(), new Map<string, number>()]
  return {
    namespace,
    seen,
    acknowledged,
    ended,
    async create(i, side) {
      const { metadata } = await driver.call('POST', tasks, task(`t${i}`, name))
      acknowledged.set(secretOf(i), performance.now())
      await side.created?.(driver, namespace, metadata)
    },
    async end(i, side) {
      await driver.call('PATCH', `${tasks}/t${i}`, { spec: { end: 'Completed' } }, { type: merge })
      ended.set(secretOf(i), performance.now())
      await side.ended?.(driver, namespace, `t${i}`)
    },
    async empty() {
      seen.stop()
      await driver.call('DELETE', tasks)
    },
  }
}

const task = (name: string, provider: string): object => ({
  apiVersion: 'taskbound.dev/v1alpha1',
  kind: 'AgentTask',
  metadata: { name },
  spec: {
    agentRef: { name: 'agent' },
    action: 'bench.run',
    credentials: [
      {
        name: 'api',
        providerRef: { kind: 'ClusterCredentialProvider', name: provider },
        audience: 'https://bench.example',
        scopes: ['run'],
      },
    ],
  },
})

/** Creates, waits for each Secret, ends each task, waits for each Secret to go. */
export async function lives(bench: Bench, { count, load }: Workload, side: Side): Promise<Figures> {
  const place = await prepare(bench)
  const { seen } = place
  const [pace, alone] = load === 'alone' ? [{ inFlight: 1 }, true] : [load, false]
  const began = performance.now()
  await drive(count, pace, async (i) => {
    await place.create(i, side)
    if (alone) await seen.wait('made', secretOf(i))
  })
  await until(() => seen.made.size >= count, patience)
  await side.settled?.()
  const ending = performance.now()
  await drive(count, pace, async (i) => {
    await place.end(i, side)
    if (alone) await seen.wait('gone', secretOf(i))
  })
  await until(() => seen.gone.size >= count, patience)
  await side.settled?.()
  await place.empty()
  return {
    secret: spread(place.acknowledged, seen.made),
    secretsPerSecond: perSecond(seen.made, began),
    gone: spread(place.ended, seen.gone),
    gonePerSecond: perSecond(seen.gone, ending),
  }
}

/** Ends ten tasks a second, that live already, while others are created 16 at a time: how long each ended one's Secret stays. */
export async function endsInBurst(bench: Bench, { burst, ends }: { burst: number; ends: number }, side: Side): Promise<Spread> {
  const place = await prepare(bench)
  await drive(ends, { inFlight: 8 }, (i) => place.create(i, side))
  await until(() => place.seen.made.size >= ends, patience)
  await side.settled?.()
  await Promise.all([
    drive(burst, { inFlight: 16 }, (i) => place.create(ends + i, side)),
    drive(ends, { rate: 10 }, (i) => place.end(i, side)),
  ])
  await until(() => place.seen.gone.size >= ends && place.seen.made.size >= ends + burst, patience)
  await side.settled?.()
  await place.empty()
  await side.settled?.()
  return spread(place.ended, place.seen.gone)
}

/** Leaves so many tasks alive, each with its Secret. */
export async function live(bench: Bench, count: number, side: Side): Promise<Place> {
  const place = await prepare(bench)
  await drive(count, { inFlight: 16 }, (i) => place.create(i, side))
  await until(() => place.seen.made.size >= count, patience)
  await side.settled?.()
  return place
}

/** A cluster policy forbids all tasks of a place: from the answer to its change until each one's Secret is gone. */
export async function forbid({ seen }: Place, change: () => Promise<void>, side: Side): Promise<Spread> {
  await change()
  const at = performance.now()
  await until(() => [...seen.made.keys()].every((name) => seen.gone.has(name)), patience)
  await side.settled?.()
  return spread(new Map([...seen.made.keys()].map((name) => [name, at])), seen.gone)
}

/** Watches the operator through one life and keeps what it wrote. */
export async function sample(bench: Bench, side: Side): Promise<Sample> {
  const { driver } = bench
  const place = await prepare(bench)
  const root = `${api}/namespaces/${place.namespace}/agenttasks`
  const statuses: NonNullable<Answer['status']>[] = []
  const stop = await driver.follow(root, (_type, { status }) => {
    if (status !== undefined && JSON.stringify(status) !== JSON.stringify(statuses.at(-1))) statuses.push(status)
  })
  await place.create(0, side)
  await place.seen.wait('made', secretOf(0))
  await side.settled?.()
  const { metadata } = await driver.call('GET', `${root}/t0`)
  const { metadata: kept, data } = await driver.call('GET', `/api/v1/namespaces/${place.namespace}/secrets/${secretOf(0)}`)
  await place.end(0, side)
  await place.seen.wait('gone', secretOf(0))
  await side.settled?.()
  stop()
  await place.empty()
  const [intent, active, over] = statuses
  if (intent === undefined || active === undefined || over === undefined || statuses.length > 3)
    throw new Error(`a life has three writes of status, this one had ${statuses.length}`)
  // of the same size, but no credential
  const filler = Object.fromEntries(Object.entries(data ?? {}).map(([key, value]) => [key, 'A'.repeat(value.length - (value.length % 4))]))
  const { name, labels = {}, annotations = {}, ownerReferences = [] } = kept
  return {
    task: { name: metadata.name, namespace: place.namespace, uid: metadata.uid },
    secret: { metadata: { name, labels, annotations, ownerReferences }, type: 'Opaque', data: filler },
    intent: { status: intent },
    active: { status: changed(intent, active) },
    over: { status: changed(active, over) },
  }
}

const changed = (before: NonNullable<Answer['status']>, after: NonNullable<Answer['status']>): object =>
  Object.fromEntries([
    ...Object.keys(before).flatMap((key) => (key in after ? [] : [[key, null]])),
    ...Object.entries(after).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(before[key])),
  ])
