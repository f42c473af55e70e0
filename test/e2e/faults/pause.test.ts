// The leader is stopped for twice its lease at a request that issues, renews or ends, and then goes on with exactly that request. Its
// successor has taken over meanwhile: no task has two live credentials, no ended one a live one, no live one a dead one.

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { eventually } from '../../support/cluster.ts'
import { type RunningOperator, startOperator } from '../../support/operator.ts'
import { createScenario, judge, type Scenario } from '../support/scenario.ts'
import { freeLease, type TokensSeen, watchTokens } from './tokens.ts'

const leaseSeconds = 3
const flags = [`--lease-duration-seconds=${leaseSeconds}`, '--renew-deadline-seconds=2', '--retry-period-seconds=1']
const preload = ['test/support/faults/faultpoint.ts', 'test/support/faults/fastclock.ts']
/** A credential of 300 seconds is then renewed after 11 seconds at most, and ends some 12 seconds later. */
const fast = 12

type Step = 'issue' | 'renew' | 'end'
const status = (_namespace: string, task: string): string => `^PATCH .*/agenttasks/${task}/status$`
const secret = (verb: string) => (namespace: string, task: string) => `^${verb} /api/v1/namespaces/${namespace}/secrets/taskbound-${task}$`

const posted = (namespace: string): string => `^POST /api/v1/namespaces/${namespace}/secrets$`

interface Row {
  readonly step: Step
  readonly before: string
  match(namespace: string, task: string): string
  /** counted only after this was seen, since nobody promises how many writes of the same kind come before */
  since?(namespace: string, task: string): string
}

const rows: readonly Row[] = [
  { step: 'issue', before: 'the status with the intent', match: status },
  { step: 'issue', before: 'the Secret', match: posted },
  { step: 'issue', before: 'the status that says Active', match: status, since: posted },
  { step: 'renew', before: 'the Secret', match: secret('PUT') },
  { step: 'renew', before: 'the status', match: status, since: secret('PUT') },
  { step: 'end', before: 'the deletion of the Secret', match: secret('DELETE') },
  { step: 'end', before: 'the last status', match: status, since: secret('DELETE') },
]

let scenario: Scenario
let seen: TokensSeen
const running: RunningOperator[] = []
const table: string[] = []

beforeAll(async () => {
  scenario = await createScenario('pause')
  seen = watchTokens(scenario)
})

afterEach(() => stopAll())

afterAll(async () => {
  seen?.stop()
  console.log(['step   stopped before                 after the pause', ...table].join('\n'))
  await scenario.close()
})

async function stopAll(): Promise<void> {
  await Promise.all(running.splice(0).map((operator) => operator.stop()))
}

async function start(options: Partial<Parameters<typeof startOperator>[0]>): Promise<RunningOperator> {
  const operator = await startOperator({ kubeconfig: scenario.kube.kubeconfig, flags, preload, ...options })
  running.push(operator)
  return operator
}

const place = (token: string): string => JSON.stringify(decodeJwt(token)['status'])
const own = (operator: RunningOperator): string => `https://127.0.0.1:${operator.issuerPort}`

test.each(rows)('$step: stopped before $before', async ({ step, before, match, since }) => {
  const task = `${step}-${rows.findIndex((row) => row.step === step && row.before === before)}`
  const clock = step === 'renew' ? { FASTCLOCK: String(fast), FASTCLOCK_SINCE: String(Date.now()) } : {}
  const point = { match: match(scenario.namespace, task), since: since?.(scenario.namespace, task) }
  await freeLease(scenario)
  const paused = await start({
    replica: 'paused',
    env: { ...clock, FAULTPOINT: JSON.stringify({ ...point, nth: 1, when: 'before', what: 'SIGSTOP' }) },
  })
  await paused.active()
  const successor = await start({ replica: 'successor', issuerUrl: paused.issuer, env: clock })
  await eventually(() => expect(successor.output()).toContain('"started"'), { timeoutMs: 20_000 })
  await drive(step, task)
  await eventually(() => expect(paused.output()).toContain('fault SIGSTOP'), { timeoutMs: 30_000 })
  const stopped = performance.now()
  await successor.active()
  await converged(step, task, paused.issuer, own(successor))
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, 2 * leaseSeconds * 1000 - (performance.now() - stopped))))

  paused.signal('SIGCONT')
  await eventually(() => expect(paused.output()).toContain('"no longer leading"'), { timeoutMs: 20_000 })
  const found = await converged(step, task, paused.issuer, own(successor))
  // the follower hands on what the leader signs
  const follower = await converged(step, task, paused.issuer, own(paused))
  expect(follower.live).toBe(found.live)
  if (step !== 'end') {
    await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
    await scenario.until(task, 'Cancelled')
    await nothingLive(task, paused.issuer, own(successor))
  }
  table.push(`${step.padEnd(6)} ${before.padEnd(30)} ${found.said}`)
})

