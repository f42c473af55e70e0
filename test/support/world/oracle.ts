// What must hold of a world, judged from the truth in the API server and never from what a replica believes. Independent of the core's
// own judgement where it can be: it asks what the facts say a task should be, and then what can in fact be used.

import { secretName } from '../../../src/core/names.ts'
import type { Task } from '../../../src/core/observed.ts'
import { liveStatusRefs, phase } from '../../../src/core/record.ts'
import { type Instant, minus, plus, seconds } from '../../../src/lib/instant.ts'
import { describeSource, handleInStep, strayRoles, untrueOfRoles } from './outside.ts'
import { type Objects, placeOf, refKey, type Token } from './server.ts'
import type { World } from './world.ts'

/** Whether whoever holds the token can use it: unexpired, and not refused by the list that the leader publishes. */
export function works({ server, clock, replicas, leader }: World, token: Token): boolean {
  if (token.handle !== undefined) return server.source.lives(token.handle)
  if (token.expiresAt <= clock.wall) return false
  return token.ref === undefined || (server.reads(token.ref) && replicas[leader() % 2]?.ended.has(refKey(token.ref)) !== true)
}

/** What the facts say: `over` for good, `stopped` for now, `live`, or `either` where more than these facts decide. */
export function should({ server, clock, wentBack }: World, task: Task, policyQuietSince: Instant): 'over' | 'stopped' | 'live' | 'either' {
  const { record, spec } = task
  const agent = server.objects.agents.get(spec.agent)?.value
  const account = agent === undefined ? undefined : server.objects.accounts.get(agent.account)?.value
  const job = server.objects.jobs.get(task.name)?.value
  const policy = server.objects.policies.get('base')?.value
  const { bound } = record
  if (record.completedAt !== undefined || task.deleting || spec.end !== undefined) return 'over'
  if (server.objects.namespaces.get('ns')?.value.terminating === true) return 'over'
  if (bound.agent !== undefined && agent?.uid !== bound.agent) return 'over'
  if (bound.serviceAccount !== undefined && account?.uid !== bound.serviceAccount) return 'over'
  if (spec.workload !== undefined && bound.workload !== undefined && job?.uid !== bound.workload) return 'over'
  if (spec.workload !== undefined && job !== undefined && (job.deleting || job.finished !== undefined)) return 'over'
  if (record.deadlineAt !== undefined && clock.wall >= record.deadlineAt) return 'over'
  if (
    spec.workload !== undefined &&
    job === undefined &&
    record.startedAt !== undefined &&
    clock.wall >= plus(record.startedAt, spec.startingDeadline)
  )
    return 'over'
  const lost = record.credentials.filter(({ handle = '' }) => server.objects.leases.get(handle)?.value.foundDeadAt !== undefined)
  if (lost.some(({ provider }) => ends(server.objects.providers.get(provider.name)?.value, provider.uid))) return 'over'
  if (spec.suspend || agent?.suspended === true) return 'stopped'
  if (agent === undefined || account === undefined || policy === undefined) return 'either'
  const providers = spec.credentials.map((c) => server.objects.providers.get(c.provider.name)?.value)
  if (providers.some((p) => p?.serves === false)) return 'stopped'
  if (policy.issue === 'forbid' || policy.issue === 'error') return policy.renew === policy.issue ? 'stopped' : 'either'
  if (policy.issue === 'noPermit' && policy.renew === 'noPermit')
    // a timer set before the clock went back comes when the clock is there again
    return clock.wall >= plus(policyQuietSince, seconds(5)) && !wentBack() ? 'stopped' : 'either'
  if (policy.issue !== 'allow' || policy.renew !== 'allow') return 'either'
  const secret = server.secrets.get(secretName(task.name))
  if (secret !== undefined && secret.owner === undefined) return 'either'
  // after a second loss it waits
  const losses = [...server.objects.leases.values()].filter((l) => l.value.task.uid === task.uid && l.value.foundDeadAt !== undefined)
  if (losses.length > 1) return 'either'
  // a provider made anew issues only once what the old one gave has died
  const replaced = record.credentials.some((c) => server.objects.providers.get(c.provider.name)?.value.uid !== c.provider.uid)
  return providers.some((p) => p?.ready !== true) || replaced || wentBack() ? 'either' : 'live'
}

