// The life of a token that a task gets of a real Keycloak, from the apply to its end. A resource server that asks Keycloak is asked each time.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { letsIn, setUpKeycloak } from '../../providers/oauth/real.ts'
import { eventually } from '../../support/cluster.ts'
import { type Keycloak, startKeycloak } from '../../support/keycloak/server.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { type Authorized, createAuthorized } from '../support/authorized.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'

let scenario: Scenario
let authorized: Authorized
let keycloak: Keycloak
let operator: RunningOperator

beforeAll(async () => {
  scenario = await createScenario('oauth')
  await freeLease(scenario)
  operator = await runOperator()
  authorized = createAuthorized(scenario)
  keycloak = await startKeycloak(await authorized.authority())
  await setUpKeycloak(keycloak, operator.issuer)
  await authorized.provide({ issuer: keycloak.issuer, caBundle: keycloak.ca })
}, 600_000)
afterAll(async () => {
  await operator?.stop()
  await authorized?.close()
  await keycloak?.stop()
  await scenario?.close()
})

test('a task gets a token for its scope and audience, and at its end whoever asks Keycloak refuses it', async () => {
  const job = await scenario.job()
  const task = await authorized.task(undefined, { workloadRef: { apiVersion: 'batch/v1', kind: 'Job', name: job } })
  const token = await scenario.active(task)
  expect(await letsIn(keycloak, token)).toBe(true)
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  expect(claims).toMatchObject({ scope: 'payroll:read', aud: 'https://payroll-api.corp.example', iss: keycloak.issuer })
  expect(await authorized.rows(task)).toMatchObject([{ status: { state: 'Issued' } }])
  const kept = await authorized.kept(task)
  expect(kept).toHaveLength(1)

  await scenario.condition(job, 'Complete')
  await scenario.until(task, 'Completed')
  await eventually(async () => expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'True', reason: 'AllRevoked' }))
  expect(await letsIn(keycloak, token)).toBe(false)
  expect(await authorized.rows(task)).toMatchObject([{ status: { state: 'Revoked' } }])
  await scenario.secretGone(task)
  await eventually(async () => expect(await authorized.kept(task)).toEqual([]))
  const rows = JSON.stringify(await authorized.rows(task))
  const bare = Buffer.from(token).toString('base64').slice(8, 80)
  for (const shown of [operator.output(), keycloak.log(), rows, ...kept]) {
    expect(shown).not.toContain(token.split('.')[2])
    expect(shown).not.toContain(bare)
  }
})

test('a suspended task has no token, and a resumed one has another', async () => {
  const task = await authorized.task()
  const first = await scenario.active(task)
  await scenario.patch('agenttasks', task, { spec: { suspend: true } })
  await scenario.until(task, 'Suspended')
  await eventually(async () => expect(await letsIn(keycloak, first)).toBe(false))
  await scenario.patch('agenttasks', task, { spec: { suspend: false } })
  const second = await scenario.active(task)
  expect([second === first, await letsIn(keycloak, second)]).toEqual([false, true])
  await scenario.remove('agenttasks', task)
  await eventually(async () => expect(await letsIn(keycloak, second)).toBe(false))
})

test('what was given before the operator died is ended by the one that comes after', async () => {
  const names = ['t1', 't2', 't3']
  await Promise.all(names.map((name) => authorized.task(name)))
  const tokens = await Promise.all(names.map((name) => scenario.active(name)))
  operator.signal('SIGKILL')
  await operator.died()
  await Promise.all(names.map((name) => scenario.remove('agenttasks', name)))
  await freeLease(scenario)
  operator = await runOperator({ issuerPort: operator.issuerPort })
  await eventually(async () => expect(await Promise.all(tokens.map((token) => letsIn(keycloak, token)))).toEqual([false, false, false]), {
    timeoutMs: 60_000,
  })
})
