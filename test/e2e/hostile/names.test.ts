// Every text of the corpus in every field of a task, an agent and a provider, on the real API server and with real sources. It is refused in
// words, or it arrives as itself: at whoever is asked, and in the Secret. Nobody else is asked, and nobody is asked otherwise.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { privateKey } from '../../corpus/outside.ts'
import { type Crd, readCrds } from '../../generate/crds.ts'
import { root } from '../../generate.ts'
import { startFake } from '../../providers/oauth/fake.ts'
import { eventually } from '../../support/cluster.ts'
import { type Place, put } from '../../support/corpus.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { type Authorized, createAuthorized, trustIn } from '../support/authorized.ts'
import { createDatabase, type Database } from '../support/database.ts'
import { createHooked, type Hooked } from '../support/hooked.ts'
import { createHubbed, type Hubbed } from '../support/hubbed.ts'
import { agent, createScenario, runOperator, type Scenario } from '../support/scenario.ts'
import { type Ready, saidOf } from './names/said.ts'
import { type Served, serve, served } from './names/served.ts'
import { each, type Judged, judge, texts } from './names/texts.ts'
import { createWorld, type World } from './world.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const apiVersion = 'taskbound.dev/v1alpha1'
let scenario: Scenario
let operator: RunningOperator
let world: World
let hooked: Hooked
let hubbed: Hubbed
let database: Database
let sources: readonly Served[]
let judged: Judged
let said: ReturnType<typeof saidOf>
let server: Awaited<ReturnType<typeof startFake>>
let authorized: Authorized

beforeAll(async () => {
  scenario = await createScenario('names')
  await freeLease(scenario)
  operator = await runOperator()
  world = createWorld(scenario, operator)
  said = saidOf(scenario)
  hooked = await createHooked(scenario)
  hubbed = await createHubbed(scenario)
  database = await createDatabase(scenario)
  server = await startFake()
  authorized = createAuthorized(scenario)
  sources = await Promise.all(served.map(serve))
  for (const { close } of [hooked, hubbed, database, server, authorized, ...sources]) world.atEnd(close)
  const github = sources.find(({ type }) => type === 'githubApp')
  await world.secret('app-key', `localhost:${github?.port}`, { 'private-key.pem': privateKey })
}, 300_000)
afterAll(async () => {
  await operator?.stop()
  await world?.close()
  await scenario?.close()
}, 120_000)

/** Provider objects of one type, each with what no other may have. */
function providerSpec(type: string, n: number): object {
  const others: Readonly<Record<string, object>> = {
    jwt: { profile: 'AccessToken', audiences: [`https://jwt-${n}.example`] },
    serviceAccountToken: { audiences: [`https://sat-${n}.example`], verification: 'TokenReview' },
    static: { secretRef: { name: 'none' }, keys: ['key'] },
    postgres: {
      ...{ host: 'localhost', port: database.server.port, caBundle: database.server.ca },
      ...{ databases: ['postgres'], groups: ['app_read'], loginSecretRef: { name: database.name } },
    },
  }
  return { type, allowedAddresses: ['127.0.0.0/8', '::1'], [type]: sources.find((one) => one.type === type)?.block(n) ?? others[type] }
}
/** What a source is shown when it is asked whether it is there. */
const shown = [
  ...['webhook.audience', 'vault.audience', 'vault.role', 'vault.operatorRole', 'vault.vaultNamespace', 'vault.authMount'],
  ...['oauth.audience', 'oauth.clientId', 'githubApp.clientId'],
].map((path) => `.spec.${path}`)
const providerType = ({ path }: Place): string =>
  /^\.spec\.(jwt|serviceAccountToken|static|postgres|aws|githubApp|oauth|vault|webhook)\./.exec(path)?.[1] ?? 'jwt'

/** Of a task that is well-formed beside what stands at a place. */
const taskSpec = (path = ''): object => ({
  agentRef: { name: 'clerk' },
  action: 'test.run',
  credentials: [{ name: 'api', ...(path.includes('.github.') ? hubbed.credential : hooked.credential) }],
  ...(path.includes('.workloadRef.') ? { workloadRef: { apiVersion: 'batch/v1', kind: 'Job', name: 'none' } } : {}),
})

function object(kind: string, place: Place | undefined, name: string, n = 0): object {
  const specs: Readonly<Record<string, () => object>> = {
    Agent: () => ({ serviceAccountName: 'clerk', owner: 'team@example.com' }),
    AgentTask: () => taskSpec(place?.path),
    ClusterCredentialProvider: () => providerSpec(place === undefined ? 'jwt' : providerType(place), n),
  }
  return { apiVersion, kind, metadata: { name }, spec: specs[kind]?.() }
}
const homeOf = ({ namespaced, plural }: Pick<Crd, 'namespaced' | 'plural'>): string =>
  namespaced ? scenario.path(plural) : `${api}/${plural}`