const ends = (provider: Objects['providers'] | undefined, uid: string): boolean => provider?.uid !== uid || provider.afterLoss !== 'Reissue'

/** Everything that is wrong once one healthy leader has caught up; empty when all is well. */
export function faults(world: World, policyQuietSince: Instant): readonly string[] {
  const { server, clock } = world
  const found: string[] = [...server.violations]
  const tasks = [...server.objects.tasks.values()].map((t) => t.value)
  const working = server.delivered.filter((t) => works(world, t) && !givenUp(world, t))
  found.push(...strayRoles(world, (task) => should(world, task, policyQuietSince)))
  for (const task of tasks) {
    const wanted = should(world, task, policyQuietSince)
    const mine = working.filter((t) => t.task === task.uid)
    const secret = server.secrets.get(secretName(task.name))
    const ours = secret?.owner === task.uid ? secret : undefined
    const name = `task ${task.name} (${task.uid})`
    if (wanted === 'over' && task.record.completedAt === undefined) found.push(`${name} should be over and is not`)
    if (wanted === 'over' || wanted === 'stopped') {
      if (ours !== undefined && !server.unattended.has(ours.uid))
        found.push(`${name} is ${wanted} and its Secret is there, attempt ${ours.attempt}`)
      for (const t of mine)
        if (t.ref !== undefined || t.handle !== undefined) found.push(`${name} is ${wanted} and its token of attempt ${t.attempt} works`)
    }
    if (wanted === 'live') found.push(...deadInLiveTask(world, task).map((what) => `${name} should be live: ${what}`))
    if (phase(task.record) === 'delivered' && wanted === 'either' && !world.wentBack())
      found.push(...inStep(world, task).map((what) => `${name}: ${what}`))
    found.push(
      ...twice(mine).map((what) => `${name}: ${what}`),
      ...untrueOfRoles(world, task).map((what) => `${name}: ${what}`),
      ...endedForNothing(world, task).map((what) => `${name}: ${what}`),
      ...untrueWords(
        world,
        task,
        mine.filter((t) => !server.stray.has(t)),
      ).map((what) => `${name}: ${what}`),
    )
  }
  for (const token of working) {
    const task = tasks.find((t) => t.uid === token.task)
    const deadline = (task ?? server.lastSeen.get(token.task))?.record.deadlineAt
    if (task === undefined && placeOf(token) !== '') found.push(`a token of ${token.task}, which is gone, works`)
    const least = placeOf(token) === '' ? 30 : 1
    if (!world.wentBack() && deadline !== undefined && token.expiresAt > Math.max(deadline, plus(clock.wall, seconds(least))))
      found.push(`a token of ${token.task} works past the deadline`)
  }
  for (const [key, { owner }] of server.secrets)
    if (owner !== undefined && !tasks.some((t) => t.uid === owner)) found.push(`Secret ${key} of ${owner}, which is gone, is there`)
  return found
}

function deadInLiveTask(world: World, task: Task): readonly string[] {
  const { record } = task
  if (phase(record) !== 'delivered') return [`its record says ${phase(record)}`]
  const ready = task.report.conditions.find((c) => c.type === 'Ready')
  return [...(ready?.status === 'True' ? [] : [`Ready is ${ready?.status}: ${ready?.reason}`]), ...inStep(world, task)]
}

/** What is delivered by the record is in the Secret, and as alive as the record says. */
function inStep(world: World, task: Task): readonly string[] {
  const { record } = task
  const secret = world.server.secrets.get(secretName(task.name))
  if (secret?.uid !== record.secret?.uid && record.secret !== undefined && world.server.byHand.has(record.secret.uid)) return []
  if (secret === undefined || secret.owner !== task.uid || secret.uid !== record.secret?.uid)
    return ['the Secret that its record knows is not there']
  if (secret.attempt !== record.attempt && secret.attempt < record.attempt)
    return [`its Secret is of attempt ${secret.attempt}, its record of ${record.attempt}`]
  const dead = record.credentials.filter((c) => c.revokedAt === undefined && c.expiresAt > world.clock.wall)
  return dead.flatMap((c) => {
    const token = secret.tokens.find((t) => t.credential === c.name)
    if (token !== undefined && givenUp(world, token)) return []
    return token !== undefined && works(world, token)
      ? handleInStep(task, c.name, token.handle)
      : [`the token of \`${c.name}\` in its Secret is dead`]
  })
}

