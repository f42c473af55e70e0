// The life of a database role, from the apply to its end, with PostgreSQL itself asked what is alive.

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { versions } from '../../support/postgres/server.ts'
import { createDatabase, type Database, onlyAlive } from '../support/database.ts'
import { audience, createScenario, runOperator, type Scenario } from '../support/scenario.ts'

describe.each(versions)('PostgreSQL %i', (version) => {
  let scenario: Scenario
  let database: Database
  let operator: RunningOperator

  beforeAll(async () => {
    scenario = await createScenario(`pg${version}`)
    database = await createDatabase(scenario, { version, standby: true })
    operator = await runOperator()
  })
  afterAll(async () => {
    await operator?.stop()
    await database?.close()
    await scenario?.close()
  })

  test('a task gets a login that works, and at its end it is refused and every session cut, also at a standby', async () => {
    const job = await scenario.job()
    const task = await database.task(undefined, { workloadRef: { apiVersion: 'batch/v1', kind: 'Job', name: job } })
    const given = await database.active(task)
    expect(await database.works(given)).toBe(true)
    expect(await database.rows(task)).toEqual({ [given.username]: 'Issued' })
    const sessions = await Promise.all(
      [{}, { port: database.server.standbyPort ?? 0 }].map((at) => database.server.login(given.username, given.password, at)),
    )
    for (const session of sessions) expect((await session.query('select id from app.orders')).rows).toEqual([{ id: 42 }])

    await scenario.condition(job, 'Complete')
    await scenario.until(task, 'Completed')
    await eventually(async () =>
      expect((await scenario.conditions(task))['Revoked']).toMatchObject({ status: 'True', reason: 'AllRevoked' }),
    )
    for (const session of sessions) await expect(session.query('select 1')).rejects.toThrow()
    expect(await database.works(given)).toBe(false)
    expect(await database.rows(task)).toEqual({ [given.username]: 'Revoked' })
    await scenario.secretGone(task)
    expect(database.server.log()).not.toContain(given.password)
    expect(operator.output()).not.toContain(given.password)
  })

  test('what is suspended loses its role and gets another when it is resumed', async () => {
    const task = await database.task()
    const first = await database.active(task)
    await scenario.patch('agenttasks', task, { spec: { suspend: true } })
    await scenario.until(task, 'Suspended')
    await onlyAlive(database)
    await scenario.patch('agenttasks', task, { spec: { suspend: false } })
    const second = await database.active(task)
    expect(second.username).not.toBe(first.username)
    await onlyAlive(database, second.username)
    await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
    await scenario.until(task, 'Cancelled')
    await onlyAlive(database)
  })

  test('a role and a token in one Secret live and die together', async () => {
    const name = 'both'
    await scenario.task({
      name,
      spec: {
        credentials: [
          {
            name: 'api',
            providerRef: { kind: 'ClusterCredentialProvider', name: scenario.name },
            audience: `${audience}/${scenario.name}`,
            scopes: ['read'],
          },
          { name: 'db', providerRef: { kind: 'ClusterCredentialProvider', name: database.name }, scopes: ['app_read'] },
        ],
      },
    })
    const given = await database.active(name)
    expect(await scenario.token(name)).toMatch(/^eyJ/)
    await scenario.remove('agenttasks', name)
    await onlyAlive(database)
    expect(await database.works(given)).toBe(false)
  })

  test('a group that the provider does not list is refused with a reason, and no row is written', async () => {
    const task = await database.task(undefined, {}, { scopes: ['postgres'] })
    expect((await scenario.until(task, 'Denied')).message).toContain('asks for a group that the provider does not list')
    expect(await database.rows(task)).toEqual({})
  })
})