test('the API server says yes, or no in words', async () => {
  const crds = (await readCrds(root)).filter(({ kind }) => ['Agent', 'AgentTask', 'ClusterCredentialProvider'].includes(kind))
  judged = await judge(scenario.kube, crds, ({ kind }, place) => object(kind, place, 'x'), homeOf)
  for (const { kind } of crds) expect(judged.taken(kind).length).toBeGreaterThan(0)
  expect(judged.refused).toBeGreaterThan(0)
}, 300_000)

test('a provider object with one of them is refused in words, or its source is asked as it always is', async () => {
  const { kube } = scenario
  const home = `${api}/clustercredentialproviders`
  let n = 0
  /** What is said of each, with this text there; they are gone afterwards. */
  async function say(all: readonly { readonly type: string; readonly path: string; readonly text: string }[]): Promise<readonly Ready[]> {
    const first = n
    n += all.length
    const names = all.map(({ type }, i) => `${scenario.name}-${type.toLowerCase()}-${first + i}`)
    await each(all, ({ type, path, text }, i) => {
      const made = { apiVersion, kind: 'ClusterCredentialProvider', metadata: { name: names[i] }, spec: providerSpec(type, first + i) }
      return kube.must('POST', home, put(made, path, text))
    })
    const ready = await said.ready(home, names)
    await each(names, (name) => kube.must('DELETE', `${home}/${name}`))
    return ready
  }
  const usual = await say(sources.map(({ type }) => ({ type, path: '.spec.sensitivity', text: 'Restricted' })))
  expect(usual.filter(({ status }) => status !== 'True')).toEqual([])
  const shapes = new Map(sources.map((source) => [source.type, new Set(source.shapes())]))

  const all = judged
    .taken('ClusterCredentialProvider')
    .map(({ place, what, text }) => ({ what, text, path: place.path, type: providerType(place) }))
  // an audience is of one provider: one place after the other
  const lone = new Set(all.flatMap(({ path }) => (/audience|resources|issuer/.test(path) ? [path] : [])))
  const others = all.filter(({ path }) => !lone.has(path))
  const parts = [...Array(Math.ceil(others.length / 100)).keys()].map((i) => others.slice(100 * i, 100 * (i + 1)))
  const turns = [...parts, ...[...lone].map((one) => all.filter(({ path }) => path === one))]
  let asked = 0
  for (const turn of turns)
    for (const [i, { status, message }] of (await say(turn)).entries()) {
      const { what, path, text, type } = turn[i] ?? { what: '', path: '', text: '', type: '' }
      if (status !== 'True') expect([what, path, message]).toEqual([what, path, expect.stringMatching(/\w+ \w+ /)])
      else asked += 1
      if (status !== 'True' || !shown.includes(path)) continue
      const found = sources
        .find((source) => source.type === type)
        ?.texts()
        .has(text)
      expect([what, path, found]).toEqual([what, path, true])
    }
  expect(asked).toBeGreaterThan(shown.length)
  for (const source of sources)
    expect([source.type, source.shapes().filter((shape) => shapes.get(source.type)?.has(shape) !== true)]).toEqual([source.type, []])
  console.log(`${all.length} provider objects, ${asked} of them fit to be asked`)
}, 600_000)

/** Gives a provider object other lists. */
const widen = (name: unknown, spec: object): Promise<unknown> =>
  scenario.kube.must('PATCH', `${api}/clustercredentialproviders/${name}`, { spec }, { contentType: 'application/merge-patch+json' })
/** A user name that can be said in a header. */
const canAsk = (text: string): boolean => /^[!-~]+( [!-~]+)*$/.test(text)
/** With this text in each of these places where the API server takes it. */
const filled = (made: object, kind: string, what: string, text: string, places: readonly string[]): object =>
  places.filter((path) => judged.at(kind, path).some((one) => one.what === what)).reduce((so, path) => put(so, path, text), made)
const below = (...paths: readonly string[]): readonly string[] => paths.map((path) => `.spec.${path}`)

