import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { connect, eventually } from '../../support/cluster.ts'
import {
  check,
  core,
  expectAllowed,
  expectRefused,
  grant,
  inForce,
  installOperator,
  makeTask,
  operator,
  ours,
  type Row,
  secretOf,
} from './fixture.ts'

const notOurs = 'this Secret was not made by the operator'
const otherTask = 'this Secret belongs to another task'
const notSmaller = 'the stored attempt is not smaller'
const badForm = 'the operator may write only Opaque Secrets'
const badDelete = "the operator may delete Secrets only with the propagation policy 'Background'"

const kube = connect()
afterAll(() => kube.close())
let ns = ''
let secrets = ''
let mine = { uid: '', name: '' }
let other = { uid: '', name: '' }

beforeAll(async () => {
  await installOperator(kube)
  ns = await kube.freshNamespace('fence')
  secrets = `${core(ns)}/secrets`
  mine = await makeTask(kube, ns, 'mine')
  other = await makeTask(kube, ns, 'other')
  const bare = { metadata: { name: 'foreign' } }
  await inForce(kube, { name: 'probe', as: operator, method: 'POST', path: `${secrets}?dryRun=All`, body: bare, refused: badForm })
}, 60_000)

const background = '?propagationPolicy=Background'

describe('what the operator may create', () => {
  const rows = (): readonly Row[] => {
    const create = (name: string, body: unknown, refused?: string): Row => ({
      name,
      as: operator,
      method: 'POST',
      path: `${secrets}?dryRun=All`,
      body,
      ...(refused === undefined ? {} : { refused }),
    })
    return [
      create('a Secret of a task', secretOf(mine, 1)),
      create('an anchor of a task', secretOf(mine, 1, { metadata: { name: 'taskbound-mine.anchor' }, data: {} })),
      create('the barest Secret', { metadata: { name: 'x' } }, badForm),
      create('the barest Secret with our name', { metadata: { name: 'taskbound-x' } }, badForm),
      create('a generated name', { metadata: { generateName: 'x-' } }, badForm),
      create('another name', secretOf(mine, 1, { metadata: { name: 'mine' } }), badForm),
      create('no label', secretOf(mine, 1, { metadata: { labels: {} } }), badForm),
      create(
        'the label of another task than the owner',
        secretOf(mine, 1, { metadata: { labels: { 'taskbound.dev/task-uid': other.uid } } }),
        badForm,
      ),
      create('no owner', secretOf(mine, 1, { metadata: { ownerReferences: [] } }), badForm),
      create(
        'an owner of another kind',
        secretOf(mine, 1, { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'AgentTask', name: 'mine', uid: mine.uid }] } }),
        badForm,
      ),
      create('no attempt', secretOf(mine, 1, { metadata: { annotations: {} } }), badForm),
      create('an attempt that is no number', secretOf(mine, 1, { metadata: { annotations: { 'taskbound.dev/attempt': 'one' } } }), badForm),
      create(
        'a ServiceAccount token',
        secretOf(mine, 1, {
          type: 'kubernetes.io/service-account-token',
          metadata: { annotations: { 'kubernetes.io/service-account.name': 'default', 'taskbound.dev/attempt': '1' } },
        }),
        badForm,
      ),
      create('a bootstrap token', secretOf(mine, 1, { type: 'bootstrap.kubernetes.io/token' }), badForm),
      create(
        'a finalizer',
        secretOf(mine, 1, { metadata: { finalizers: ['example.test/hold'] } }),
        'the operator may put no finalizer on a Secret',
      ),
    ]
  }
  test('each row is answered as the table says', async () => {
    for (const row of rows()) await check(kube, row)
  })

  test('in kube-system neither a ServiceAccount token nor a bootstrap token, which would be cluster-admin', async () => {
    const token = {
      type: 'kubernetes.io/service-account-token',
      metadata: { name: 'taskbound-x', annotations: { 'kubernetes.io/service-account.name': 'clusterrole-aggregation-controller' } },
    }
    const bootstrap = {
      type: 'bootstrap.kubernetes.io/token',
      metadata: { name: 'bootstrap-token-abcdef' },
      stringData: { 'token-id': 'abcdef' },
    }
    for (const body of [token, bootstrap])
      expectRefused(await kube.request('POST', '/api/v1/namespaces/kube-system/secrets', body, operator), badForm)
  })

  test('in its own namespace Opaque and TLS Secrets, and no token that would outlive a stolen one', async () => {
    const path = '/api/v1/namespaces/taskbound-system/secrets?dryRun=All'
    expectAllowed(await kube.request('POST', path, { metadata: { name: 'keys' } }, operator))
    const tls = { metadata: { name: 'tls' }, type: 'kubernetes.io/tls', data: { 'tls.crt': '', 'tls.key': '' } }
    expectAllowed(await kube.request('POST', path, tls, operator))
    const token = {
      type: 'kubernetes.io/service-account-token',
      metadata: { name: 't', annotations: { 'kubernetes.io/service-account.name': 'taskbound' } },
    }
    expectRefused(
      await kube.request('POST', path, token, operator),
      'in its own namespace the operator may write only Opaque and TLS Secrets',
    )
  })
})

