// The operator is killed, or loses an answer, after Vault or the API server has acted, at every call that issues, renews or ends what a Vault
// gives. After a restart Vault and the database are asked: nothing without a live task, nothing that a row does not know.

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type Lossy, startLossy } from '../../providers/vault/lossy.ts'
import { path } from '../../providers/vault/real.ts'
import { eventually } from '../../support/cluster.ts'
import { type RunningOperator, startOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'
import { createVaulted, type Vaulted } from '../support/vaulted.ts'

type Step = 'issue' | 'renew' | 'end'
interface Point {
  readonly step: Step
  /** a call to Vault, or to the API server as a regular expression */
  readonly call: string
  readonly nth: number
}
const note = '^PATCH .*/credentialleases/tb[a-z2-7]+/status$'
const point = (step: Step, call: string, nth = 1): Point => ({ step, call, nth })
const points: readonly Point[] = [
  point('issue', 'POST auth/jwt/login'),
  point('issue', note),
  point('issue', `GET ${path}`),
  point('issue', note, 2),
  point('issue', 'PUT sys/leases/renew'),
  point('issue', 'PUT auth/token/renew-self'),
  point('renew', 'POST auth/jwt/login'),
  point('renew', `GET ${path}`),
  point('renew', 'PUT auth/token/renew-self'),
  point('end', 'PUT auth/token/lookup-accessor'),
  point('end', 'PUT sys/leases/revoke'),
  point('end', 'PUT auth/token/revoke-accessor'),
  point('end', 'PUT auth/token/lookup-accessor', 2),
  point('end', 'PUT sys/leases/lookup'),
]
const preload = ['test/support/faults/faultpoint.ts', 'test/support/faults/fastclock.ts']

let scenario: Scenario
let vaulted: Vaulted
let lossy: Lossy
let operator: RunningOperator | undefined
let issuerPort = 0
const table: string[] = []

beforeAll(async () => {
  scenario = await createScenario('vaultkill')
  vaulted = await createVaulted(scenario, async (vault) => {
    lossy = await startLossy(vault)
    return lossy
  })
  await freeLease(scenario)
  const first = await runOperator()
  await vaulted.trust(first)
  issuerPort = first.issuerPort
  await first.stop()
  // the clock of an operator that is to renew runs fast, and Vault has to put up with it
  for (const role of ['payroll-tasks', 'taskbound-operator'])
    await vaulted.vault.ask('POST', `auth/jwt/role/${role}`, { role_type: 'jwt', clock_skew_leeway: 1_000_000 })
}, 600_000)
afterEach(async () => {
  Object.assign(lossy, { fate: () => undefined, answered: () => undefined })
  await operator?.stop()
  operator = undefined
})
afterAll(async () => {
  console.log(['step   call                                      fault    Vault and database, after convergence', ...table].join('\n'))
  await vaulted?.close()
  await lossy?.close()
  await scenario?.close()
})

/** Strikes at the nth such call to Vault from now on. Answers whether it has. */
function arm({ call, nth }: Point, fault: 'SIGKILL' | 'drop', running: RunningOperator): () => boolean {
  let [seen, struck] = [0, false]
  // the operator's own login is not part of it
  const from = lossy.calls.length
  const meant = (asked: string): boolean => asked === call && !struck && ++seen === nth
  if (fault === 'drop')
    lossy.fate = (n, asked) => {
      if (n < from || !meant(asked)) return undefined
      struck = true
      return 'lost'
    }
  else
    lossy.answered = (asked) => {
      if (!meant(asked)) return
      struck = true
      running.signal('SIGKILL')
    }
  return () => struck
}

describe.each(['SIGKILL', 'drop'] as const)('%s', (fault) => {
  test.each(points)(
    '$step: $call $nth',
    async (at) => {
      const { step, call, nth } = at
      const task = `${step}-${fault}-${points.indexOf(at)}`.toLowerCase()
      await freeLease(scenario)
      const clock: Record<string, string> = step === 'renew' ? { FASTCLOCK: '20', FASTCLOCK_SINCE: String(Date.now()) } : {}
      const atServer = call === note ? { FAULTPOINT: JSON.stringify({ match: call, nth, when: 'after', what: fault }) } : {}
      const common = { issuerPort, preload }
      const running = await startOperator({ kubeconfig: scenario.kube.kubeconfig, ...common, env: { ...clock, ...atServer } })
      operator = running
      await running.active()
      // ready, and logged in
      await eventually(() => expect(lossy.calls).toContain('GET auth/jwt/role/payroll-tasks'))
      const armed = step === 'issue' && call !== note ? arm(at, fault, running) : undefined
      const ttlSeconds = step === 'renew' ? 300 : 900
      await vaulted.task(task, { activeDeadlineSeconds: 86_400, credentials: [{ ...vaulted.credential, ttlSeconds }] })
      let struck = armed ?? (() => running.output().includes('fault '))
      if (step !== 'issue') {
        await vaulted.active(task)
        await eventually(async () => expect((await vaulted.rows(task)).map(({ state }) => state)).toContain('Issued'))
        struck = arm(at, fault, running)
        if (step === 'end') await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
      }
      await eventually(() => expect(struck()).toBe(true), { timeoutMs: 40_000 })
      if (fault === 'SIGKILL') {
        expect(await running.died()).toBe('SIGKILL')
        await freeLease(scenario)
        operator = await runOperator({ ...common, env: clock })
      }
      const found = step === 'end' ? 'ended' : await live(step, task)
      if (step !== 'end') await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
      await scenario.until(task, 'Completed')
      await vaulted.onlyAlive()
      await eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'True' }), {
        timeoutMs: 20_000,
      })
      const rows = await vaulted.rows(task)
      expect(rows.filter(({ state }) => state !== 'Revoked')).toEqual([])
      // a login whose answer nobody has heard: unused, and dead within a minute
      const unheard = (await vaulted.vault.logins()).filter(({ handle }) => rows.some((row) => row.handle === handle))
      expect(unheard.filter(({ ttl }) => ttl > 60)).toEqual([])
      expect(unheard.length).toBeLessThanOrEqual(1)
      table.push(
        `${step.padEnd(6)} ${`${call.replace(note, 'the row')} ${nth}`.padEnd(41)} ${fault.padEnd(8)} ${found}; then no role and no lease`,
      )
    },
    120_000,
  )
})

async function live(step: Step, task: string): Promise<string> {
  return eventually(
    async () => {
      const given = await vaulted.active(task)
      expect(await vaulted.works(given)).toBe(true)
      const alive = await vaulted.alive()
      expect(alive).toContain(given.username)
      // predecessors and what was lost in a renewal hang on logins that the row knows
      if (step === 'issue') expect(alive).toHaveLength(1)
      return `live: ${(await vaulted.rows(task)).length} row(s), ${alive.length} role(s)`
    },
    { timeoutMs: 90_000, everyMs: 300 },
  )
}
