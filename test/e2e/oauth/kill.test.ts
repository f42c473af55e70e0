// The operator is killed, or loses an answer, after the authorization server or the API server has acted, at every call that issues, renews or
// ends a token. After a restart the server is asked: nothing is alive without a live task, nor twice, but what a row waits for.

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type Fake, startFake } from '../../providers/oauth/fake.ts'
import { eventually } from '../../support/cluster.ts'
import { type RunningOperator, startOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { type Authorized, createAuthorized, trustIn } from '../support/authorized.ts'
import { collectKills } from '../support/kills.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'

type Step = 'issue' | 'renew' | 'end'
type Fault = 'SIGKILL' | 'drop'
interface Point {
  readonly step: Step
  /** a path of the authorization server, or a call to the API server as a regular expression */
  readonly call: string
  readonly fault: Fault
}
const note = '^PATCH .*/credentialleases/tb[a-z2-7]+/status$'
const keep = '^POST /api/v1/namespaces/taskbound-system/secrets'
const point = (step: Step, call: string, fault: Fault): Point => ({ step, call, fault })
const points: readonly Point[] = [
  point('issue', note, 'SIGKILL'),
  point('issue', '/token', 'SIGKILL'),
  point('issue', '/token', 'drop'),
  point('issue', keep, 'SIGKILL'),
  point('issue', keep, 'drop'),
  point('issue', '/introspect', 'SIGKILL'),
  point('renew', '/token', 'SIGKILL'),
  point('renew', '/token', 'drop'),
  point('end', '/revoke', 'SIGKILL'),
  point('end', '/revoke', 'drop'),
  point('end', '/introspect', 'SIGKILL'),
]
const preload = ['test/support/faults/faultpoint.ts', 'test/support/faults/fastclock.ts']
const speed = 20
/** Seconds by which an answer that was lost has expired, and more. */
const dead = 430

let scenario: Scenario
let authorized: Authorized
let fake: Fake
let operator: RunningOperator | undefined
let issuerPort = 0
const kills = collectKills('oauth', 'a strict stand-in for an authorization server')

beforeAll(async () => {
  scenario = await createScenario('oauthkill')
  authorized = createAuthorized(scenario)
  fake = await startFake()
  await freeLease(scenario)
  const first = await runOperator()
  fake.trusted = await trustIn(first)
  await authorized.provide({ issuer: fake.issuer, caBundle: fake.caBundle })
  issuerPort = first.issuerPort
  await first.stop()
}, 600_000)
afterEach(async () => {
  Object.assign(fake, { after: undefined, clock: undefined, passed: 0 })
  await operator?.stop()
  operator = undefined
  fake.tokens.clear()
})
afterAll(async () => {
  await kills.keep()
  await authorized?.close()
  await fake?.close()
  await scenario?.close()
})

/** Strikes at the next such call. Answers whether it has. */
function arm({ call, fault }: Point, running: RunningOperator, mine: (token: string | undefined) => boolean): () => boolean {
  let struck = false
  fake.after = ({ path, form }) => {
    if (struck || path !== call || !mine(form['token'])) return undefined
    struck = true
    if (fault === 'drop') return 'cut'
    running.signal('SIGKILL')
    return undefined
  }
  return () => struck
}

describe('after each call', () => {
  test.each(points)(
    '$step: $call $fault',
    async (at) => {
      const { step, call, fault } = at
      const task = `${step}-${fault}-${points.indexOf(at)}`.toLowerCase()
      await freeLease(scenario)
      const since = Date.now()
      // what lives minutes is seen to die in seconds, by both
      const fast = step === 'renew'
      // what was noted is waited for, whether or not it was asked for
      const lost = call === '/token' || call === note
      const clock: Record<string, string> = fast ? { FASTCLOCK: String(speed), FASTCLOCK_SINCE: String(since) } : {}
      if (fast) fake.clock = () => since + (Date.now() - since) * speed
      const atServer = call.startsWith('^') ? { FAULTPOINT: JSON.stringify({ match: call, nth: 1, when: 'after', what: fault }) } : {}
      const running = await startOperator({ kubeconfig: scenario.kube.kubeconfig, issuerPort, preload, env: { ...clock, ...atServer } })
      operator = running
      await running.active()
      let struck = () => running.output().includes('fault ')
      // tokens that it asks about to see whether the server answers are nobody's
      const known = (token: string | undefined): boolean => token === undefined || fake.tokens.has(token)
      if (step === 'issue' && atServer.FAULTPOINT === undefined) struck = arm(at, running, known)
      await authorized.task(task, { activeDeadlineSeconds: 86_400 })
      if (step !== 'issue') {
        await scenario.active(task)
        await eventually(async () => expect((await authorized.rows(task)).map(({ status }) => status?.state)).toContain('Issued'))
        struck = arm(at, running, known)
        if (step === 'end') await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
      }
      await eventually(() => expect(struck()).toBe(true), { timeoutMs: 60_000 })
      if (fault === 'SIGKILL') {
        expect(await running.died()).toBe('SIGKILL')
        await freeLease(scenario)
        operator = await runOperator({ issuerPort, preload, env: clock })
      }
      if (lost && step === 'issue') await waitOut(task)
      const found = step === 'end' ? [] : [await live(step, task)]
      if (step !== 'end') await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
      await scenario.until(task, 'Completed')
      if (lost && step === 'renew') await waitOut(task, true)
      await eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'True' }), {
        timeoutMs: 60_000,
      })
      expect(fake.living()).toEqual([])
      expect((await authorized.rows(task)).map(({ status }) => status?.state).filter((state) => state !== 'Revoked')).toEqual([])
      await eventually(async () => expect(await authorized.kept(task)).toEqual([]))
      const name = { [note]: 'the row', [keep]: 'what is kept' }[call] ?? call
      const waited = lost ? [`what ${call === note ? 'may have been made' : 'nobody holds'} was waited out, as its row said`] : []
      const then = step === 'issue' ? [...waited, ...found, 'then dead'] : step === 'renew' ? [...found, ...waited, 'then dead'] : ['dead']
      kills.note(step, name, fault === 'SIGKILL' ? 'killed after' : 'lost', then.join('; '))
    },
    180_000,
  )
})