test('what a task says of itself is what its source is told, in the body and by the login', async () => {
  const scopes = judged.both('.spec.credentials[].scopes[]', '.spec.webhook.scopes[]')
  await widen(hooked.name, { webhook: { scopes: ['orders:read', ...scopes] } })
  const { kube, path } = scenario
  const claims = below('action', 'purpose', 'context.destinations[]', 'context.tools[]', 'context.attributes{}', 'context.attributes{key}')
  const asks = below('credentials[].destination', 'credentials[].name')
  const facts = below('owner', 'description', 'attributes{}', 'attributes{key}')
  const names = new Set(judged.at('AgentTask', '.spec.agentRef.name').map(({ text }) => text))
  const tasks = texts.map(({ what, text }, i) => {
    const its = { ...hooked.credential, scopes: scopes.includes(text) ? [text, 'orders:read'] : ['orders:read'] }
    const by = names.has(text) ? text : `agent-${i}`
    const spec = { agentRef: { name: by }, action: 'test.run', credentials: [{ name: 'api', ...its }] }
    const task = filled({ apiVersion, kind: 'AgentTask', metadata: { name: `told-${i}` }, spec }, 'AgentTask', what, text, [
      ...claims,
      ...asks,
    ])
    return { name: `told-${i}`, what, text, by, task: task as { readonly spec: typeof spec } }
  })
  await each(tasks, async ({ task, what, text, by }) => {
    await kube.must('POST', path('agents'), filled(agent(by), 'Agent', what, text, facts))
    // who asks may be called so, too
    await kube.must('POST', path('agenttasks'), task, canAsk(text) ? { as: text, groups: ['system:masters', text] } : {})
  })
  await said.ready(
    path('agenttasks'),
    tasks.map(({ name }) => name),
    'Active',
  )
  for (const { name, what, text, by, task } of tasks) {
    const { action, credentials } = task.spec
    const asked = hooked.asked.find(({ call, body }) => call === 'issue' && (body['task'] as { name: string }).name === name)
    const its = { agent: by, action }
    const [credential] = credentials
    expect([what, asked?.body]).toMatchObject([what, { ...its, credential: credential?.name, scopes: credential?.scopes }])
    const { taskbound } = decodeJwt(asked?.authorization.split(' ')[1] ?? '')
    const claim = { ...its, ...(canAsk(text) ? { requestedBy: text } : {}), task: { namespace: scenario.namespace, name } }
    expect([what, taskbound]).toMatchObject([what, claim])
    expect([what, await said.given(name)]).toEqual([what, { [credential?.name ?? '']: hooked.alive().get(String(asked?.body['handle'])) }])
  }
}, 300_000)