describe('what the operator may change', () => {
  test('in its own namespace what it keeps to end credentials, and neither a key nor a login', async () => {
    const home = '/api/v1/namespaces/taskbound-system/secrets'
    const kept = { type: 'Opaque', metadata: { name: 'taskbound-kept-fence' } }
    await kube.must('POST', home, kept, operator)
    expectAllowed(await kube.request('PUT', `${home}/taskbound-kept-fence`, { ...kept, stringData: { 1: 'sealed' } }, operator))
    expectAllowed(await kube.request('DELETE', `${home}/taskbound-kept-fence${background}`, undefined, operator))
    const others = [{ metadata: { name: 'taskbound-fence-keys' } }, { metadata: { name: 'taskbound-kept-tls' }, type: 'kubernetes.io/tls' }]
    for (const other of others) {
      const { name } = other.metadata
      const data = { 'tls.crt': '', 'tls.key': '' }
      await kube.must('POST', home, { ...other, data })
      const refused = 'only what it keeps to end credentials'
      expectRefused(await kube.request('PUT', `${home}/${name}`, { ...other, data: { ...data, a: '' } }, operator), refused)
      expectRefused(await kube.request('DELETE', `${home}/${name}${background}`, undefined, operator), refused)
      await kube.must('DELETE', `${home}/${name}`)
    }
  })

  test('its own Secret with a larger attempt, and nothing else', async () => {
    const path = `${secrets}/taskbound-mine`
    await kube.must('POST', secrets, secretOf(mine, 2), operator)
    expect((await kube.request('POST', secrets, secretOf(mine, 2), operator)).status).toBe(409)
    expectRefused(await kube.request('PUT', path, secretOf(mine, 2), operator), notSmaller)
    expectRefused(await kube.request('PUT', path, secretOf(mine, 1), operator), notSmaller)
    expectRefused(await kube.request('PUT', path, secretOf(mine, 3, { metadata: { annotations: {} } }), operator), notSmaller)
    expectRefused(await kube.request('PUT', path, secretOf(other, 3, { metadata: { name: 'taskbound-mine' } }), operator), otherTask)
    expectRefused(await kube.request('PUT', path, secretOf(mine, 3, { metadata: { ownerReferences: [] } }), operator), badForm)
    expectAllowed(await kube.request('PUT', path, secretOf(mine, 3), operator))
    // 10 is larger than 9 as a number, not as a text
    expectAllowed(await kube.request('PUT', path, secretOf(mine, 9), operator))
    expectAllowed(await kube.request('PUT', path, secretOf(mine, 10), operator))
    await kube.must('DELETE', path)
  })

  test("a squatter's Secret stays byte-identical, whatever it looks like", async () => {
    const squatters: readonly object[] = [
      { metadata: { name: 'taskbound-mine' }, stringData: { a: 'squat' } },
      { metadata: { name: 'taskbound-mine', annotations: { 'taskbound.dev/attempt': 'garbage' } } },
      {
        metadata: {
          name: 'taskbound-mine',
          ownerReferences: [{ apiVersion: 'taskbound.dev/v1alpha1', kind: 'AgentTask', name: 'mine', uid: mine.uid }],
        },
      },
    ]
    for (const squatter of squatters) {
      const before = await kube.must('POST', secrets, squatter)
      expectRefused(await kube.request('PUT', `${secrets}/taskbound-mine`, secretOf(mine, 5), operator), notOurs)
      expectRefused(await kube.request('DELETE', `${secrets}/taskbound-mine${background}`, undefined, operator), notOurs)
      expect(await kube.must('GET', `${secrets}/taskbound-mine`)).toEqual(before)
      await kube.must('DELETE', `${secrets}/taskbound-mine`)
    }
  })

  test('with every right on Secrets still neither by patch nor many at once', async () => {
    const wide = await kube.freshNamespace('fence-wide')
    await grant(kube, operator.as ?? '', wide, [{ apiGroups: [''], resources: ['secrets'], verbs: ['*'] }])
    const path = `${core(wide)}/secrets`
    const before = await kube.must('POST', path, { metadata: { name: 'canary' }, stringData: { a: 'canary' } })
    await eventually(async () => expect((await kube.request('GET', `${path}/canary`, undefined, operator)).status).toBe(200))
    expectRefused(await kube.request('PATCH', `${path}/canary`, { data: {} }, operator), notOurs)
    const many = await kube.request('DELETE', `${path}${background}`, undefined, operator)
    expect([403, 422]).toContain(many.status)
    expect(await kube.must('GET', `${path}/canary`)).toEqual(before)
  })
})

describe('what the operator may delete', () => {
  const path = () => `${secrets}/taskbound-mine`

  test('its own Secret, only in a way that cannot answer with it', async () => {
    await kube.must('POST', secrets, secretOf(mine, 1), operator)
    for (const query of [
      '',
      '?propagationPolicy=Foreground',
      '?propagationPolicy=Orphan',
      '?orphanDependents=true',
      '?orphanDependents=false',
    ]) {
      expectRefused(await kube.request('DELETE', `${path()}${query}`, undefined, operator), badDelete)
      expectRefused(await kube.request('DELETE', `${path()}${query}${query === '' ? '?' : '&'}dryRun=All`, undefined, operator), badDelete)
    }
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' }
    expectAllowed(await kube.request('DELETE', path(), options, operator))
    expect((await kube.request('GET', path())).status).toBe(404)
  })

  test('one that lost its owner because its task was deleted with `--cascade=orphan`', async () => {
    const orphaned = await makeTask(kube, ns, 'orphaned')
    await kube.must('POST', secrets, secretOf(orphaned, 1), operator)
    await kube.must('DELETE', `${ours(ns)}/agenttasks/orphaned?propagationPolicy=Orphan`)
    await eventually(
      async () => expect((await kube.must('GET', `${secrets}/taskbound-orphaned`)).metadata.ownerReferences).toBeUndefined(),
      { timeoutMs: 30_000 },
    )
    expectAllowed(await kube.request('DELETE', `${secrets}/taskbound-orphaned${background}`, undefined, operator))
  }, 60_000)
})
