// One replica: a cache a kind, each of its own age, a queue, timers, and what it believes about its leadership. Reads nothing but its
// caches; the one exception are live reads that settle a doubt. All of it is lost in a crash.

import { questions } from '../../../src/core/judge.ts'
import { isOpen, type Lease } from '../../../src/core/lease.ts'
import type { Uid } from '../../../src/core/names.ts'
import type { AfterLoss, CredentialFacts, Decision, Observed, Task } from '../../../src/core/observed.ts'
import { liveStatusRefs, phase } from '../../../src/core/record.ts'
import type { Settled } from '../../../src/core/settle.ts'
import { type Instant, seconds } from '../../../src/lib/instant.ts'
import { ok } from '../../../src/lib/result.ts'
import { makeDecision } from '../make.ts'
import { type Call, send } from './calls.ts'
import { type Change, type Kind, kinds, type Objects, refKey, type Server, type Stored } from './server.ts'

export const leastLives = { Immediate: seconds(0), Checked: seconds(1), ExpireOnly: seconds(30) } as const
export const ceilings = { Immediate: seconds(300), Checked: seconds(3600), ExpireOnly: seconds(300) } as const

export interface WorldClock {
  wall: Instant
  /** milliseconds that never go back */
  mono: number
}

export type Replica = ReturnType<typeof createReplica>
type Caches = { [K in Kind]: Map<string, Stored<K>> }

