// The operator is killed, or loses an answer, after GitHub or the API server has acted, at every call that issues, renews or ends a token.
// After a restart GitHub's stand-in is asked: nothing without a live task but what nobody has, and of that the row says so.

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { endCall, issueCall, seeCall } from '../../providers/github-app/fake.ts'
import { eventually } from '../../support/cluster.ts'
import { type RunningOperator, startOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createHubbed, type Hubbed } from '../support/hubbed.ts'
import { collectKills } from '../support/kills.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'

type Step = 'issue' | 'renew' | 'end'
interface Point {
  readonly step: Step
  readonly what: string
  /** a call to GitHub, or to the API server as a regular expression */
  readonly call: string
}
const home = '/namespaces/taskbound-system/'
const point = (step: Step, what: string, call: string): Point => ({ step, what, call })
const points: readonly Point[] = [
  point('issue', 'the row is noted', `^PATCH .*${home}credentialleases/tb[a-z2-7]+/status$`),
  point('issue', 'a token is made', issueCall),
  point('issue', 'it is kept', `^POST .*${home}secrets$`),
  point('issue', 'it is delivered', '^POST .*/namespaces/(?!taskbound-system)[^/]+/secrets$'),
  point('renew', 'a token is made', issueCall),
  point('renew', 'it is kept', `^PUT .*${home}secrets/taskbound-kept-`),
  point('renew', 'it is delivered', '^PUT .*/namespaces/(?!taskbound-system)[^/]+/secrets/'),
  point('end', 'the token is ended', endCall),
  point('end', 'it is looked at', seeCall),
  point('end', 'the row is closed', `^PATCH .*${home}credentialleases/tb[a-z2-7]+/status$`),
  point('end', 'what was kept is gone', `^DELETE .*${home}secrets/taskbound-kept-`),
]
const preload = ['test/support/faults/faultpoint.ts', 'test/support/faults/fastclock.ts']

let scenario: Scenario
let hubbed: Hubbed
let operator: RunningOperator | undefined
let issuerPort = 0
const kills = collectKills('githubApp', 'a strict stand-in for GitHub')

beforeAll(async () => {
  scenario = await createScenario('githubkill')
  hubbed = await createHubbed(scenario)
  await freeLease(scenario)
  const first = await runOperator()
  issuerPort = first.issuerPort
  await first.stop()
}, 120_000)
afterEach(async () => {
  hubbed.fake.after = undefined
  await operator?.stop()
  operator = undefined
})
afterAll(async () => {
  await kills.keep()
  await hubbed?.close()
  await scenario?.close()
})

/** Strikes at the next such call to GitHub. Answers whether it has. */
function arm({ call }: Point, fault: 'SIGKILL' | 'drop', running: RunningOperator): () => boolean {
  let struck = false
  hubbed.fake.after = (request) => {
    if (struck || `${request.method} ${request.path.split('?')[0]}` !== call) return undefined
    struck = true
    if (fault === 'SIGKILL') running.signal('SIGKILL')
    return 'cut'
  }
  return () => struck
}

async function strike(at: Point, fault: 'SIGKILL' | 'drop'): Promise<void> {
  const { step, what, call } = at
  const { fake } = hubbed
  const task = `${step}-${fault}-${points.indexOf(at)}`.toLowerCase()
  await freeLease(scenario)
  fake.tokens.clear()
  // of a request without an answer nothing is sure for twelve seconds; both clocks run fast, from the same moment
  const waits = call === issueCall || what === 'the row is noted'
  const since = Date.now()
  const speed = step === 'renew' || waits ? 20 : 1
  fake.now = () => since + (Date.now() - since) * speed
  const clock: Record<string, string> = { FASTCLOCK: String(speed), FASTCLOCK_SINCE: String(since) }
  // at the end of a task only what comes after the token was ended counts
  const closes = step === 'end' ? { since: '^DELETE .*/secrets/taskbound-end-' } : {}
  const atServer = call.startsWith('^')
    ? { FAULTPOINT: JSON.stringify({ match: call, nth: 1, when: 'after', what: fault, ...closes }) }
    : {}
  const common = { issuerPort, preload }
  const running = await startOperator({ kubeconfig: scenario.kube.kubeconfig, ...common, env: { ...clock, ...atServer } })
  operator = running
  await running.active()
  let struck = call.startsWith('^') ? (): boolean => running.output().includes('fault ') : arm(at, fault, running)
  if (step !== 'issue') fake.after = undefined
  await hubbed.task(task, { ttlSeconds: step === 'renew' ? 300 : 900 })
  if (step !== 'issue') {
    await hubbed.active(task)
    await eventually(async () => expect((await hubbed.rows(task)).map(({ state }) => state)).toContain('Issued'))
    if (!call.startsWith('^')) struck = arm(at, fault, running)
    if (step === 'end') await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
  }
  await eventually(() => expect(struck()).toBe(true), { timeoutMs: 40_000 })
  if (fault === 'SIGKILL') {
    expect(await running.died()).toBe('SIGKILL')
    await freeLease(scenario)
    operator = await runOperator({ ...common, env: clock })
  }
  const found = step === 'end' ? '' : `${await live(task)}; then `
  if (step !== 'end') await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
  await scenario.until(task, 'Completed')
  // one that was made, and never answered; of one that was never sent nobody can know that
  const lost = call === issueCall ? 1 : 0
  const unknown = lost === 1 || what === 'the row is noted' ? 1 : 0
  await eventually(() => expect(fake.alive()).toHaveLength(lost), { timeoutMs: 40_000, everyMs: 50 })
  await eventually(
    async () => {
      const rows = await hubbed.rows(task)
      const open = rows.filter(({ state }) => state !== 'Revoked')
      expect(open).toHaveLength(unknown)
      for (const { message } of open) expect(message).toContain('it expires by itself')
      // what was kept goes with its row, with the tombstone at the latest
      const kept = await hubbed.kept(task)
      const closed = rows.filter(({ state }) => state === 'Revoked').map(({ handle }) => `taskbound-kept-${handle}`)
      expect(kept.filter((name) => closed.includes(name)).length).toBeLessThanOrEqual(step === 'end' && fault === 'SIGKILL' ? 1 : 0)
    },
    { timeoutMs: 20_000 },
  )
  const then = [
    'dead',
    'dead; one that may have been made has a row that says that it expires',
    'only what nobody has is alive, and its row says that it expires',
  ][lost + unknown]
  kills.note(step, what, fault === 'SIGKILL' ? 'killed after' : 'lost', `${found}${then}`)
}

/** What the Secret holds works, and of what works nothing is unknown to a row but what nobody has. */
function live(task: string): Promise<string> {
  return eventually(
    async () => {
      const token = await hubbed.active(task)
      const alive = hubbed.fake.alive()
      expect(alive).toContain(token)
      return `live, ${alive.length} at the server`
    },
    { timeoutMs: 60_000, everyMs: 200 },
  )
}

describe('SIGKILL', () => {
  test.each(points)('$step: $what', (at) => strike(at, 'SIGKILL'), 120_000)
})
describe('the answer is lost', () => {
  test.each(points.filter(({ call }) => call === endCall))('$step: $what', (at) => strike(at, 'drop'), 120_000)
})
