// Every text of the corpus in every place of the API that takes a text, and what becomes of it wherever texts are put together: SQL, URLs,
// headers, SPIFFE IDs, lines of logs, series of metrics, events, keys of a Secret, paths of the API server, policy. It is refused, or it is
// a text there and nothing else.

import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Task } from '../../src/core/observed.ts'
import { accessTokenClaims } from '../../src/issuer/profiles/access-token.ts'
import { jwtSvidClaims } from '../../src/issuer/profiles/jwt-svid.ts'
import { loginClaims } from '../../src/issuer/profiles/login.ts'
import { pathOf } from '../../src/kube/objects.ts'
import { Material } from '../../src/lib/material.ts'
import { ok } from '../../src/lib/result.ts'
import type { Order } from '../../src/ports/provider.ts'
import { judgeParams } from '../../src/providers/jwt/params.ts'
import { placeOf, secretData, secretObject } from '../../src/runtime/effects/secret.ts'
import { readAgent, readProvider } from '../../src/runtime/objects/kinds.ts'
import { readTask } from '../../src/runtime/objects/task.ts'
import { createAudit } from '../../src/telemetry/audit.ts'
import { createCredentialMetrics } from '../../src/telemetry/credentials.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { readCrds } from '../generate/crds.ts'
import { root } from '../generate.ts'
import { start } from '../issuer/world.ts'
import { clusterPolicy, corp, makeEngine, makeRequest } from '../policy/make.ts'
import { corpus, type Place, placesOf, put } from '../support/corpus.ts'
import { credential, emptySnapshot, leaseRow, makeClock, makeSink, silent, taskRow } from '../telemetry/make.ts'
import { lease, live, orderOf, type Source, sources } from './outside.ts'
import { shapeOfCall, shapeOfSql } from './shape.ts'