const givenUp = ({ server }: World, { handle }: Token): boolean => handle !== undefined && server.givenUp.has(handle)

/** Two places that both read valid for one credential. Successors under one place are one; what only expires is not counted. */
function twice(working: readonly Token[]): readonly string[] {
  const places = new Map<string, Set<string>>()
  for (const t of working)
    if (t.ref !== undefined || t.handle !== undefined) places.set(t.credential, (places.get(t.credential) ?? new Set()).add(placeOf(t)))
  return [...places].flatMap(([name, refs]) => (refs.size > 1 ? [`\`${name}\` lives ${refs.size} times`] : []))
}

/** UIDs never come back: what is there now was never gone. */
function endedForNothing({ server }: World, { name, spec, record }: Task): readonly string[] {
  const agent = server.objects.agents.get(spec.agent)?.value
  const facts: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['Agent', record.bound.agent, agent?.uid],
    ['ServiceAccount', record.bound.serviceAccount, server.objects.accounts.get(agent?.account ?? '')?.value.uid],
    ['Workload', record.bound.workload, server.objects.jobs.get(name)?.value.uid],
  ]
  const ended = facts.filter(([what]) => record.completion === `${what}Gone` || record.completion === `${what}Replaced`)
  const deleting = server.objects.jobs.get(name)?.value.deleting === true
  return ended.flatMap(([what, bound, there]) =>
    bound !== undefined && bound === there && !deleting ? [`it ended as ${record.completion}, and its ${what} is there`] : [],
  )
}

/** What the Revoked condition promises is so. */
function untrueWords({ clock, wentBack }: World, task: Task, working: readonly Token[]): readonly string[] {
  const revoked = task.report.conditions.find((c) => c.type === 'Revoked')
  // a clock that went back makes an earlier attempt's token outlive the one that replaced it
  if (wentBack()) return []
  if (revoked?.status === 'True' && working.length > 0) return [`Revoked is True (${revoked.reason}) and a token works`]
  if (revoked?.reason !== 'ExpiresAt') return []
  const said = Date.parse(revoked.message.slice(revoked.message.lastIndexOf(' ') + 1))
  return working.some((t) => t.expiresAt > said && t.expiresAt > clock.wall) ? ['a token lives longer than Revoked says'] : []
}

/** Times at which something may be due, for looking whether a timer is missing. */
export function dueTimes(task: Task, clock: Instant): readonly Instant[] {
  const { record, spec } = task
  const times = [record.deadlineAt, ...record.credentials.flatMap((c) => [c.expiresAt, c.renewAt])]
  if (record.startedAt !== undefined) times.push(plus(record.startedAt, spec.startingDeadline))
  if (record.completedAt !== undefined && spec.ttlAfterFinished !== undefined) times.push(plus(record.completedAt, spec.ttlAfterFinished))
  return times.filter((t): t is Instant => t !== undefined && t > minus(clock, seconds(0)))
}

/** For a readable end of a failed run. */
export function describeWorld(world: World): string {
  const { server } = world
  const lines = [...server.objects.tasks.values()].map(({ value: t }) => {
    const refs = liveStatusRefs(t.record).map(refKey)
    return `task ${t.name} ${t.uid}: attempt ${t.record.attempt}, ${phase(t.record)}, over ${t.record.completion ?? 'no'}, places ${refs.join(' ') || 'none'}`
  })
  const secrets = [...server.secrets].map(
    ([key, s]) => `Secret ${key} ${s.uid} of ${s.owner ?? 'somebody else'}: attempt ${s.attempt}, ${s.tokens.length} tokens`,
  )
  return [...lines, ...secrets, ...describeSource(world)].join('\n')
}
