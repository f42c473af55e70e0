// Lets a world come to rest: no more faults, one healthy leader that has caught up, and then only time passes, by the leader's own
// timers alone. Says what is wrong on the way.

import { equal } from '../../../src/lib/canonical.ts'
import { type Instant, minus, seconds } from '../../../src/lib/instant.ts'
import type { Call } from './calls.ts'
import { dueTimes, faults } from './oracle.ts'
import { runPass } from './pass.ts'
import type { World } from './world.ts'

/** Passes that one quiet moment may take; more is a circle. */
const enough = 60

export function comeToRest(world: World, survivor: number): readonly string[] {
  const { server, replicas } = world
  while (world.land()) {}
  for (const replica of replicas) replica.paused = false
  server.source.down = false
  world.crash(survivor + 1)
  const healthy = replicas[survivor % 2]
  if (healthy === undefined) return []
  if (!healthy.leads()) world.lead(survivor)
  healthy.retryRows()
  const quietSince = world.clock.wall
  const wrong: string[] = []
  for (let i = 0; i < 10 && wrong.length === 0; i += 1) {
    wrong.push(...drain(world, survivor))
    server.collect()
    world.tick(4000)
  }
  wrong.push(...drain(world, survivor), ...faults(world, quietSince), ...unsettled(world, survivor))
  for (let i = 0; i < 60 && wrong.length === 0; i += 1) {
    const next = nextTime(world, survivor)
    if (next === undefined) break
    world.tick(Math.max(0, next - world.clock.wall))
    wrong.push(...drain(world, survivor))
    server.collect()
    wrong.push(...faults(world, quietSince), ...unsettled(world, survivor))
  }
  return wrong
}

/** Works off what waits, and what it sees of its own doing. */
function drain(world: World, survivor: number): readonly string[] {
  const before = world.passes()
  const healthy = world.replicas[survivor % 2]
  do {
    healthy?.catchUp()
    while (world.step(survivor)) {
      healthy?.catchUp()
      if (world.passes() - before > enough) return ['the passes go round in a circle']
    }
  } while (healthy !== undefined && (healthy.behind('tasks') > 0 || healthy.queue.size + healthy.rows.size > 0))
  return []
}

/** The next time of the leader's own, or when something would be due that it may have forgotten. */
function nextTime({ server, clock, replicas }: World, survivor: number): Instant | undefined {
  const healthy = replicas[survivor % 2]
  const failed = [...(healthy?.backoffs.values() ?? []), ...(healthy?.rowBackoffs.values() ?? [])]
  const backoffs = failed.map((b) => (clock.wall + Math.max(0, b.at - clock.mono)) as Instant)
  const due = [...server.objects.tasks.values()].flatMap(({ value }) => dueTimes(value, clock.wall))
  const times = [...(healthy?.timers.values() ?? []), ...(healthy?.rowTimers.values() ?? []), ...backoffs, ...due].filter(
    (t) => t > clock.wall,
  )
  return times.length === 0 ? undefined : (Math.min(...times) as Instant)
}

/** A pass that nobody asked for finds nothing to do, unless the task waits for its next try. */
function unsettled(world: World, survivor: number): readonly string[] {
  const { server, clock, replicas } = world
  const healthy = replicas[survivor % 2]
  // timers count on a clock that goes on; one that went back makes what they did wrong for a while, which no timer can know
  if (healthy === undefined || world.wentBack()) return []
  return [...server.objects.tasks.values()].flatMap(({ value: task }) => {
    if (healthy.backoffs.has(task.name)) return []
    const gathered = healthy.gather(task, clock.wall) as Generator<Call, ReturnType<typeof runPass>['next'], unknown>
    let step = gathered.next()
    while (step.done !== true) step = gathered.next(step.value.run())
    const { plan, settled } = runPass(step.value, clock.wall)
    const effects = plan.effects.map((e) => e.tag).join(', ')
    if (effects !== '') return [`task ${task.name}: at rest, a pass that no timer asks for would do ${effects}`]
    if (!equal(settled.record, task.record) || !equal(settled.report, task.report))
      return [`task ${task.name}: at rest, a pass that no timer asks for would write status`]
    if (settled.wakeAt !== undefined && settled.wakeAt <= clock.wall) return [`task ${task.name}: it wants to be woken in the past`]
    const mine = healthy.timers.get(task.name)
    if (settled.wakeAt !== undefined && (mine === undefined || minus(mine, seconds(60)) > settled.wakeAt))
      return [`task ${task.name}: its timer stands at ${mine}, and should at ${settled.wakeAt}`]
    return []
  })
}