const texts = Object.entries(corpus)
const places: Place[] = []
beforeAll(async () => {
  for (const crd of await readCrds(root)) places.push(...placesOf(crd))
})
const of = (kind: string): readonly Place[] => places.filter((place) => place.kind === kind)
const reserved = { lease, record: async () => ok(undefined), keep: async () => ok(undefined), kept: async () => ok([]) }
/** Each place with each text; says which one it was that failed. */
async function walk(which: readonly Place[], take: (place: Place, text: string) => unknown): Promise<void> {
  expect(which.length).toBeGreaterThan(0)
  for (const place of which)
    for (const [what, text] of texts) {
      try {
        await take(place, text)
      } catch (error) {
        throw new Error(`${what} in ${place.kind}${place.path}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        })
      }
    }
}

const metadata = { name: 'close-books', namespace: 'finance', uid: '11111111-2222-4333-8444-555555555555', resourceVersion: '1' }
const taskObject = {
  metadata,
  spec: {
    agentRef: { name: 'clerk' },
    action: 'payroll.reconcile',
    credentials: [{ name: 'api', providerRef: { kind: 'ClusterCredentialProvider', name: 'corp' }, scopes: ['read'] }],
    requestedBy: { username: 'alice', uid: 'u', groups: ['g'] },
  },
}

describe('what is sent to a source', () => {
  type Block = Readonly<Record<string, unknown>>
  const shapes = ({ sent }: Source, bases: readonly unknown[]): readonly string[] => {
    const known = bases.filter((base) => typeof base === 'string').map((base) => base.replace(/\/+$/, ''))
    return [...sent.calls.map((call) => shapeOfCall(call, known)), ...sent.statements.map(shapeOfSql)]
  }

  test('every type of provider that has an outside is walked', () => {
    const types = of('ClusterCredentialProvider').flatMap(({ path }) => path.match(/^\.spec\.([a-zA-Z]+)\./)?.[1] ?? [])
    // what asks no source: tokens of our own, values of Secrets in the operator's namespace
    const others = ['jwt', 'namespaces', 'static']
    expect(new Set(types.filter((type) => !others.includes(type)))).toEqual(new Set(Object.keys(sources)))
  })

  describe.each(Object.entries(sources))('%s', (type, { params, asks, bases, make }) => {
    const order = orderOf(asks(params))
    const usual = new Set<string>()
    beforeAll(async () => {
      const source = make()
      expect((await live(source, params, order)).issued).toMatchObject({ ok: true })
      for (const shape of shapes(source, bases(params))) usual.add(shape)
    })

    test('has the usual shape whatever stands in its block', async () => {
      let [refused, accepted] = [0, 0]
      const mine = of('ClusterCredentialProvider').filter(
        ({ path }) => path.startsWith(`.spec.${type}.`) || path.startsWith('.spec.allowed'),
      )
      await walk(mine, async ({ path }, text) => {
        const object = readProvider(put({ metadata, spec: { type, [type]: params } }, path, text))
        const source = make()
        const block: Block = object?.params ?? {}
        const its = orderOf(asks(block))
        const issued = await make().provider.issue(object?.params, its, reserved)
        // settings are kept for revocations only after they were found good
        if (!issued.ok && issued.failure.reason === 'ProviderConfigInvalid') {
          refused += 1
          return
        }
        accepted += 1
        await live(source, object?.params, its)
        for (const shape of shapes(source, bases(block))) expect([...usual]).toContain(shape)
      })
      expect([refused > 0, accepted > 0]).toEqual([true, true])
    })

    test('has the usual shape whatever the task is called and asks for', async () => {
      await walk(of('AgentTask'), async ({ path }, text) => {
        const task = readTask(put(taskObject, path, text))
        const asked = task?.spec.credentials[0]
        if (task === undefined || asked === undefined) return
        const source = make()
        const scopes = path.includes('scopes') ? asked.scopes : order.scopes
        const audience = path.includes('audience') ? asked.audience : order.audience
        const requestedBy = task.spec.requestedBy?.username
        await live(source, params, {
          ...order,
          agent: task.spec.agent,
          action: task.spec.action,
          credential: asked.name,
          scopes,
          audience,
          requestedBy,
        })
        for (const shape of shapes(source, bases(params))) expect([...usual]).toContain(shape)
      })
    })
  })
})

describe('a token', () => {
  const identity = { url: 'https://issuer.example', trustDomain: 'corp.example' }
  const claimsOf = (order: Order) => {
    const facts = {
      identity,
      order,
      tokenId: 'id',
      audience: order.audience ?? '',
      status: { uri: 'https://issuer.example/s', index: 1 },
      now: start,
    }
    return [accessTokenClaims(facts), jwtSvidClaims(facts), loginClaims(facts)]
  }
  const audience = 'https://a.example'

  test('names nobody but the agent of its task, and is not made where the name could be read as another', async () => {
    let made = 0
    await walk(of('AgentTask'), ({ path }, text) => {
      const task = readTask(put(taskObject, path, text))
      const asked = task?.spec.credentials[0]
      if (task === undefined || asked === undefined) return
      const { agent, action } = task.spec
      for (const claims of claimsOf(orderOf({ audience, agent, action, credential: asked.name, scopes: asked.scopes }))) {
        if (!claims.ok) continue
        made += 1
        expect(claims.value['sub']).toMatch(/^spiffe:\/\/corp\.example\/ns\/finance\/agent\/[a-zA-Z0-9._-]+(\/task\/[-0-9]+)?$/)
        expect(String(claims.value['sub'])).not.toMatch(/\/\.\.?(\/|$)/)
        expect([claims.value['aud']].flat()).toEqual([audience])
      }
    })
    expect(made).toBeGreaterThan(0)
  })

  test('has one audience, and each scope is one, whatever its provider lists', async () => {
    const jwt = { profile: 'AccessToken', audiences: [audience], scopes: ['read'], maxTTLSeconds: 900 }
    await walk(
      of('ClusterCredentialProvider').filter(({ path }) => path.startsWith('.spec.jwt.')),
      ({ path }, text) => {
        const params = readProvider(put({ metadata, spec: { type: 'jwt', jwt } }, path, text))?.params as unknown as typeof jwt
        if (judgeParams(params as never) !== undefined) return
        const [claims] = claimsOf(orderOf({ audience: params.audiences[0], scopes: params.scopes }))
        if (claims?.ok !== true) return
        expect(claims.value['aud']).toBe(params.audiences[0])
        expect(String(claims.value['scope']).split(' ')).toEqual(params.scopes)
      },
    )
  })
})

describe('what is told', () => {
  const subjectOf = (task: Task) => ({
    task: task.key,
    taskUid: task.uid,
    agent: task.spec.agent,
    action: task.spec.action,
    requestedBy: task.spec.requestedBy?.username,
  })

  test('is one line a fact in the audit stream and in the log, and an event is one object', async () => {
    await walk(of('AgentTask'), async ({ path }, text) => {
      const task = readTask(put(taskObject, path, text))
      if (task === undefined) return
      const [audit, log] = [makeSink(), makeSink()]
      const clock = makeClock()
      const message = `credential \`${task.spec.credentials[0]?.name}\`: ${text}`
      const stream = createAudit({ open: () => audit.stream, clock, replica: 'r', meter: { auditFailed: () => undefined }, log: silent })
      stream.audit({
        kind: 'refusal',
        subject: subjectOf(task),
        credential: task.spec.credentials[0]?.name ?? '',
        reason: 'PolicyDenied',
        message,
      })
      await stream.flush()
      createLog({ level: 'debug', clock, base: {}, stream: log.stream, safeErrors: [] }).warn('told', {
        reason: message,
        agent: task.spec.agent,
      })
      expect([audit.lines().length, log.lines().length]).toEqual([1, 1])
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal must not be told anything
      for (const sink of [audit, log]) expect(sink.text().trimEnd()).not.toMatch(/[\x00-\x1f\x7f]/)

      const bodies: { path: string; body: unknown }[] = []
      const events = createEvents({
        post: async (at, body) => ok(bodies.push({ path: at, body })),
        clock,
        replica: 'r',
        onDrop: () => undefined,
      })
      events.event({ subject: subjectOf(task), type: 'Warning', reason: 'PolicyDenied', action: 'Decide', note: message })
      await events.flush()
      expect(bodies).toMatchObject([
        { path: '/apis/events.k8s.io/v1/namespaces/finance/events', body: { metadata: { namespace: 'finance' } } },
      ])
      expect(Buffer.byteLength(String((bodies[0]?.body as { note: string } | undefined)?.note))).toBeLessThanOrEqual(1024)
    })
  })

  test('is of the same series whatever a label holds', async () => {
    const series = (scraped: string): readonly string[] =>
      scraped.split('\n').map((line) => line.replace(/"(?:[^"\\\n]|\\["\\n])*"/g, '""').replace(/ [-+0-9.eINaf]+$/, ''))
    const scrape = async (text: string) => {
      const rows = [taskRow(text, [credential(30, { name: text, provider: text })], { name: text })]
      const snapshot = {
        ...emptySnapshot,
        tasks: () => rows,
        leases: () => [leaseRow({ namespace: text, task: text, credential: text, provider: text, state: 'Overdue' as const })],
      }
      const clock = makeClock()
      const metrics = createMetrics({ clock, version: 'v', revision: text, snapshot })
      metrics.issued(text, 'success', 1 as never)
      metrics.revoked(text, 1 as never)
      const scraped = [await metrics.scrape(), await createCredentialMetrics('all', snapshot, clock).scrape()].join('\n')
      metrics.close()
      return series(scraped)
    }
    const usual = await scrape('harmless')
    for (const [what, text] of texts) expect([what, await scrape(text)]).toEqual([what, usual])
  })
})

