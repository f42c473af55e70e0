// Every text of the corpus in every place of tasks, agents and providers, as far as the API server lets it be stored: an operator that works
// on all of it tells each task what became of it, throws nothing, and writes lines and series that can be read.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sources } from '../../corpus/outside.ts'
import { type Crd, readCrds } from '../../generate/crds.ts'
import { root } from '../../generate.ts'
import { eventually } from '../../support/cluster.ts'
import { corpus, placesOf, put } from '../../support/corpus.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { audience, createScenario, runOperator, type Scenario } from '../support/scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'
let scenario: Scenario
let crds: readonly Crd[]
let operator: RunningOperator
const providers: string[] = []

beforeAll(async () => {
  scenario = await createScenario('corpus')
  await freeLease(scenario)
  crds = await readCrds(root)
  operator = await runOperator()
})
afterAll(async () => {
  await inBatches(providers, (name) => scenario.kube.request('DELETE', `${api}/clustercredentialproviders/${name}`))
  await operator?.stop()
  await scenario?.close()
})

async function inBatches<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < all.length; from += 16) await Promise.all(all.slice(from, from + 16).map(work))
}

/** Each place with each text, in a copy of the object; answers the names of those that were stored. */
async function store(kind: string, collection: string, object: (name: string) => object, prefix: string, within = ''): Promise<string[]> {
  const crd = crds.find((one) => one.kind === kind)
  const places = crd === undefined ? [] : placesOf(crd).filter(({ path }) => path.startsWith(within))
  expect(places.length).toBeGreaterThan(0)
  const tries = places
    .flatMap(({ path }) => Object.values(corpus).map((text) => ({ path, text })))
    .map((one, i) => ({ ...one, name: `${prefix}${i}` }))
  const stored: string[] = []
  await inBatches(tries, async ({ path, text, name }) => {
    const { status } = await scenario.kube.request('POST', collection, put(object(name), path, text))
    if (status === 201) stored.push(name)
    // it refuses with a reason, or stores: nothing in between
    else expect([name, path, [400, 403, 422].includes(status)]).toEqual([name, path, true])
  })
  return stored
}

const metadataOf = (kind: string) => (name: string) => ({ apiVersion: 'taskbound.dev/v1alpha1', kind, metadata: { name } })
const credential = (): object => ({
  name: 'api',
  providerRef: { kind: 'ClusterCredentialProvider', name: scenario.name },
  audience: `${audience}/${scenario.name}`,
  scopes: ['read'],
})

/** What is on standard error is the log, and each line of it is an object. */
function wellKept(): void {
  expect(operator.process.exitCode).toBeNull()
  const lines = operator
    .output()
    .split('\n')
    .filter((line) => line !== '')
  for (const line of lines) expect(JSON.parse(line)).toEqual(expect.any(Object))
  expect(operator.output()).not.toContain('a worker threw')
}

test('tasks and agents', async () => {
  const task = metadataOf('AgentTask')
  const spec = { agentRef: { name: 'clerk' }, action: 'test.run' }
  const tasks = await store(
    'AgentTask',
    scenario.path('agenttasks'),
    (name) => ({ ...task(name), spec: { ...spec, credentials: [credential()] } }),
    't',
  )
  const agent = metadataOf('Agent')
  const agents = await store(
    'Agent',
    scenario.path('agents'),
    (name) => ({ ...agent(name), spec: { serviceAccountName: 'clerk', owner: 'team@example.com' } }),
    'a',
  )
  await inBatches(agents, (name) =>
    scenario.kube.must('POST', scenario.path('agenttasks'), {
      ...task(`of-${name}`),
      spec: { ...spec, agentRef: { name }, credentials: [credential()] },
    }),
  )
  expect([tasks.length > 50, agents.length > 20]).toEqual([true, true])
  const counted: Record<string, number> = {}
  await eventually(
    async () => {
      const { items } = await scenario.kube.must('GET', scenario.path('agenttasks'))
      for (const reason of Object.keys(counted)) delete counted[reason]
      for (const { metadata, status } of items) {
        const ready = status?.conditions?.find(({ type }: { type: string }) => type === 'Ready')
        if (ready === undefined) throw new Error(`${metadata.name} was told nothing`)
        counted[ready.reason] = (counted[ready.reason] ?? 0) + 1
      }
    },
    { timeoutMs: 90_000, everyMs: 500 },
  )
  // what asks for what is permitted gets it, whatever it says beside
  await eventually(async () => expect((await scenario.conditions(`of-${agents[0]}`))['Ready']?.reason).toBe('Active'), {
    timeoutMs: 30_000,
  })
  expect(Object.values(counted).reduce((sum, n) => sum + n, 0)).toBe(tasks.length + agents.length)
  expect(counted['Active'] ?? 0).toBeGreaterThan(20)
  console.log(`${tasks.length} tasks and ${agents.length} agents with hostile texts: ${JSON.stringify(counted)}`)
  const { items: secrets } = await scenario.kube.must('GET', scenario.path('secrets'))
  for (const { metadata, data } of secrets) {
    expect(metadata.name).toMatch(/^taskbound-(t|of-a)\d+$/)
    for (const key of Object.keys(data ?? {})) expect(key).toMatch(/^[-._a-zA-Z0-9]+$/)
  }
  wellKept()
}, 300_000)

test.each(Object.entries(sources).map(([type, { params }]) => [type, params] as const))(
  'providers of type %s',
  async (type, params) => {
    const nowhere = JSON.parse(
      JSON.stringify(params).replaceAll(/(https:\/\/)?[a-z]+\.(github\.)?example(:\d+)?/g, '$1localhost$3'),
    ) as object
    const object = metadataOf('ClusterCredentialProvider')
    const stored = await store(
      'ClusterCredentialProvider',
      `${api}/clustercredentialproviders`,
      (name) => ({ ...object(name), spec: { type, [type]: nowhere } }),
      `${scenario.name}-${type.toLowerCase()}-`,
      `.spec.${type}.`,
    )
    providers.push(...stored)
    expect(stored.length).toBeGreaterThan(0)
    await eventually(
      async () => {
        const { items } = await scenario.kube.must('GET', `${api}/clustercredentialproviders`)
        for (const { metadata, status } of items)
          if (stored.includes(metadata.name) && status?.conditions?.[0]?.type !== 'Ready')
            throw new Error(`${metadata.name} was told nothing`)
      },
      { timeoutMs: 120_000, everyMs: 1000 },
    )
    wellKept()
    const scraped = await (await fetch(`${operator.metrics}/metrics`)).text()
    for (const line of scraped.split('\n'))
      expect(line).toMatch(/^(|#.*|[a-z_]+(\{([a-zA-Z_]+="(?:[^"\\]|\\["\\n])*",?)*\})? (NaN|[-+]?(Inf|[0-9.]+(e[-+]?\d+)?)))$/)
  },
  300_000,
)
