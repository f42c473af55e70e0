// What may happen in a world: people and workloads act, policy flips, caches move, replicas work, fail and die, time passes.
// Commands are plain data, so that a failing run shrinks and prints.

import fc from 'fast-check'
import { isOpen } from '../../../src/core/lease.ts'
import { secretName, toTaskKey } from '../../../src/core/names.ts'
import type { Task, TaskSpec } from '../../../src/core/observed.ts'
import { seconds } from '../../../src/lib/instant.ts'
import { unreachable } from '../../../src/lib/unreachable.ts'
import { makeCredential, makeTask } from '../make.ts'
import { kinds, type Objects } from './server.ts'
import type { Fate, World } from './world.ts'

const names = ['a', 'b'] as const
type Name = (typeof names)[number]

export type Command =
  | { readonly do: 'act'; readonly what: Deed; readonly task: Name }
  | { readonly do: 'change'; readonly what: Event }
  | {
      readonly do: 'policy'
      readonly issue: Objects['policies']['issue']
      readonly renew: Objects['policies']['renew']
      readonly permitted: boolean
    }
  | { readonly do: 'work'; readonly replica: number; readonly steps: number; readonly choice: number }
  | { readonly do: 'fault'; readonly replica: number; readonly fate: Fate; readonly choice: number }
  | { readonly do: 'see'; readonly replica: number; readonly kind: number | 'all'; readonly changes: number }
  | { readonly do: 'pause' | 'resume' | 'crash' | 'seize'; readonly replica: number }
  | { readonly do: 'pass time'; readonly seconds: number }
  | { readonly do: 'jump'; readonly seconds: number }
  | { readonly do: 'land'; readonly choice: number }

type Context = World & { readonly name: Name; readonly shape: Shape }

function edit({ server, name }: Context, over: Partial<Task>, spec: Partial<TaskSpec> = {}): void {
  const task = server.objects.tasks.get(name)?.value
  if (task !== undefined) server.put('tasks', name, { ...task, ...over, generation: task.generation + 1, spec: { ...task.spec, ...spec } })
}

/** `spec.end` is settable once. */
function end(context: Context, how: 'Completed' | 'Cancelled'): void {
  edit(context, {}, { end: context.server.objects.tasks.get(context.name)?.value.spec.end ?? how })
}

function change<K extends 'jobs' | 'agents' | 'providers'>({ server }: World, kind: K, key: string, over: Partial<Objects[K]>): void {
  const object = server.objects[kind].get(key)?.value
  if (object !== undefined) server.put(kind, key, { ...object, ...over } as Objects[K])
}

const newJob = ({ server, name }: Context) => server.put('jobs', name, { uid: server.newUid('job'), deleting: false, finished: undefined })

/** What people and workloads do about one task. */
const deeds = {
  create: (c: Context) => create(c, c.name, c.shape),
  delete: ({ server, name }: Context) => server.remove('tasks', name),
  'delete slowly': (c: Context) => edit(c, { deleting: true }),
  complete: (c: Context) => end(c, 'Completed'),
  cancel: (c: Context) => end(c, 'Cancelled'),
  suspend: (c: Context) => edit(c, {}, { suspend: true }),
  resume: (c: Context) => edit(c, {}, { suspend: false }),
  'keep for a while': (c: Context) => edit(c, {}, { ttlAfterFinished: seconds(30) }),
  'job appears': (c: Context) => c.server.objects.jobs.has(c.name) || newJob(c),
  'job succeeds': (c: Context) => change(c, 'jobs', c.name, { finished: 'Succeeded' }),
  'job fails': (c: Context) => change(c, 'jobs', c.name, { finished: 'Failed' }),
  'job is being deleted': (c: Context) => change(c, 'jobs', c.name, { deleting: true }),
  'job is deleted': ({ server, name }: Context) => server.remove('jobs', name),
  'job is replaced': (c: Context) => {
    c.server.remove('jobs', c.name)
    newJob(c)
  },
  'Secret is deleted by hand': ({ server, name }: Context) => server.dropSecret(secretName(name)),
  'Secret of somebody else appears': ({ server, name }: Context) => server.secrets.has(secretName(name)) || server.plant(secretName(name)),
  'row is given up': ({ server, name }: Context) => {
    const row = [...server.objects.leases.values()].findLast(({ value }) => value.task.name === name && isOpen(value))?.value
    if (row !== undefined) server.giveUp(row)
  },
  'role is ended by somebody else': ({ server, name }: Context) => {
    const row = [...server.objects.leases.values()].findLast(({ value }) => value.task.name === name && isOpen(value))?.value
    if (row !== undefined && !server.source.down) server.source.killOutside(row.handle)
  },
  'Secret of somebody else goes': ({ server, name }: Context) =>
    server.secrets.get(secretName(name))?.owner === undefined && server.dropSecret(secretName(name)),
} as const
type Deed = keyof typeof deeds