test('the Secret of a task and every path of the API server are its own', async () => {
  await walk(of('AgentTask'), ({ path, schema }, text) => {
    const task = readTask(put(taskObject, path, text))
    if (task === undefined) return
    const fields = { token: new Material('m') }
    const issued = Object.fromEntries(task.spec.credentials.map(({ name }) => [name, { fields, expiresAt: start }]))
    const object = JSON.parse(JSON.stringify(secretObject(task, 1, secretData(task, issued)))) as { metadata: object; data: object }
    expect(object.metadata).toMatchObject({
      name: 'taskbound-close-books',
      namespace: 'finance',
      labels: { 'taskbound.dev/task-uid': metadata.uid },
    })
    const { namespace, name, resource } = placeOf(task)
    expect(pathOf(resource, { namespace, name })).toBe('/api/v1/namespaces/finance/secrets/taskbound-close-books')
    // what the API server lets be stored is looked up as one segment
    if (!path.endsWith('.name') || schema.pattern === undefined || !new RegExp(schema.pattern, 'u').test(text)) return
    const looked = pathOf({ group: 'batch', version: 'v1', plural: 'jobs' }, { namespace: 'finance', name: text })
    expect(new URL(looked, 'https://api.example').pathname.split('/')).toHaveLength(8)
  })
})

test('a key of the Secret is what the task calls it, and a field what its source calls it', () => {
  for (const odd of ['__proto__', 'constructor', 'toString']) {
    const called = readTask(put(taskObject, '.spec.credentials[].keys{}', odd))
    const plain = readTask(taskObject)
    if (called === undefined || plain === undefined) throw new Error('no task')
    const issuedAs = (field: string) => ({ api: { fields: Object.fromEntries([[field, new Material('m')]]), expiresAt: start } })
    expect(Object.keys(secretData(called, issuedAs('key')))).toEqual([odd])
    expect(Object.keys(secretData(plain, issuedAs(odd)))).toEqual(['api'])
  }
})

test('for policy a text is that text', async () => {
  // what is no Unicode can be said to nobody
  const outcomesOf = (text: string) => (text.isWellFormed() ? ['allow'] : ['allow', 'error'])
  const { engine } = makeEngine([clusterPolicy('c', 'permit (principal, action, resource);')])
  await walk(of('Agent'), ({ path }, text) => {
    const agent = readAgent(put({ metadata, spec: { serviceAccountName: 'clerk' } }, path, text))
    if (agent === undefined) return
    const { owner, attributes, serviceAccount } = agent
    const request = makeRequest({ agent: { owner, attributes, serviceAccount } })
    expect(outcomesOf(text)).toContain(engine.authorize(request).outcome)
  })
  for (const [, text] of texts) {
    const provider = { ...corp, labels: { [text]: text }, destinations: [text] }
    const requestedBy = { kind: 'User' as const, username: text, groups: [text] }
    expect(outcomesOf(text)).toContain(engine.authorize(makeRequest({ provider, requestedBy, audience: text, scopes: [text] })).outcome)
  }
})
