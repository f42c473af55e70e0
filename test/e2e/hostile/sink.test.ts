// A source of every kind that keeps what it is sent and tries it everywhere else: at the API server, at a real Vault that trusts this
// installation, at a real PostgreSQL, at an authorization server, at GitHub, at the reference server of webhooks, at the example resource
// server. None of them takes any of it. That each of them does take what is meant for it is seen first.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { app } from '../../providers/github-app/fake.ts'
import { clientId } from '../../providers/oauth/fake.ts'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createScenario, runOperator, type Scenario } from '../support/scenario.ts'
import { apiServerDoors } from './doors/api-server.ts'
import type { Door } from './doors/door.ts'
import { githubDoors } from './doors/github.ts'
import { oauthDoors } from './doors/oauth.ts'
import { postgresDoor } from './doors/postgres.ts'
import { resourceServerDoor } from './doors/resource-server.ts'
import { vaultDoors } from './doors/vault.ts'
import { webhookDoor } from './doors/webhook.ts'
import { awsSink } from './sinks/aws.ts'
import { githubAppSink } from './sinks/github-app.ts'
import { oauthSink } from './sinks/oauth.ts'
import { password, postgresSink } from './sinks/postgres.ts'
import { type Sink, wordsOf } from './sinks/sink.ts'
import { vaultSink } from './sinks/vault.ts'
import { webhookSink } from './sinks/webhook.ts'
import { createWorld, type World } from './world.ts'

let scenario: Scenario
let operator: RunningOperator
let world: World
let doors: readonly Door[]
let sinks: readonly Sink[]

beforeAll(async () => {
  scenario = await createScenario('sink')
  await freeLease(scenario)
  operator = await runOperator()
  world = createWorld(scenario, operator)
  const makeDoors = [apiServerDoors, resourceServerDoor, postgresDoor, vaultDoors, webhookDoor, oauthDoors, githubDoors]
  const makeSinks = [awsSink, githubAppSink, oauthSink, postgresSink, vaultSink, webhookSink]
  doors = (await Promise.all(makeDoors.map((make) => make(world)))).flat()
  sinks = await Promise.all(makeSinks.map((make) => make(world)))
}, 600_000)
afterAll(async () => {
  await operator?.stop()
  await world?.close()
  await scenario?.close()
}, 120_000)

const isJwt = (word: string): boolean => /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(word)
const isAlive = (word: string): boolean => isJwt(word) && Number(decodeJwt(word).exp) > Date.now() / 1000
/** Whom a JWT is of, in words: the one that signed it, and the task or the operator. */
function kindOf(jwt: string): string {
  const { iss, sub = '' } = decodeJwt(jwt)
  const who = sub.includes('/task/') ? ' of a task' : sub.endsWith('/taskbound') ? ' of the operator' : ''
  return iss === `${operator.issuer}/login` ? `login${who}` : `${iss}`
}

/** Which doors take one of these words. */
async function tried(words: readonly string[]): Promise<readonly string[]> {
  const opened = await Promise.all(
    words.map((word) => Promise.all(doors.map(async ({ name, takes }) => ((await takes(word)) ? [name] : [])))),
  )
  return opened.flat(2)
}

test('each door opens to what is meant for it', async () => {
  for (const { name, own, takes } of doors) expect([name, await takes(await own())]).toEqual([name, true])
}, 300_000)

test('every type of provider that shows anybody anything has a sink', async () => {
  const crd = await scenario.kube.must(
    'GET',
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clustercredentialproviders.taskbound.dev',
  )
  const types: string[] = crd.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.type.enum
  // what asks nobody but the API server
  const others = ['jwt', 'serviceAccountToken', 'static']
  expect(sinks.map(({ type }) => type).sort()).toEqual(types.filter((type) => !others.includes(type)).sort())
})

test('what a source is sent opens nothing but that source', async () => {
  const seen = new Map<string, ReadonlySet<string>>()
  const opened: string[] = []
  for (const { type, visit, sent } of sinks) {
    const words = new Set<string>()
    // what has expired meanwhile opens nothing, whatever it is: on a machine that was too slow another task comes
    await eventually(
      async () => {
        await visit()
        const fresh = wordsOf(sent()).filter((word) => !words.has(word))
        for (const word of fresh) words.add(word)
        opened.push(...(await tried([...new Set(fresh)])).map((door) => `${door} takes what ${type} was sent`))
        if (type !== 'postgres' && !fresh.some(isAlive)) throw new Error(`all that ${type} was sent had expired before it was tried`)
      },
      { timeoutMs: 240_000 },
    )
    seen.set(type, words)
  }
  expect(opened).toEqual([])

  // and it was what opens something where it is meant for
  const kinds = [...seen].map(([type, words]) => [type, [...new Set([...words].filter(isJwt).map(kindOf))].sort()])
  expect(Object.fromEntries(kinds)).toEqual({
    aws: ['login of a task'],
    githubApp: [app.clientId],
    oauth: [clientId, 'login of a task'].sort(),
    postgres: [],
    vault: ['login of a task', 'login of the operator'],
    webhook: ['login of a task', 'login of the operator'],
  })
  expect(seen.get('postgres')).toContain(password)
  const count = [...seen.values()].reduce((sum, { size }) => sum + size, 0)
  console.log(`${count} words that ${sinks.length} sinks were sent: none of ${doors.length} other doors takes one`)
}, 600_000)