export function createReplica(name: string, server: Server, clock: WorldClock) {
  const caches = Object.fromEntries(kinds.map((kind) => [kind, new Map()])) as unknown as Caches
  const positions = Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>
  const queue = new Set<string>()
  /** tasks that are gone, and whether that was only missed in a list */
  const departed = new Map<string, { readonly task: Task; readonly doubtful: boolean }>()
  const timers = new Map<string, Instant>()
  const backoffs = new Map<string, { readonly at: number; readonly failures: number }>()
  /** places given in this term, and places that this process has ended */
  const given = new Set<string>()
  const ended = new Set<string>()
  /** handles whose rows are to be looked at, and when they are anyway; when what is left of a dead one goes, by the monotonic clock */
  const rows = new Set<string>()
  const rowTimers = new Map<string, Instant>()
  const rowBackoffs = new Map<string, { readonly at: number; readonly failures: number }>()
  const cleanAt = new Map<string, number>()
  /** handles that a pass of this process has doomed, and tasks that it saw go */
  const doomed = new Set<string>()
  const seenToGo = new Set<string>()
  /** rows whose source said once that they are dead, as they stood; by the monotonic clock */
  const suspicions = new Map<string, { readonly version: number; readonly since: number }>()
  let policyChangedAt = clock.wall
  let places = 0

  const replica = {
    name,
    caches,
    queue,
    departed,
    timers,
    backoffs,
    given,
    ended,
    rows,
    rowTimers,
    rowBackoffs,
    cleanAt,
    doomed,
    seenToGo,
    suspicions,
    /** by the monotonic clock */
    sweepAt: Number.POSITIVE_INFINITY,
    inspectAt: Number.POSITIVE_INFINITY,
    paused: false,
    active: false,
    believesUntil: 0,
    term: 0,
    leads: () => replica.active && clock.mono < replica.believesUntil,
    behind: (kind: Kind) => server.changes[kind].length - positions[kind],

    /** Takes the next change of a kind; what an own write's reply has overtaken is skipped. */
    advance(kind: Kind): void {
      const change = server.changes[kind][positions[kind]]
      if (change === undefined) return
      positions[kind] += 1
      take(kind, change)
    },
    catchUp(): void {
      for (const kind of kinds) while (replica.behind(kind) > 0) replica.advance(kind)
    },
    /** A consistent list of every kind: what happened in between is not seen. */
    relist(): void {
      for (const kind of kinds) {
        const now = server.objects[kind] as Map<string, Stored<typeof kind>>
        for (const key of caches[kind].keys()) if (!now.has(key)) take(kind, { key, version: server.version(), value: undefined }, 'list')
        for (const [key, { value, version }] of now) take(kind, { key, version, value }, 'list')
        positions[kind] = server.changes[kind].length
      }
    },
    absorb<K extends Kind>(kind: K, key: string, stored: Stored<K>): void {
      take(kind, { key, ...stored }, 'reply')
    },
    /** A provider's object or readiness changed: what failed there is tried at once. */
    retryRows(): void {
      rowBackoffs.clear()
      for (const { value } of caches.leases.values()) if (isOpen(value)) rows.add(value.handle)
    },
    takeOver(until: number): void {
      replica.term += 1
      given.clear()
      backoffs.clear()
      replica.relist()
      replica.active = true
      replica.believesUntil = until
      for (const key of [...caches.tasks.keys(), ...departed.keys()]) queue.add(key)
      for (const handle of caches.leases.keys()) rows.add(handle)
      replica.sweepAt = clock.mono
      replica.inspectAt = clock.mono
    },
    /** Forgets everything, as a process that was killed; lists anew when it starts. */
    crash(): void {
      for (const kind of kinds) caches[kind].clear()
      for (const memory of [
        queue,
        departed,
        timers,
        backoffs,
        given,
        ended,
        rows,
        rowTimers,
        rowBackoffs,
        cleanAt,
        doomed,
        seenToGo,
        suspicions,
      ])
        memory.clear()
      replica.sweepAt = Number.POSITIVE_INFINITY
      replica.inspectAt = Number.POSITIVE_INFINITY
      replica.active = false
      replica.paused = false
      replica.believesUntil = 0
      replica.term += 1
      policyChangedAt = clock.wall
      replica.relist()
      queue.clear()
      rows.clear()
    },
    reserve() {
      const ref = { uri: `${name}.${replica.term}`, index: ++places }
      given.add(refKey(ref))
      return ref
    },
    settleDeparted(key: string, { again, record, report }: Settled): void {
      const left = departed.get(key)
      if (left === undefined) return
      if (again === 'none') departed.delete(key)
      else departed.set(key, { ...left, task: { ...left.task, record, report } })
    },
    gather,
  }

  function take<K extends Kind>(kind: K, { key, version, value }: Change<K>, from: 'watch' | 'list' | 'reply' = 'watch'): void {
    const before = caches[kind].get(key)
    if (before !== undefined && before.version >= version) return
    if (value === undefined) caches[kind].delete(key)
    else caches[kind].set(key, { value, version })
    if (kind === 'policies') policyChangedAt = clock.wall
    if (kind === 'leases') follow(before?.value as Lease | undefined, value as Lease | undefined)
    else trigger(kind, key, before?.value as Task | undefined, value as Task | undefined, from)
  }

  function afterLoss({ provider }: Lease): AfterLoss {
    const object = caches.providers.get(provider.name)?.value
    return object?.uid === provider.uid ? (object.afterLoss ?? 'Fail') : 'Fail'
  }

  const rowsOf = (task: Uid | undefined): Lease[] => [...caches.leases.values()].map((l) => l.value).filter((l) => l.task.uid === task)

  /** A row that begins says nothing of its task: the pass that wrote it is not over yet. */
  function follow(before: Lease | undefined, after: Lease | undefined): void {
    if (after !== undefined) rows.add(after.handle)
    const told = before !== undefined && (after === undefined || isOpen(before) !== isOpen(after) || before.message !== after.message)
    if (told) queue.add(before.task.name)
    if (before !== undefined && after === undefined && rowsOf(before.task.uid).length === 0) seenToGo.delete(before.task.uid)
  }

  /** As the runtime's triggers: the reply to an own status write asks for no pass. */
  function trigger(kind: Kind, key: string, before: Task | undefined, after: Task | undefined, from: 'watch' | 'list' | 'reply'): void {
    if (kind === 'jobs') queue.add(key)
    else if (kind !== 'tasks') for (const task of caches.tasks.keys()) queue.add(task)
    else {
      const mine = rowsOf(before?.uid ?? after?.uid)
      if (mine.length > 0 && after === undefined && before !== undefined && from !== 'list') seenToGo.add(before.uid)
      for (const { handle } of mine) rows.add(handle)
      const replaced = before !== undefined && before.uid !== after?.uid
      const owed = before !== undefined && (phase(before.record) !== 'none' || liveStatusRefs(before.record).length > 0)
      if (replaced && owed && (from === 'list' || replica.leads()))
        departed.set(key, { task: { ...before, gone: true }, doubtful: from === 'list' })
      // a status that no reply showed was written by somebody else, or by a call whose answer was lost
      if (from !== 'reply' || after === undefined || after.deleting || before?.uid !== after.uid || before.generation !== after.generation)
        queue.add(key)
    }
  }

  function* gather(task: Task, now: Instant): Generator<Call, Observed, unknown> {
    const { record, spec } = task
    const agent = caches.agents.get(spec.agent)?.value
    const account = agent === undefined ? undefined : caches.accounts.get(agent.account)?.value
    const job = caches.jobs.get(task.name)?.value
    return {
      task,
      namespace: caches.namespaces.get('ns')?.value.terminating === true ? 'terminating' : 'active',
      agent:
        agent !== undefined && agent.uid === (record.bound.agent ?? agent.uid)
          ? { state: 'present', uid: agent.uid, suspended: agent.suspended, serviceAccount: agent.account }
          : yield* doubt('agents', spec.agent, record.bound.agent),
      serviceAccount:
        agent === undefined
          ? { state: 'absent' }
          : account !== undefined && account.uid === (record.bound.serviceAccount ?? account.uid)
            ? { state: 'present', uid: account.uid }
            : yield* doubt('accounts', agent.account, record.bound.serviceAccount),
      workload:
        spec.workload === undefined
          ? { state: 'none' }
          : job !== undefined && job.uid === (record.bound.workload ?? job.uid)
            ? { state: 'present', ...job }
            : yield* doubt('jobs', task.name, record.bound.workload),
      olderPod: undefined,
      credentials: spec.credentials.map((c) => facts(task, c.name, c.provider.name, now)),
      leases: rowsOf(task.uid).map((l) => ({
        handle: l.handle,
        credential: l.credential,
        attempt: l.attempt,
        open: isOpen(l),
        dead: l.state === 'Revoked' || l.state === 'Expired',
        foundDead: l.foundDeadAt === undefined ? undefined : { at: l.foundDeadAt, after: afterLoss(l) },
        message: l.message,
      })),
      policyChangedAt,
      policyPending: false,
      hold: replica.leads() ? undefined : { reason: 'StaleView', message: 'this replica does not lead' },
      draining: false,
      requesterUnknown: undefined,
      limits: { maxActiveDeadline: seconds(86_400), policySettle: seconds(5), rejudge: seconds(60) },
    }
  }

  /** That a cache does not have what was bound, or another of its name, ends something only after one live read says so too. */
  function* doubt(
    kind: 'agents' | 'accounts' | 'jobs',
    key: string,
    bound: Uid | undefined,
  ): Generator<Call, { state: 'absent' | 'unknown' }, unknown> {
    if (bound === undefined) return { state: 'absent' }
    const live = yield* send(`GET ${kind} ${key}`, () => ok(server.objects[kind].get(key)?.value.uid))
    return { state: live.ok && live.value !== bound ? 'absent' : 'unknown' }
  }

  function facts(task: Task, credential: string, provider: string, now: Instant): CredentialFacts {
    const object: Objects['providers'] | undefined = caches.providers.get(provider)?.value
    const policy = caches.policies.get('base')?.value
    const wanted = questions({ task }, now)
    const ask = (action: 'issue' | 'renew'): Decision | undefined =>
      policy === undefined || object?.serves !== true || !caches.agents.has(task.spec.agent)
        ? undefined
        : makeDecision(policy[action], { permitted: policy[action] === 'allow' || policy.permitted })
    return {
      name: credential,
      provider:
        object === undefined
          ? { state: 'absent' }
          : {
              state: 'present',
              uid: object.uid,
              type: object.revocation === 'Immediate' ? 'outside' : 'jwt',
              notReady: object.ready ? undefined : 'sealed',
              refusal: object.serves ? undefined : { reason: 'ProviderNotForNamespace', message: 'not here' },
              revocation: { class: object.revocation, bound: seconds(15) },
              leastLife: leastLives[object.revocation],
              maxTtl: ceilings[object.revocation],
            },
      issue: wanted.standing === 'issue' ? ask('issue') : undefined,
      renew: wanted.standing === 'renew' || wanted.renew ? ask('renew') : undefined,
    }
  }

  return replica
}