/** What happens to all tasks at once. */
const events = {
  'agent is suspended': (w: World) => change(w, 'agents', 'clerk', { suspended: true }),
  'agent is resumed': (w: World) => change(w, 'agents', 'clerk', { suspended: false }),
  'agent is deleted': ({ server }: World) => server.remove('agents', 'clerk'),
  'agent is replaced': ({ server }: World) => {
    server.remove('agents', 'clerk')
    server.put('agents', 'clerk', { uid: server.newUid('agent'), suspended: false, account: 'clerk' })
  },
  'account is replaced': ({ server }: World) => {
    server.remove('accounts', 'clerk')
    server.put('accounts', 'clerk', { uid: server.newUid('account') })
  },
  'provider is not ready': (w: World) => change(w, 'providers', 'checked', { ready: false }),
  'provider is ready': (w: World) => change(w, 'providers', 'checked', { ready: true }),
  'provider refuses': (w: World) => change(w, 'providers', 'checked', { serves: false }),
  'provider serves': (w: World) => change(w, 'providers', 'checked', { serves: true }),
  'provider is replaced': (w: World) => change(w, 'providers', 'checked', { uid: w.server.newUid('provider') }),
  'outside is replaced': (w: World) => change(w, 'providers', 'outside', { uid: w.server.newUid('provider') }),
  'outside is not ready': (w: World) => change(w, 'providers', 'outside', { ready: false }),
  'outside is ready': (w: World) => change(w, 'providers', 'outside', { ready: true }),
  'losses are made good': (w: World) => change(w, 'providers', 'outside', { afterLoss: 'Reissue' }),
  'losses end tasks': (w: World) => change(w, 'providers', 'outside', { afterLoss: 'Fail' }),
  'source goes down': ({ server }: World) => {
    server.source.down = true
  },
  'source comes back': ({ server, replicas }: World) => {
    server.source.down = false
    for (const replica of replicas) replica.retryRows()
  },
  'namespace terminates': ({ server }: World) => server.put('namespaces', 'ns', { terminating: true }),
  'garbage is collected': ({ server }: World) => server.collect(),
} as const
type Event = keyof typeof events

const outcome = fc.oneof(
  { weight: 4, arbitrary: fc.constant('allow' as const) },
  { weight: 3, arbitrary: fc.constantFrom('forbid' as const, 'noPermit' as const, 'error' as const, 'invalidPolicy' as const) },
)
const replica = fc.nat(1)
const choice = fc.nat(5)

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('act' as const),
      what: fc.constantFrom(...(Object.keys(deeds) as Deed[])),
      task: fc.constantFrom(...names),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('change' as const), what: fc.constantFrom(...(Object.keys(events) as Event[])) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('policy' as const), issue: outcome, renew: outcome, permitted: fc.boolean() }) },
  { weight: 14, arbitrary: fc.record({ do: fc.constant('work' as const), replica, steps: fc.integer({ min: 1, max: 9 }), choice }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('fault' as const), replica, fate: fc.constantFrom<Fate>('lost', 'dropped', 'late'), choice }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('see' as const),
      replica,
      kind: fc.oneof(fc.constant('all' as const), fc.nat(kinds.length - 1)),
      changes: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const, 'crash' as const, 'seize' as const), replica }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('pass time' as const), seconds: fc.constantFrom(1, 3, 6, 12, 40, 200, 500) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('jump' as const), seconds: fc.constantFrom(-400, -3, 3, 400) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('land' as const), choice }) },
)

export interface Shape {
  readonly credentials: readonly ('checked' | 'expiring' | 'outside')[]
  readonly job: boolean
  readonly keep: number | undefined
}
export interface Scenario {
  readonly shapes: Readonly<Record<Name, Shape>>
  readonly commands: readonly Command[]
}

