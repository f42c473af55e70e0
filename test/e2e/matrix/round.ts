// One round of the crash matrix: a task of each type waits at an await of its own, and then all of them meet the same fault. What the servers
// say after convergence is the round's result.

import { eventually } from '../../support/cluster.ts'
import { freeLease } from '../faults/tokens.ts'
import type { Point, Step, Subject } from './subject.ts'
import type { Tasks, World } from './world.ts'

/** `killed`: SIGKILL, before the call is handed on or after it was answered. `lost`: the reply is. `paused`: another leads meanwhile. */
export type Fault = 'killed before' | 'killed after' | 'lost' | 'paused'
export const faults: readonly Fault[] = ['killed before', 'killed after', 'lost', 'paused']
export const steps: readonly Step[] = ['issue', 'renew', 'end']

export interface Result {
  readonly type: string
  readonly step: Step
  readonly at: string
  readonly fault: Fault
  readonly found: string
}

const leaseSeconds = 3
const flags = [`--lease-duration-seconds=${leaseSeconds}`, '--renew-deadline-seconds=2', '--retry-period-seconds=1']

const pointsOf = (subject: Subject, step: Step): readonly Point[] => subject.points.filter((point) => point.step === step)

/** So many rounds it takes until every await of a step was met. */
export const rounds = (world: World, step: Step): number => Math.max(...world.subjects.map((subject) => pointsOf(subject, step).length))

export async function round(world: World, step: Step, index: number, fault: Fault): Promise<readonly Result[]> {
  const met = world.subjects.flatMap((subject) => {
    const point = pointsOf(subject, step)[index]
    return point === undefined ? [] : [{ subject, point }]
  })
  const tasks = world.name(
    `${step}-${index}`,
    met.map(({ subject }) => subject),
  )
  const stopped = fault === 'paused'
  // a clock that jumped goes with who has it
  if (stopped || step === 'renew') await replace(world, stopped)
  const successor = stopped ? await world.start({ replica: 'successor', flags }) : undefined
  if (step !== 'issue') {
    await world.create(tasks)
    await world.live(tasks, 'issue')
  }
  const when = fault === 'killed before' || stopped ? 'before' : 'after'
  const traps = met.map(({ subject, point }) => {
    const task = tasks.get(subject.type)
    if (task === undefined) throw new Error(`no task of ${subject.type}`)
    return { what: `${subject.type}: ${point.at}`, trap: world.gate.set({ when, ...point.trap(task) }) }
  })
  try {
    if (step === 'issue') await world.create(tasks)
    if (step === 'renew') world.jump()
    if (step === 'end') await end(world, tasks)
    await eventually(
      () => {
        const missing = traps.filter(({ trap }) => !trap.caught()).map(({ what }) => what)
        if (missing.length > 0) throw new Error(`not reached: ${missing.join('; ')}`)
      },
      { timeoutMs: 40_000, everyMs: 10 },
    )
    if (fault === 'killed before' || fault === 'killed after') {
      world.operator.signal('SIGKILL')
      await world.operator.died()
    }
  } finally {
    if (!stopped) for (const { trap } of traps) trap.release('cut')
  }
  if (fault === 'killed before' || fault === 'killed after') await world.restart(step === 'renew')
  const pass = (): void => {
    for (const { trap } of traps) trap.release('pass')
  }
  if (successor !== undefined) await pause(world, successor, step, tasks, pass)

  const live = step === 'end' ? undefined : await world.live(tasks, step)
  const dead = await world.dead(tasks)
  return met.map(({ subject: { type }, point: { at } }) => {
    const then = ['dead', dead.get(type)].filter(Boolean).join(', ')
    return { type, step, at, fault, found: live === undefined ? then : `live, ${live.get(type)}; then ${then}` }
  })
}

async function end(world: World, tasks: Tasks): Promise<void> {
  await Promise.all([...tasks.values()].map(({ name }) => world.scenario.patch('agenttasks', name, { spec: { end: 'Completed' } })))
}

async function replace(world: World, short: boolean): Promise<void> {
  await world.operator.stop()
  await freeLease(world.scenario)
  const operator = await world.start({ replica: 'first', ...(short ? { flags } : {}) })
  world.operator = operator
  world.front.target = operator.issuerPort
  await operator.active()
}

/** The leader stands still for twice its lease, another leads and brings everything in order; then what the first had sent arrives. */
async function pause(world: World, successor: World['operator'], step: Step, tasks: Tasks, release: () => void): Promise<void> {
  const paused = world.operator
  paused.signal('SIGSTOP')
  const stopped = performance.now()
  if (step === 'renew') successor.signal('SIGUSR2')
  world.operator = successor
  world.front.target = successor.issuerPort
  await successor.active()
  if (step === 'end') await world.dead(tasks)
  else await world.live(tasks, step)
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, 2 * leaseSeconds * 1000 - (performance.now() - stopped))))
  release()
  paused.signal('SIGCONT')
  await eventually(
    () => {
      if (!paused.output().includes('"no longer leading"')) throw new Error('it has not noticed that it does not lead')
    },
    { timeoutMs: 30_000 },
  )
  // whatever it still sends has arrived by then
  await new Promise((resolve) => setTimeout(resolve, 1000))
  if (step !== 'end') await world.live(tasks, step)
  await paused.stop()
}
