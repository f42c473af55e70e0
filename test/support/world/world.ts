// Two replicas and one API server on one clock. Runs passes call by call, with pauses, lost answers, late calls and crashes in between,
// and keeps a log of all that happened. Decides nothing about tasks; what must hold is in oracle.ts.

import type { Observed } from '../../../src/core/observed.ts'
import type { Plan } from '../../../src/core/plan.ts'
import { at, formatTime } from '../../../src/lib/instant.ts'
import { fail, type Result } from '../../../src/lib/result.ts'
import { t0 } from '../make.ts'
import { createPasses, type Next } from './apply.ts'
import type { Call } from './calls.ts'
import { type After, createLedger } from './ledger.ts'
import { createReplica, type Replica, type WorldClock } from './replica.ts'
import { createServer, type Refused, type Secret } from './server.ts'

/** `lost`: it lands and the caller sees no answer. `dropped`: it never lands. `late`: it lands when others have acted. */
export type Fate = 'ok' | 'lost' | 'dropped' | 'late'

interface Running {
  readonly key: string
  readonly steps: Generator<Call, () => void, unknown>
  waiting: Call
}

const believes = 10_000
const lease = 15_000
const sweepPeriod = 300_000
const inspectPeriod = 10_000
/** How often the removal of what is left of the dead is tried. */
const cleaningPause = 5000

export type World = ReturnType<typeof createWorld>