test('what a task asks for is what its source is asked for', async () => {
  const { kube, name, path } = scenario
  // whatever a provider lists may be asked for
  const all = { metadata: { name: `${name}-all` }, spec: { cedar: 'permit (principal, action, resource);' } }
  await kube.must('POST', `${api}/clusteragentpolicies`, { apiVersion, kind: 'ClusterAgentPolicy', ...all })
  world.atEnd(() => kube.request('DELETE', `${api}/clusteragentpolicies/${name}-all`))
  /** Asks for all of them, sixteen a task. Answers what the Secrets hold, by the number of the credential: `c<number>`. */
  async function ask(prefix: string, credentials: readonly object[]): Promise<Readonly<Record<string, string>>> {
    const tasks = [...Array(Math.ceil(credentials.length / 16)).keys()].map((n) => `${prefix}-${n}`)
    const named = credentials.map((one, i) => ({ ...one, name: `c${i}` }))
    for (const [n, task] of tasks.entries()) await scenario.task({ name: task, spec: { credentials: named.slice(16 * n, 16 * (n + 1)) } })
    await said.ready(path('agenttasks'), tasks, 'Active')
    return Object.assign({}, ...(await Promise.all(tasks.map(said.given))))
  }

  // the others are refused by the operator
  const audiences = judged.both('.spec.credentials[].audience', '.spec.jwt.audiences[]').filter((text) => /^[!-~]+$/.test(text))
  await widen(name, { jwt: { audiences } })
  const tokens = await ask(
    'jwt',
    audiences.map((audience) => ({ providerRef: { kind: 'ClusterCredentialProvider', name }, audience, scopes: ['read'] })),
  )
  for (const [i, audience] of audiences.entries()) expect(decodeJwt(tokens[`c${i}`] ?? '').aud).toBe(audience)
  // an audience is of one provider
  await widen(name, { jwt: { audiences: ['https://none.example'] } })

  const repositories = judged.both('.spec.credentials[].github.repositories[]', '.spec.githubApp.repositories[]')
  const permissionNames = texts.map(({ text }) => text).filter((text) => /^[a-z][a-z_]{0,63}$/.test(text))
  const github = { repositories, permissions: Object.fromEntries(permissionNames.map((one) => [one, 'read'])) }
  await widen(String((hubbed.credential['providerRef'] as { name: string }).name), { githubApp: github })
  hubbed.fake.repositories.push(...repositories)
  Object.assign(hubbed.fake.installation.permissions, github.permissions)
  const git = await ask('git', [{ ...hubbed.credential, github }])
  expect(hubbed.fake.tokens.get(git['c0.token'] ?? '')).toMatchObject(github)

  const groups = judged.both('.spec.credentials[].scopes[]', '.spec.postgres.groups[]')
  const databases = judged.at('ClusterCredentialProvider', '.spec.postgres.databases[]').map(({ text }) => text)
  for (const one of databases) await database.server.query(`create database "${one}"`)
  for (const group of groups)
    await database.server.query(`create role "${group}" nologin; grant "${group}" to taskbound with admin option, inherit false, set false`)
  await widen(database.name, { postgres: { groups, databases } })
  const role = await ask('sql', [{ ...database.credential, scopes: groups }])
  const memberOf = `select g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles r on r.oid = m.member`
  const members = await database.server.query(`${memberOf} where r.rolname = '${role['c0.username']}' order by g.rolname`)
  expect(members.map(({ rolname }) => rolname)).toEqual([...groups].sort())
  expect(new URL(role['c0.url'] ?? '').pathname).toBe(`/${databases[0]}`)

  const scopes = judged.both('.spec.credentials[].scopes[]', '.spec.oauth.scopes[]')
  const resources = judged.both('.spec.credentials[].audience', '.spec.oauth.resources[]')
  const targets = judged.both('.spec.credentials[].audience', '.spec.oauth.audiences[]')
  Object.assign(server, { trusted: await trustIn(operator), scopes })
  const { issuer, caBundle } = server
  const lists = { scopes, resources, audiences: targets.filter((one) => !resources.includes(one)) }
  await authorized.provide({ issuer, caBundle, grant: 'TokenExchange', ...lists })
  const accesses = await ask(
    'sso',
    targets.map((audience) => ({ ...authorized.credential, audience, scopes })),
  )
  for (const [i, aud] of targets.entries())
    expect(server.tokens.get(accesses[`c${i}`] ?? '')).toMatchObject({ aud, scope: scopes.join(' ') })
  for (const some of [audiences, repositories, permissionNames, groups, databases, scopes, resources, targets])
    expect(some.length).toBeGreaterThan(0)
}, 300_000)

test('what a task refers to and how it names its keys is refused in words, or is so', async () => {
  const { kube, path } = scenario
  const places = ['.spec.credentials[].keys{}', '.spec.credentials[].keys{key}', '.spec.credentials[].providerRef.name']
  const all = judged.taken('AgentTask').filter(({ place }) => places.includes(place.path) || place.path.startsWith('.spec.workloadRef.'))
  const tasks = all.map(({ place, text }, i) => {
    const name = `refers-${i}`
    return { name, object: put(object('AgentTask', place, name), place.path, text) }
  })
  await each(tasks, ({ object: task }) => kube.must('POST', path('agenttasks'), task))
  const ready = await said.ready(
    path('agenttasks'),
    tasks.map(({ name }) => name),
  )
  for (const [i, { name }] of tasks.entries()) {
    const { place, what, text } = all[i] ?? { place: { path: '' }, what: '', text: '' }
    if (place.path.endsWith('keys{}')) {
      await said.ready(path('agenttasks'), [name], 'Active')
      expect([what, Object.keys(await said.given(name))]).toEqual([what, [text]])
    } else if (ready[i]?.reason !== 'Active')
      expect([what, place.path, ready[i]?.message]).toEqual([what, place.path, expect.stringMatching(/\w+ \w+ /)])
  }
  // each of these was tried with something
  for (const place of [...places, '.spec.workloadRef.name'])
    expect([place, judged.at('AgentTask', place).length > 0]).toEqual([place, true])
}, 300_000)

test('all of it ends, and the operator goes on', async () => {
  const { kube, path } = scenario
  await kube.must('DELETE', path('agenttasks'))
  await eventually(
    async () => expect([hooked.alive().size, hubbed.fake.alive(), await database.alive(), server.living()]).toEqual([0, [], [], []]),
    { timeoutMs: 120_000 },
  )
  expect([operator.process.exitCode, operator.process.signalCode]).toEqual([null, null])
  const errors = operator
    .output()
    .split('\n')
    .filter((line) => line.includes('"level":"error"'))
  expect(errors).toEqual([])
  const task = await hooked.task('ordinary')
  await scenario.until(task, 'Active')
  expect(hooked.alive().size).toBe(1)
}, 300_000)