/**
 * A token that nobody knows of is waited for, and its row says so. Then its time is over, by all clocks.
 * @param mayBeOver by clocks that run fast it may be so already
 */
async function waitOut(task: string, mayBeOver = false): Promise<void> {
  await eventually(
    async () => {
      const rows = await authorized.rows(task)
      if (mayBeOver && fake.living().length === 0 && rows.every(({ status }) => status?.state === 'Revoked')) return
      expect(rows.map(({ status }) => status?.message).join()).toContain('nobody holds it')
    },
    { timeoutMs: 60_000 },
  )
  await operator?.stop()
  const ahead = Math.ceil((fake.now() - Date.now()) / 1000) + dead
  Object.assign(fake, { clock: undefined, passed: ahead * 1000 })
  await freeLease(scenario)
  const env = { TASKBOUND_TEST_CLOCK_AHEAD: String(ahead) }
  operator = await runOperator({ issuerPort, preload: ['test/support/preload/clock.ts'], env })
}

async function live(step: Step, task: string): Promise<string> {
  return eventually(
    async () => {
      const token = await scenario.active(task)
      expect(fake.alive(token)).toBe(true)
      const alive = fake.living()
      // the one before a renewal lives on to its own expiry, and so does what was lost in one
      if (step === 'issue') expect(alive).toEqual([token])
      const { length } = await authorized.rows(task)
      return `live, ${length} row${length === 1 ? '' : 's'}, ${alive.length} at the server`
    },
    { timeoutMs: 120_000, everyMs: 300 },
  )
}
