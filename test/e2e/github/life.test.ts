// The life of a token of a GitHub App, from the apply to its end; what policy sees of it; what is kept, and where; and what becomes of a token
// whose answer was lost. GitHub's stand-in is asked each time.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { issueCall } from '../../providers/github-app/fake.ts'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createHubbed, type Hubbed } from '../support/hubbed.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'

let scenario: Scenario
let hubbed: Hubbed
let operator: RunningOperator

beforeAll(async () => {
  scenario = await createScenario('github')
  hubbed = await createHubbed(scenario)
  await freeLease(scenario)
  operator = await runOperator()
}, 120_000)
afterAll(async () => {
  await operator?.stop()
  await hubbed?.close()
  await scenario?.close()
})

const end = (task: string) => scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
const revoked = (task: string, wanted: object) =>
  eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject(wanted), { timeoutMs: 20_000 })

/** Another operator, by whose clock and GitHub's so many seconds have passed. */
async function goOn(ahead: number): Promise<void> {
  await operator.stop()
  hubbed.fake.now = () => Date.now() + ahead * 1000
  const env = { TASKBOUND_TEST_CLOCK_AHEAD: String(ahead) }
  operator = await runOperator({ issuerPort: operator.issuerPort, preload: ['test/support/preload/clock.ts'], env })
}

test('a task gets a token for what it asked for, which is kept sealed until GitHub refuses it', async () => {
  const task = await hubbed.task('one')
  const token = await hubbed.active(task)
  expect(hubbed.fake.alive()).toEqual([token])
  expect(hubbed.fake.tokens.get(token)).toMatchObject({ repositories: ['ledger'], permissions: { contents: 'read' } })
  const { data } = await scenario.kube.must('GET', scenario.path('secrets', `taskbound-${task}`))
  expect(Buffer.from(data['git.git-credentials'], 'base64').toString()).toBe(
    `https://x-access-token:${token}@localhost:${hubbed.fake.port}\n`,
  )
  const [secret] = await hubbed.kept(task)
  const kept = await scenario.kube.must('GET', `/api/v1/namespaces/taskbound-system/secrets/${secret}`)
  expect(Buffer.from(kept.data['1'], 'base64').toString()).toMatch(/^taskbound\.v1\.[0-9a-f]{16}\.[A-Za-z0-9_-]{600,}$/)
  expect(kept.metadata.ownerReferences).toMatchObject([{ kind: 'CredentialLease', name: secret?.replace('taskbound-kept-', '') }])

  await end(task)
  await revoked(task, { status: 'True', reason: 'AllRevoked' })
  expect(hubbed.fake.alive()).toEqual([])
  await eventually(async () => expect(await hubbed.kept(task)).toEqual([]))
  expect(await hubbed.rows(task)).toMatchObject([{ state: 'Revoked' }])
  const rows = JSON.stringify(await scenario.kube.must('GET', '/apis/taskbound.dev/v1alpha1/namespaces/taskbound-system/credentialleases'))
  for (const shown of [operator.output(), rows]) expect(shown).not.toMatch(/ghs_|PRIVATE KEY|Bearer |eyJ/)
})

test('policy sees what a token is for, and a block for another type of provider is refused', async () => {
  const write = await hubbed.task('writes', { github: { repositories: ['ledger'], permissions: { contents: 'write' } } })
  await scenario.until(write, 'Denied')
  const more = await hubbed.task('more', { github: { repositories: ['secrets'], permissions: { contents: 'read' } } })
  expect((await scenario.until(more, 'Denied', 'Pending')).message).toContain('a repository that the provider does not list')
  const other = await scenario.task({
    name: 'other',
    credential: { github: { repositories: ['ledger'], permissions: { contents: 'read' } } },
  })
  expect((await scenario.until(other, 'Denied', 'Pending')).message).toContain('has a block `github`')
  expect(hubbed.fake.alive()).toEqual([])
  for (const task of [write, more, other]) await scenario.remove('agenttasks', task)
})

test('what was kept under one row does not end another, and nothing is sent: its own is used again when it is back', async () => {
  const tasks = [await hubbed.task('mine'), await hubbed.task('yours')]
  const tokens = await Promise.all(tasks.map((task) => hubbed.active(task)))
  const [mine = '', yours = ''] = await Promise.all(tasks.map(async (task) => (await hubbed.kept(task))[0]))
  const path = (name: string): string => `/api/v1/namespaces/taskbound-system/secrets/${name}`
  const { data } = await scenario.kube.must('GET', path(mine))
  const theirs = await scenario.kube.must('GET', path(yours))
  await scenario.kube.must('PATCH', path(mine), { data: theirs.data }, { contentType: 'application/merge-patch+json' })
  await end('mine')
  await revoked('mine', { status: 'False', message: expect.stringContaining('sealed for another row') })
  await hubbed.onlyAlive(...tokens)
  await scenario.kube.must('PATCH', path(mine), { data }, { contentType: 'application/merge-patch+json' })
  await hubbed.onlyAlive(tokens[1] ?? '')
  await end('yours')
  await hubbed.onlyAlive()
})

test('what GitHub refuses is asked for again, and not in haste', async () => {
  let asked = 0
  hubbed.fake.before = (request) => {
    if (`${request.method} ${request.path}` !== issueCall) return undefined
    asked += 1
    return { status: 422, body: { message: 'There is at least one repository that does not exist' } }
  }
  const task = await hubbed.task('refused')
  await eventually(async () => expect((await scenario.until(task, 'Pending')).message).toContain('lacks one of the repositories'))
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  expect(asked).toBeLessThan(8)
  hubbed.fake.before = undefined
  const token = await hubbed.active(task)
  expect(hubbed.fake.alive()).toEqual([token])
  await end(task)
  await hubbed.onlyAlive()
})

test('a token whose answer was lost is told of until its hour is over; the task has another meanwhile', async () => {
  let lost = ''
  hubbed.fake.after = (request) => {
    if (lost !== '' || `${request.method} ${request.path}` !== issueCall) return undefined
    lost = hubbed.fake.alive()[0] ?? ''
    return 'cut'
  }
  const task = await hubbed.task('lost')
  await eventually(async () => expect((await scenario.until(task, 'Pending')).message).toContain('it expires by itself'))
  // the answer might be on its way for twelve seconds
  await goOn(20)
  const token = await hubbed.active(task)
  hubbed.fake.after = undefined
  expect(token).not.toBe(lost)
  await end(task)
  await hubbed.onlyAlive(lost)
  await revoked(task, { status: 'False', reason: 'ExpiresAt', message: expect.stringContaining('it expires by itself, by 20') })
  await goOn(4_000)
  await revoked(task, { status: 'True', reason: 'AllRevoked' })
  expect((await hubbed.rows(task)).map(({ state }) => state)).toEqual(['Revoked', 'Revoked'])
}, 150_000)