export function createWorld(onPlan: (observed: Observed, plan: Plan, now: WorldClock['wall']) => void = () => undefined) {
  const clock: WorldClock = { wall: t0, mono: 0 }
  const server = createServer(() => at(t0 + clock.mono))
  const log: string[] = []
  const tell = (text: string): void => void log.push(`${formatTime(clock.wall).slice(11, 19)} ${text}`)
  const replicas = [createReplica('A', server, clock), createReplica('B', server, clock)] as const
  const ledgers = replicas.map((replica) => createLedger({ server, clock, replica }))
  const passes = replicas.map((replica, i) =>
    createPasses({
      server,
      clock,
      replica,
      ledger: ledgers[i] as (typeof ledgers)[0],
      tell,
      planned: (observed, plan) => onPlan(observed, plan, clock.wall),
    }),
  )
  const running: readonly [Running[], Running[]] = [[], []]
  const late: Call[] = []
  const strangers: readonly [Secret[], Secret[]] = [[], []]
  let leader = 0
  let leaseUntil = lease
  let finished = 0
  let wentBack = false

  const replicaAt = (index: number): Replica => replicas[index % 2] as Replica
  const runningAt = (index: number): Running[] => running[index % 2] as Running[]

  /** Goes on to the next call, or notes what the pass asks for next. */
  function advance(index: number, pass: Running, answer: Result<unknown, Refused> | undefined): void {
    const step = answer === undefined ? pass.steps.next() : pass.steps.next(answer)
    const replica = replicaAt(index)
    const list = runningAt(index)
    if (step.done !== true) {
      pass.waiting = step.value
      if (/^(POST|PUT|DELETE) secret \S+( \d+)?$/.test(step.value.label) && !replica.leads())
        server.violations.push(`${replica.name} sends ${step.value.label} and does not lead`)
      if (answer === undefined) list.push(pass)
      return
    }
    if (answer !== undefined) list.splice(list.indexOf(pass), 1)
    finished += 1
    step.value()
  }

  function finish(replica: Replica, key: string, { again, wakeAt }: Next): void {
    if (again === 'now') replica.queue.add(key)
    if (again === 'none') replica.backoffs.delete(key)
    if (again === 'backoff' || again === 'refused') backOff(replica.backoffs, key, 300_000)
    if (wakeAt !== undefined) replica.timers.set(key, wakeAt)
  }

  function backOff(backoffs: Replica['backoffs'], key: string, cap: number): void {
    const failures = (backoffs.get(key)?.failures ?? 0) + 1
    backoffs.set(key, { failures, at: clock.mono + Math.min(cap, 500 * 2 ** (failures - 1)) })
  }

  function finishRow(replica: Replica, handle: string, after: After): void {
    if (after.tag === 'retry') backOff(replica.rowBackoffs, handle, 60_000)
    else replica.rowBackoffs.delete(handle)
    if (after.tag === 'later') replica.rowTimers.set(handle, after.at)
    if (after.tag === 'clean') replica.cleanAt.set(handle, clock.mono + after.delay)
  }

  function start(index: number, choice: number): boolean {
    const replica = replicaAt(index)
    const [tasks, rows] = [free(index, replica.queue, ''), free(index, replica.rows, 'row ')]
    if (rows !== undefined && (tasks === undefined || choice % 2 === 1)) return startRow(index, rows)
    if (tasks === undefined) return startOther(index)
    replica.queue.delete(tasks)
    if (!replica.leads()) return true
    replica.timers.delete(tasks)
    return go(index, tasks, passes[index % 2]?.(tasks) as Generator<Call, Next, unknown>, (next) => finish(replica, tasks, next))
  }

  const free = (index: number, queue: ReadonlySet<string>, kind: string): string | undefined =>
    queue.size === 0 ? undefined : [...queue].find((k) => !runningAt(index).some((r) => r.key === `${kind}${k}`))

  function startRow(index: number, handle: string): boolean {
    const [replica, ledger] = [replicaAt(index), ledgers[index % 2]]
    replica.rows.delete(handle)
    if (!replica.leads() || ledger === undefined) return true
    replica.rowTimers.delete(handle)
    return go(index, `row ${handle}`, ledger.collect(handle), (after) => finishRow(replica, handle, after))
  }

  /** What is left of the dead, and what the source has that nobody knows of: when its time has come. */
  function startOther(index: number): boolean {
    const [replica, ledger] = [replicaAt(index), ledgers[index % 2]]
    if (!replica.leads() || ledger === undefined) return false
    if (replica.sweepAt <= clock.mono) {
      replica.sweepAt = clock.mono + sweepPeriod
      return go(index, 'sweep', ledger.sweep(), () => undefined)
    }
    if (replica.inspectAt <= clock.mono && !runningAt(index).some(({ key }) => key === 'inspect')) {
      replica.inspectAt = clock.mono + inspectPeriod
      return go(index, 'inspect', ledger.inspect(), () => undefined)
    }
    for (const [handle, time] of replica.cleanAt) {
      if (time > clock.mono) continue
      replica.cleanAt.delete(handle)
      return go(index, `remains of ${handle}`, ledger.clean(handle), (again) => {
        if (again) replica.cleanAt.set(handle, clock.mono + cleaningPause)
      })
    }
    return false
  }

  function go<T>(index: number, key: string, steps: Generator<Call, T, unknown>, then: (value: T) => void): true {
    function* whole(): Running['steps'] {
      const value = yield* steps
      return () => then(value)
    }
    advance(index, { key, steps: whole(), waiting: { label: '', run: () => fail('failed') } }, undefined)
    return true
  }

  /** One call of one running pass meets its fate; without any, a pass is started. False when there is nothing to do. */
  function step(index: number, fate: Fate = 'ok', choice = 0): boolean {
    if (replicaAt(index).paused) return false
    const list = runningAt(index)
    const pass = list[choice % Math.max(1, list.length)]
    if (pass === undefined || (fate === 'ok' && choice % 3 === 2 && replicaAt(index).queue.size + replicaAt(index).rows.size > 0))
      return start(index, choice)
    const call = pass.waiting
    const noticed = fate === 'ok' ? '' : ` (${fate})`
    tell(`${replicaAt(index).name} ${pass.key}: ${call.label}${noticed}`)
    if (fate === 'late') late.push(call)
    const answer = fate === 'ok' || fate === 'lost' ? call.run() : fail('failed' as const)
    const alone = index % 2 === leader && !replicaAt(index + 1).leads() && runningAt(index + 1).length === 0
    if (fate !== 'ok') abandon(index)
    if (answer.ok && !alone) leave(call, answer.value, fate === 'lost' ? undefined : index)
    advance(index, pass, fate === 'ok' ? answer : fail('failed' as const))
    return true
  }

  function land(choice = 0): boolean {
    const [call] = late.splice(choice % Math.max(1, late.length), 1)
    if (call === undefined) return false
    tell(`lands late: ${call.label}`)
    const answer = call.run()
    if (answer.ok) leave(call, answer.value, undefined)
    return true
  }

  function abandon(index: number): void {
    for (const secret of strangers[index % 2]?.splice(0) ?? []) server.abandon(secret)
  }

  /** A new Secret of somebody who does not lead alone, or lost sight of it; `by` sees to it while nothing goes wrong. */
  function leave({ label }: Call, made: unknown, by: number | undefined): void {
    if (!/^(POST|PUT) secret/.test(label)) return
    for (const token of (made as Secret).tokens) server.stray.add(token)
    if (label.startsWith('PUT')) return
    if (by === undefined) server.abandon(made as Secret)
    else strangers[by % 2]?.push(made as Secret)
  }

  function lead(index: number): void {
    leader = index % 2
    leaseUntil = clock.mono + lease
    tell(`${replicaAt(index).name} leads`)
    replicaAt(index).takeOver(clock.mono + believes)
  }

  /** Time passes: leases are renewed or lost, timers fire. */
  function tick(milliseconds: number, wall = milliseconds): void {
    const holder = replicaAt(leader)
    const renews = !holder.paused && holder.leads()
    clock.mono += milliseconds
    clock.wall = at(clock.wall + wall)
    if (wall < 0) wentBack = true
    if (renews) {
      holder.believesUntil = clock.mono + believes
      leaseUntil = clock.mono + lease
    }
    for (const replica of replicas) if (replica.active && clock.mono >= replica.believesUntil && !replica.paused) replica.active = false
    if (clock.mono >= leaseUntil || (!holder.active && !holder.paused)) {
      const next = [leader + 1, leader].find((i) => !replicaAt(i).paused)
      if (next !== undefined && (clock.mono >= leaseUntil || next % 2 === leader)) lead(next)
    }
    for (const replica of replicas) {
      for (const [key, time] of replica.timers) if (time <= clock.wall) fire(replica, key)
      for (const [key, { at: time }] of replica.backoffs) if (time <= clock.mono) replica.queue.add(key)
      for (const [handle, time] of replica.rowTimers) if (time <= clock.wall) replica.rows.add(handle)
      for (const [handle, { at: time }] of replica.rowBackoffs) if (time <= clock.mono) replica.rows.add(handle)
    }
  }

  function fire(replica: Replica, key: string): void {
    replica.timers.delete(key)
    replica.queue.add(key)
  }

  function crash(index: number): void {
    tell(`${replicaAt(index).name} crashes`)
    runningAt(index).length = 0
    abandon(index)
    replicaAt(index).crash()
  }

  return {
    clock,
    server,
    log,
    tell,
    replicas,
    running,
    late,
    step,
    land,
    lead,
    tick,
    crash,
    leader: () => leader,
    wentBack: () => wentBack,
    passes: () => finished,
  }
}
