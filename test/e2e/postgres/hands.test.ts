// What people do by hand to credentials of live tasks: they end a role at its source, they delete or change a task's Secret. The source is
// asked what lives, and so is the status list.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createDatabase, type Database, type Given, onlyAlive } from '../support/database.ts'
import { audience, createScenario, judge, runOperator, type Scenario } from '../support/scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'

let scenario: Scenario
let database: Database
let operator: RunningOperator
/** a provider at the same server whose tasks go on with new credentials */
let forgiving: string

beforeAll(async () => {
  scenario = await createScenario('hands')
  database = await createDatabase(scenario)
  forgiving = `${database.name}-again`
  const { spec } = await scenario.kube.must('GET', `${api}/clustercredentialproviders/${database.name}`)
  const common = { apiVersion: 'taskbound.dev/v1alpha1', metadata: { name: forgiving } }
  await scenario.kube.must('POST', `${api}/clustercredentialproviders`, {
    ...common,
    kind: 'ClusterCredentialProvider',
    spec: { ...spec, onExternalRevocation: 'Reissue' },
  })
  const cedar = `@id("again") permit (principal in Taskbound::Namespace::"${scenario.namespace}", action, resource == Taskbound::ClusterProvider::"${forgiving}");`
  await scenario.kube.must('POST', `${api}/clusteragentpolicies`, { ...common, kind: 'ClusterAgentPolicy', spec: { cedar } })
  await freeLease(scenario)
  operator = await runOperator()
}, 120_000)
afterAll(async () => {
  await operator?.stop()
  for (const plural of ['clusteragentpolicies', 'clustercredentialproviders'])
    await scenario?.kube.request('DELETE', `${api}/${plural}/${forgiving}`)
  await database?.close()
  await scenario?.close()
})

const role = (): object => ({
  name: 'db',
  providerRef: { kind: 'ClusterCredentialProvider', name: database.name },
  scopes: ['app_read'],
  ttlSeconds: 300,
})
const token = (): object => ({
  name: 'api',
  providerRef: { kind: 'ClusterCredentialProvider', name: scenario.name },
  audience: `${audience}/${scenario.name}`,
  scopes: ['read'],
  ttlSeconds: 300,
})
const secretOf = (task: string): string => scenario.path('secrets', `taskbound-${task}`)
const end = async (...tasks: readonly string[]): Promise<void> => {
  for (const task of tasks) await scenario.remove('agenttasks', task)
  await onlyAlive(database)
}

test('a role that somebody ends at its source ends its task, or is followed by another where its provider says so; no other is touched', async () => {
  const both = { credentials: [role(), token()] }
  const [locked, dropped, kept] = [
    await database.task('locked', both),
    await database.task('dropped', {}, { providerRef: { kind: 'ClusterCredentialProvider', name: forgiving } }),
    await database.task('kept'),
  ]
  const [first, second, third] = [await database.active(locked), await database.active(dropped), await database.active(kept)]
  const jwt = (await scenario.token(locked)) ?? ''
  const session = await database.server.login(first.username, first.password)
  session.on('error', () => undefined)
  await database.server.query(`alter role ${first.username} nologin`)
  await database.server.query(`drop role ${second.username}`)

  // a round within 38 seconds, and the look that makes it certain within 13 more
  await eventually(
    async () =>
      expect(await scenario.conditions(locked)).toMatchObject({
        Ready: { status: 'False', reason: 'Failed' },
        Failed: { status: 'True', reason: 'RevokedExternally', message: expect.stringContaining('`db`') },
        Revoked: { status: 'True', reason: 'AllRevoked' },
      }),
    { timeoutMs: 90_000, everyMs: 500 },
  )
  await scenario.secretGone(locked)
  expect(await judge(operator.issuer, jwt)).toBe('revoked')
  await expect(session.query('select 1')).rejects.toThrow()

  const next = await eventually<Given>(
    async () => {
      const given = await database.active(dropped)
      expect(given.username).not.toBe(second.username)
      return given
    },
    { timeoutMs: 60_000, everyMs: 500 },
  )
  expect(await database.works(next)).toBe(true)
  expect(await database.active(kept)).toEqual(third)
  await onlyAlive(database, next.username, third.username)

  const rows = await scenario.kube.must('GET', `${api}/namespaces/taskbound-system/credentialleases/${first.username}`)
  expect(rows.status).toMatchObject({ state: 'Revoked', reason: 'RevokedExternally', foundDeadTime: expect.stringContaining('T') })
  const { items } = await scenario.kube.must('GET', `/apis/events.k8s.io/v1/namespaces/${scenario.namespace}/events`)
  const told = (items as { reason: string; regarding: { name: string } }[]).filter(({ reason }) => reason === 'RevokedExternally')
  expect(new Set(told.map(({ regarding }) => regarding.name))).toEqual(new Set([locked, dropped]))
  const audited = operator.audit().filter(({ reason }) => reason === 'RevokedExternally')
  expect(audited.map(({ kind, task }) => `${task} ${kind}`).sort()).toEqual(['dropped revocation', 'locked end', 'locked revocation'])
  const metrics = await (await fetch(`${operator.metrics}/metrics`)).text()
  for (const provider of [database.name, forgiving])
    expect(metrics).toContain(`taskbound_credentials_revoked_externally_total{provider="${provider}"} 1`)
  await end(dropped, kept)
}, 180_000)