const shape: fc.Arbitrary<Shape> = fc.record({
  credentials: fc.constantFrom<Shape['credentials']>(
    ['checked'],
    ['checked', 'expiring'],
    ['expiring'],
    ['outside'],
    ['outside'],
    ['outside'],
    ['outside', 'checked'],
    ['outside', 'checked'],
    ['expiring', 'outside'],
  ),
  job: fc.boolean(),
  keep: fc.constantFrom(undefined, 0, 60),
})
export const scenario: fc.Arbitrary<Scenario> = fc.record({
  shapes: fc.record({ a: shape, b: shape }),
  commands: fc.array(command, { minLength: 8, maxLength: 40, size: 'max' }),
})

/** The first moment: everything there and allowed, A leads, task `a` made. */
export function begin(world: World, { shapes }: Scenario): void {
  const { server } = world
  server.put('namespaces', 'ns', { terminating: false })
  server.put('accounts', 'clerk', { uid: server.newUid('account') })
  server.put('agents', 'clerk', { uid: server.newUid('agent'), suspended: false, account: 'clerk' })
  for (const [name, revocation] of [
    ['checked', 'Checked'],
    ['expiring', 'ExpireOnly'],
    ['outside', 'Immediate'],
  ] as const)
    server.put('providers', name, { uid: server.newUid('provider'), revocation, ready: true, serves: true })
  server.put('policies', 'base', { issue: 'allow', renew: 'allow', permitted: false })
  for (const name of names)
    if (shapes[name].job) server.put('jobs', name, { uid: server.newUid('job'), deleting: false, finished: undefined })
  for (const r of world.replicas) r.relist()
  create(world, 'a', shapes.a)
  world.lead(0)
}

function create({ server, clock }: World, name: Name, { credentials, job, keep }: Shape): void {
  if (server.objects.tasks.has(name) || server.objects.namespaces.get('ns')?.value.terminating === true) return
  const spec: Partial<TaskSpec> = {
    credentials: credentials.map((c) => makeCredential({ name: c, provider: { kind: 'ClusterCredentialProvider', name: c } })),
    workload: job ? { apiVersion: 'batch/v1', kind: 'Job', name } : undefined,
    startingDeadline: seconds(120),
    activeDeadline: seconds(900),
    ttlAfterFinished: keep === undefined ? undefined : seconds(keep),
  }
  const task = makeTask({
    name,
    namespace: 'ns',
    key: toTaskKey('ns', name),
    uid: server.newUid(`task-${name}`),
    createdAt: clock.wall,
    spec,
  })
  server.put('tasks', name, task)
}

export function run(world: World, { shapes }: Scenario, command: Command): void {
  if (command.do !== 'work' && command.do !== 'fault') world.tell(`-- ${Object.values(command).join(' ')}`)
  const replica = 'replica' in command ? world.replicas[command.replica] : undefined
  switch (command.do) {
    case 'act':
      deeds[command.what]({ ...world, name: command.task, shape: shapes[command.task] })
      break
    case 'change':
      events[command.what](world)
      break
    case 'policy':
      world.server.put('policies', 'base', { issue: command.issue, renew: command.renew, permitted: command.permitted })
      break
    case 'work':
      for (let i = 0; i < command.steps; i += 1) world.step(command.replica, 'ok', command.choice + i)
      break
    case 'fault':
      world.step(command.replica, command.fate, command.choice)
      break
    case 'see': {
      const kind = command.kind === 'all' ? undefined : kinds[command.kind]
      if (kind === undefined) replica?.catchUp()
      else for (let i = 0; i < command.changes; i += 1) replica?.advance(kind)
      break
    }
    case 'pause':
    case 'resume':
      if (replica !== undefined) replica.paused = command.do === 'pause'
      break
    case 'crash':
      world.crash(command.replica)
      break
    case 'seize':
      if (replica?.paused === false) world.lead(command.replica)
      break
    case 'pass time':
      for (let left = command.seconds; left > 0; left -= 2) world.tick(Math.min(left, 2) * 1000)
      break
    case 'jump':
      world.tick(0, command.seconds * 1000)
      break
    case 'land':
      world.land(command.choice)
      break
    default:
      unreachable(command)
  }
}