async function drive(step: Step, task: string): Promise<void> {
  await scenario.task({ name: task, credential: { ttlSeconds: 300 }, spec: { activeDeadlineSeconds: 86_400 } })
  if (step !== 'end') return
  await scenario.active(task)
  await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
}

async function nothingLive(task: string, issuer: string, replica: string): Promise<void> {
  await scenario.secretGone(task)
  await eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'True' }))
  await eventually(async () => {
    for (const token of seen.of(task)) expect(await judge(issuer, token, undefined, replica)).not.toBe('live')
  })
}

async function converged(step: Step, task: string, issuer: string, replica: string): Promise<{ said: string; live: number }> {
  if (step === 'end') {
    await scenario.until(task, 'Completed')
    await nothingLive(task, issuer, replica)
    return { said: `ended: ${seen.of(task).length} token(s) ever, none live`, live: 0 }
  }
  return eventually(
    async () => {
      const token = await scenario.active(task)
      const { status: now } = await scenario.kube.must('GET', scenario.path('agenttasks', task))
      const object = await scenario.kube.must('GET', scenario.path('secrets', `taskbound-${task}`))
      expect(Number(object.metadata.annotations['taskbound.dev/attempt'])).toBe(now.secret.attempt)
      expect(object.metadata.uid).toBe(now.secret.uid)
      expect(seen.of(task)).toContain(token)
      const live: string[] = []
      for (const one of seen.of(task)) if ((await judge(issuer, one, undefined, replica)) === 'live') live.push(one)
      expect(live).toContain(token)
      // the predecessor of a renewal has the same place in the list, and dies with it
      expect(new Set(live.map(place)).size).toBe(1)
      return { said: `live: attempt ${now.secret.attempt}, ${seen.of(task).length} token(s) ever, one place live`, live: 1 }
    },
    { timeoutMs: 20_000, everyMs: 300 },
  )
}

test('a follower hands on status lists, refuses to past their end when the leader is gone, and leads then itself', async () => {
  // a status list that lives a minute is over in two seconds
  const clock = { FASTCLOCK: '30', FASTCLOCK_SINCE: String(Date.now()) }
  const options = { preload: ['test/support/faults/fastclock.ts'], env: clock, flags: [] }
  await freeLease(scenario)
  const leader = await start({ ...options, replica: 'leader' })
  await leader.active()
  const follower = await start({ ...options, replica: 'follower', issuerUrl: leader.issuer })
  await eventually(() => expect(follower.output()).toContain('"started"'), { timeoutMs: 20_000 })
  const task = await scenario.task({ credential: { ttlSeconds: 900 }, spec: { activeDeadlineSeconds: 86_400 } })
  const token = await scenario.active(task)
  const verdict = (of = token) => judge(leader.issuer, of, undefined, own(follower))
  await eventually(async () => expect(await verdict()).toBe('live'), { timeoutMs: 15_000 })
  await leader.stop('SIGKILL')
  await eventually(async () => expect(await verdict()).toMatch(/: 503$/))
  expect(follower.output()).not.toContain('"took over"')
  await follower.active()
  await eventually(async () => expect(await verdict(await scenario.active(task))).toBe('live'), { timeoutMs: 20_000 })
})