test('a suspended task whose Secret was deleted has another at once when it is resumed, and what was in the first is dead', async () => {
  const task = await database.task('resumed', { credentials: [role(), token()], activeDeadlineSeconds: 3600 })
  const before = await database.active(task)
  await scenario.remove('secrets', `taskbound-${task}`)
  await scenario.patch('agenttasks', task, { spec: { suspend: true } })
  await scenario.until(task, 'Suspended')
  await onlyAlive(database)
  await scenario.patch('agenttasks', task, { spec: { suspend: false } })
  const after = await database.active(task)
  expect(after.username).not.toBe(before.username)
  await onlyAlive(database, after.username)
  await end(task)
}, 60_000)

test('what is in a Secret is changed by nobody; one that was deleted is noticed by the next write, and what was in it is revoked', async () => {
  const credentials = [role(), token()]
  const [deleted, whole] = [
    await database.task('deleted', { credentials, activeDeadlineSeconds: 3600 }),
    await database.task('whole', { credentials, activeDeadlineSeconds: 3600 }),
  ]
  const [gone, kept] = [await database.active(deleted), await database.active(whole)]
  const [lost, old] = [(await scenario.token(deleted)) ?? '', (await scenario.token(whole)) ?? '']
  for (const data of [{ api: 'bWluZQ==' }, { 'db.password': 'bWluZQ==' }, { more: 'bWluZQ==' }]) {
    const refused = await scenario.kube.request('PATCH', secretOf(whole), { data }, { contentType: 'application/merge-patch+json' })
    expect([refused.status, JSON.stringify(refused.body)]).toEqual([403, expect.stringContaining('only the operator may change the data')])
  }
  await scenario.remove('secrets', `taskbound-${deleted}`)

  // the renewal is the next write: half of its life later, by the operator's clock
  await operator.stop()
  await freeLease(scenario)
  const env = { TASKBOUND_TEST_CLOCK_AHEAD: '170' }
  operator = await runOperator({ issuerPort: operator.issuerPort, preload: ['test/support/preload/clock.ts'], env })
  const fresh = await eventually<Given>(
    async () => {
      const given = await database.active(deleted)
      expect(given.username).not.toBe(gone.username)
      return given
    },
    { timeoutMs: 30_000 },
  )
  const [after, renewed] = [await database.active(whole), await eventually(async () => scenario.token(whole))]
  expect(after.username).toBe(kept.username)
  expect(await database.works(fresh)).toBe(true)
  await onlyAlive(database, fresh.username, kept.username)
  const later = new Date(Date.now() + 170_000)
  expect(await judge(operator.issuer, lost, later)).toBe('revoked')
  expect(await judge(operator.issuer, (await scenario.token(deleted)) ?? '', later)).toBe('live')
  for (const one of [old, renewed ?? '']) expect(await judge(operator.issuer, one, later)).toBe('live')
  await end(deleted, whole)
}, 120_000)
