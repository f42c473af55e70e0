import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connect, eventually } from '../../support/cluster.ts'
import { check, core, dry, grant, inForce, installOperator, operator, ours, type Row } from './fixture.ts'

const refused = 'only the operator may write or delete rows of its ledger'

const kube = connect()
afterAll(() => kube.close())
let ns = ''

const lease = (name: string) => ({
  apiVersion: 'taskbound.dev/v1alpha1',
  kind: 'CredentialLease',
  metadata: { name },
  spec: {
    handle: name,
    installation: 'test',
    task: { namespace: 'a', name: 'b', uid: 'c' },
    credential: 'api',
    attempt: 1,
    provider: { kind: 'ClusterCredentialProvider', name: 'corp', uid: 'd', type: 'jwt' },
    effectBy: '2030-01-01T00:00:00Z',
  },
})

const giveUp = (reason: string, more: { readonly annotations?: object; readonly [key: string]: unknown } = {}) => ({
  metadata: { ...more, annotations: { ...more.annotations, 'taskbound.dev/irrevocable': reason } },
})

beforeAll(async () => {
  await installOperator(kube)
  ns = await kube.freshNamespace('ledger')
  const rules = [{ apiGroups: ['taskbound.dev'], resources: ['credentialleases', 'credentialleases/status'], verbs: ['*'] }]
  await grant(kube, operator.as ?? '', ns, rules)
  await inForce(kube, { name: 'probe', method: 'POST', path: dry(`${ours(ns)}/credentialleases`), body: lease('tbx'), refused })
}, 60_000)

test('the operator writes and deletes rows, nobody else does', async () => {
  const rows = `${ours(ns)}/credentialleases`
  await check(kube, { name: 'create', as: operator, method: 'POST', path: rows, body: lease('tb1') })
  const state = { status: { state: 'Issued' } }
  const table: readonly Row[] = [
    { name: 'create', method: 'POST', path: dry(rows), body: lease('tb2'), refused },
    { name: 'patch', method: 'PATCH', path: dry(`${rows}/tb1`), body: { metadata: { labels: { a: 'b' } } }, refused },
    { name: 'status', method: 'PATCH', path: dry(`${rows}/tb1/status`), body: state, refused },
    { name: 'delete', method: 'DELETE', path: dry(`${rows}/tb1`), refused },
    { name: 'delete all', method: 'DELETE', path: dry(rows), refused },
    { name: 'a reason to give it up', method: 'PATCH', path: dry(`${rows}/tb1`), body: giveUp('the server was scrapped') },
    { name: 'no reason', method: 'PATCH', path: dry(`${rows}/tb1`), body: giveUp('x'), refused: 'must say why' },
    {
      name: 'a reason and a label',
      method: 'PATCH',
      path: dry(`${rows}/tb1`),
      body: giveUp('the server was scrapped', { labels: { a: 'b' } }),
      refused,
    },
    {
      name: 'a reason and another annotation',
      method: 'PATCH',
      path: dry(`${rows}/tb1`),
      body: giveUp('the server was scrapped', { annotations: { a: 'b' } }),
      refused,
    },
    {
      name: 'a reason and a finalizer',
      method: 'PATCH',
      path: dry(`${rows}/tb1`),
      body: giveUp('the server was scrapped', { finalizers: ['example.test/hold'] }),
      refused,
    },
    {
      name: 'a reason in a status',
      method: 'PATCH',
      path: dry(`${rows}/tb1/status`),
      body: { ...giveUp('the server was scrapped'), ...state },
      refused,
    },
    { name: 'a finalizer', method: 'PATCH', path: dry(`${rows}/tb1`), body: { metadata: { finalizers: ['example.test/hold'] } }, refused },
    { name: 'its status', as: operator, method: 'PATCH', path: `${rows}/tb1/status`, body: state },
    { name: 'given up', method: 'PATCH', path: `${rows}/tb1`, body: giveUp('the server was scrapped') },
    { name: 'another reason', method: 'PATCH', path: dry(`${rows}/tb1`), body: giveUp('somebody else says so'), refused },
    { name: 'its delete', as: operator, method: 'DELETE', path: dry(`${rows}/tb1`) },
  ]
  for (const row of table) await check(kube, row)
})

test('a namespace with a row in it can still be deleted', async () => {
  await kube.request('POST', `${ours(ns)}/credentialleases`, lease('tb3'), operator)
  await kube.must('DELETE', core(ns))
  await eventually(async () => expect((await kube.request('GET', core(ns))).status).toBe(404), { timeoutMs: 60_000 })
}, 90_000)
