// `drain` before the operator is removed: everything is taken back at its source, nothing is issued meanwhile, and what cannot be ended
// is named. Tokens are asked of a verifier, roles of PostgreSQL itself.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { eventually } from '../support/cluster.ts'
import { type RunningOperator, startOperator } from '../support/operator.ts'
import { freeLease } from './faults/tokens.ts'
import { createDatabase, type Database, onlyAlive } from './support/database.ts'
import { createScenario, judge, runOperator, type Scenario } from './support/scenario.ts'

const mode = '/api/v1/namespaces/taskbound-system/configmaps/taskbound-mode'
const merge = { contentType: 'application/merge-patch+json' }
const root = resolve(import.meta.dirname, '../..')

let scenario: Scenario
let database: Database
let operator: RunningOperator | undefined

beforeEach(async () => {
  scenario = await createScenario('drain')
  database = await createDatabase(scenario)
  await freeLease(scenario)
})
afterEach(async () => {
  await scenario.kube.request('DELETE', mode)
  await operator?.stop()
  operator = undefined
  await database?.close()
  await scenario?.close()
})

async function drain(seconds: number): Promise<{ readonly code: number | null; readonly output: string }> {
  const flags = [`--kubeconfig=${scenario.kube.kubeconfig}`, `--drain-timeout-seconds=${seconds}`]
  const child = spawn(resolve(root, 'node_modules/.bin/node'), [resolve(root, 'src/main.ts'), 'drain', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = text(child.stdout)
  const [code] = (await once(child, 'exit')) as [number | null]
  return { code, output: await output }
}

const names = (count: number): readonly string[] => [...Array(count).keys()].map((i) => `t${i}`)
const roles = () => Promise.all(names(10).map((name) => database.task(name, { activeDeadlineSeconds: 86_400 })))
const usernames = async () => (await Promise.all(names(10).map((name) => database.active(name)))).map(({ username }) => username)

test('it takes everything back, nothing is issued meanwhile, and tasks go on once an operator serves again', async () => {
  operator = await runOperator()
  await roles()
  const tokens = await Promise.all(names(10).map(async (name) => scenario.active(await scenario.task({ name: `j${name}` }))))
  await onlyAlive(database, ...(await usernames()))

  const { code, output } = await drain(60)
  expect(output).toContain('everything is taken back')
  expect(code).toBe(0)
  expect(await database.alive()).toEqual([])
  for (const token of tokens) expect(await judge(operator.issuer, token)).toBe('revoked')
  for (const name of names(10)) {
    expect((await scenario.kube.request('GET', scenario.path('secrets', `taskbound-${name}`))).status).toBe(404)
    expect((await scenario.conditions(name))['Ready']).toMatchObject({ status: 'False', reason: 'Suspended' })
  }

  await database.task('late')
  await scenario.until('late', 'Suspended')
  expect((await scenario.conditions('late'))['Issued']?.status).toBe('False')
  // the leader changes, and the object goes with the release before the last replica does
  await operator.stop()
  operator = await runOperator()
  await scenario.kube.must('DELETE', mode)
  await new Promise((done) => setTimeout(done, 2000))
  expect(await database.alive()).toEqual([])

  await operator.stop()
  operator = await runOperator()
  await database.active('late')
  await onlyAlive(database, ...(await usernames()), (await database.active('late')).username)
})

test('what cannot be ended is named, and the operator goes on trying and issues nothing', async () => {
  operator = await runOperator()
  await roles()
  await usernames()
  await database.server.down()
  const { code, output } = await drain(4)
  expect(code).toBe(1)
  expect(output).toContain('not everything is taken back after 4 seconds')
  expect(output).toMatch(new RegExp(`of ${scenario.namespace}/t0 at provider ${database.name}: `))
  expect(output).toContain('--no-hooks')
  await database.server.up()
  await onlyAlive(database)
  expect((await drain(30)).code).toBe(0)
  await scenario.kube.must('PATCH', mode, { data: { mode: 'Serving' } }, merge)
  await onlyAlive(database, ...(await usernames()))
})

test('the leader is killed in the midst of it', async () => {
  operator = await startOperator({ kubeconfig: scenario.kube.kubeconfig })
  await operator.active()
  await roles()
  await usernames()
  const drained = drain(60)
  await eventually(async () => expect((await database.alive()).length).toBeLessThan(10), { everyMs: 5 })
  operator.signal('SIGKILL')
  await operator.died()
  operator = await runOperator()
  expect(await drained).toMatchObject({ code: 0 })
  expect(await database.alive()).toEqual([])
})

test('where nobody runs it is done at once if nothing is left, and says what is left if not', async () => {
  operator = await runOperator()
  await roles()
  await usernames()
  await operator.stop()
  operator = undefined
  const stuck = await drain(3)
  expect(stuck.code).toBe(1)
  expect(stuck.output).toContain('no replica leads')
  expect(stuck.output).toContain(`AgentTask ${scenario.namespace}/t0`)

  operator = await runOperator()
  await onlyAlive(database)
  await eventually(async () => expect((await drain(20)).code).toBe(0))
  await operator.stop()
  operator = undefined
  const idle = await drain(30)
  expect(idle).toMatchObject({ code: 0 })
  expect(idle.output).toContain('nothing is to be taken back')
})
