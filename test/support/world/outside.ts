// What must hold of the source outside once all has come to rest, from the truth there: nothing lives but what a live task holds, once
// each, and what a task's status says of it is so. What an administrator gave up is nobody's any more.

import type { Task } from '../../../src/core/observed.ts'
import { phase } from '../../../src/core/record.ts'
import { plus, seconds } from '../../../src/lib/instant.ts'
import type { Role } from './source.ts'
import type { World } from './world.ts'

/** What alive roles there are, but for those that were given up. */
const living = ({ server }: World): readonly Role[] =>
  [...server.source.roles.values()].filter(({ handle, state }) => state === 'alive' && !server.givenUp.has(handle))

export function strayRoles(world: World, should: (task: Task) => 'over' | 'stopped' | 'live' | 'either'): readonly string[] {
  const { server, clock } = world
  const found: string[] = []
  const held = new Map<string, number>()
  for (const { handle, task: uid, credential, expiresAt } of living(world)) {
    const task = [...server.objects.tasks.values()].find((t) => t.value.uid === uid)?.value
    const wanted = task === undefined ? 'gone' : should(task)
    if (wanted === 'gone' || wanted === 'over' || wanted === 'stopped') found.push(`role ${handle} lives and its task is ${wanted}`)
    if (clock.wall > plus(expiresAt, seconds(5)) && !world.wentBack()) found.push(`role ${handle} lives past its expiry`)
    const place = `${uid} ${credential}`
    held.set(place, (held.get(place) ?? 0) + 1)
    const recorded = task?.record.credentials.some((c) => c.handle === handle && c.revokedAt === undefined)
    if (task !== undefined && recorded !== true) found.push(`role ${handle} lives and the record of its task does not know it`)
    if (server.objects.leases.get(handle)?.value === undefined) found.push(`role ${handle} lives without a row`)
  }
  for (const [place, count] of held) if (count > 1) found.push(`${count} roles live of ${place}`)
  return found
}

/** Revoked=True promises that none lives, of whatever attempt and whoever gave it up. */
export function untrueOfRoles({ server }: World, task: Task): readonly string[] {
  const revoked = task.report.conditions.find((c) => c.type === 'Revoked')
  if (revoked?.status !== 'True') return []
  const mine = [...server.source.roles.values()].filter((r) => r.task === task.uid && r.state === 'alive')
  return mine.map(({ handle }) => `Revoked is True (${revoked.reason}) and role ${handle} lives`)
}

/** For a readable end of a failed run. */
export function describeSource({ server }: World): readonly string[] {
  const roles = [...server.source.roles.values()].map((r) => `role ${r.handle}: ${r.state}`)
  const rows = [...server.objects.leases.values()].map(({ value: l }) => `row ${l.handle}: ${l.state}`)
  return [...roles, ...rows]
}

/** A delivered credential's Secret names the role that its record names. */
export function handleInStep(task: Task, credential: string, handle: string | undefined): readonly string[] {
  const recorded = task.record.credentials.find((c) => c.name === credential)?.handle
  return phase(task.record) !== 'delivered' || recorded === handle ? [] : [`its Secret has ${handle}, its record ${recorded}`]
}
