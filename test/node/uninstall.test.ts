// The release is uninstalled while tasks live, and installed again: nothing stays alive in between, nothing is stuck, and it goes on after.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Database } from '../e2e/support/database.ts'
import { audience, createScenario, judge, type Scenario } from '../e2e/support/scenario.ts'
import { eventually } from '../support/cluster.ts'
import { agentOf, startAgent, startResourceServer } from './support/agents.ts'
import { createNodeDatabase } from './support/database.ts'
import { commandsOf, createRelease, issuer, namespace, type Release } from './support/release.ts'

const tasks = Array.from({ length: 20 }, (_, n) => `task-${n}`)
const withPods = 3
let release: Release
let scenario: Scenario
let database: Database

beforeAll(async () => {
  release = await createRelease()
  await release.install()
  scenario = await createScenario('away', {}, true)
  database = await createNodeDatabase(scenario)
}, 180_000)

afterAll(async () => {
  // whoever comes next finds a release that serves
  await release?.install()
  await database?.close()
  await scenario?.close()
  await release?.close()
}, 180_000)

const credentials = () => [
  {
    name: 'api',
    providerRef: { kind: 'ClusterCredentialProvider', name: scenario.name },
    audience: `${audience}/${scenario.name}`,
    scopes: ['read'],
  },
  { name: 'db', providerRef: { kind: 'ClusterCredentialProvider', name: database.name }, scopes: ['app_read'] },
]

async function start(name: string, n: number, url: string): Promise<void> {
  const workload = { apiVersion: 'batch/v1', kind: 'Job', name }
  await scenario.task({ name, spec: { credentials: credentials() }, ...(n < withPods ? { workload } : {}) })
  if (n < withPods) await startAgent(scenario, name, url)
}

const tokens = () => Promise.all(tasks.map((name) => eventually(() => scenario.active(name), { timeoutMs: 60_000, everyMs: 250 })))

test('uninstalling with twenty live tasks leaves nothing alive and nothing stuck, and another installation serves them again', async () => {
  const url = await startResourceServer(scenario)
  await Promise.all(tasks.map((name, n) => start(name, n, url)))
  const former = await tokens()
  const logins = await Promise.all(tasks.map((name) => database.active(name)))
  expect(new Set(await database.alive())).toEqual(new Set(logins.map(({ username }) => username)))
  const [first] = logins
  const session = await database.server.login(first?.username ?? '', first?.password ?? '')
  const cut = new Promise<void>((done) => session.once('end', done))
  for (const name of tasks.slice(0, withPods)) await agentOf(scenario, name)
  const ask = async (token: string) => (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status
  expect(new Set(await Promise.all(former.map(ask)))).toEqual(new Set([200]))

  const begun = Date.now()
  const [command = ''] = commandsOf('docs/operations/uninstall.md', '# Uninstall')
  expect(command).toMatch(/^helm uninstall /)
  const { code, stdout, stderr } = await release.shell(command)
  const took = Date.now() - begun
  console.log(`helm uninstall took ${(took / 1000).toFixed(1)} s and said:\n${stdout}${stderr}`)
  expect(code).toBe(0)

  // nothing alive in PostgreSQL, in Secrets, in the ledger
  expect(await database.alive()).toEqual([])
  await cut
  for (const name of tasks) expect(await scenario.token(name)).toBeUndefined()
  const { items: rows } = await release.kube.must('GET', `/apis/taskbound.dev/v1alpha1/namespaces/${namespace}/credentialleases`)
  const open = rows.filter(({ status }: { status?: { state?: string } }) => !/^(Revoked|Expired)$/.test(status?.state ?? ''))
  expect(open.map(({ metadata, status }: { metadata: { name: string }; status: object }) => ({ [metadata.name]: status }))).toEqual([])
  // nothing stuck: the pods go, and nothing waits for an operator
  await eventually(async () => expect(await release.pods()).toEqual([]), { timeoutMs: 60_000 })
  // whoever verifies finds either a token that is revoked or nobody to ask
  await eventually(async () => expect(new Set(await Promise.all(former.map(ask)))).toEqual(new Set([401])), {
    timeoutMs: 70_000,
    everyMs: 500,
  })

  await release.install()
  const later = await tokens()
  const at = await release.issuerAddress()
  const verdicts = async (of: readonly string[]) => new Set(await Promise.all(of.map((token) => judge(issuer, token, new Date(), at))))
  await eventually(async () => expect(await verdicts(former)).toEqual(new Set(['revoked'])))
  await eventually(async () => expect(await verdicts(later)).toEqual(new Set(['live'])))
  expect(await database.alive()).toHaveLength(tasks.length)
}, 300_000)

test('what an uninstallation without its hooks left is ended by the next installation', async () => {
  const before = await Promise.all(tasks.map((name) => database.active(name)))
  await release.helm('uninstall', 'taskbound', '--namespace', namespace, '--no-hooks', '--wait')
  const [ended, deleted] = tasks as [string, string]
  await scenario.patch('agenttasks', ended, { spec: { end: 'Cancelled' } })
  await scenario.remove('agenttasks', deleted)
  expect(await database.alive()).toHaveLength(tasks.length)

  await release.install()
  const gone = [ended, deleted].map((name) => before[tasks.indexOf(name)]?.username)
  await eventually(
    async () => {
      const roles = await database.roles()
      expect(roles.filter((role) => gone.includes(role))).toEqual([])
      expect(roles).toHaveLength(tasks.length - 2)
    },
    { timeoutMs: 60_000, everyMs: 250 },
  )
  for (const name of [ended, deleted]) await scenario.secretGone(name)
}, 240_000)
