import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connect } from '../../support/cluster.ts'
import { check, core, dry, grant, inForce, type Row } from './fixture.ts'

const refused = 'needs the right to update clusteragentpolicies.taskbound.dev'
const label = 'policy.taskbound.dev/environment'

const kube = connect()
afterAll(() => kube.close())
const tenant = { as: 'namespace-author' }
const admin = { as: 'policy-admin' }
let bare = ''
let marked = ''
let ns = ''

beforeAll(async () => {
  ns = await kube.freshNamespace('labels')
  bare = core(ns)
  marked = core(await kube.freshNamespace('labels', { [label]: 'staging' }))
  const namespaces = { apiGroups: [''], resources: ['namespaces', 'namespaces/status', 'namespaces/finalize'], verbs: ['*'] }
  const policies = { apiGroups: ['taskbound.dev'], resources: ['clusteragentpolicies'], verbs: ['update'] }
  await grant(kube, tenant.as, undefined, [namespaces])
  await grant(kube, admin.as, undefined, [namespaces, policies])
  await inForce(kube, {
    name: 'probe',
    as: tenant,
    method: 'PATCH',
    path: dry(bare),
    body: { metadata: { labels: { [label]: 'x' } } },
    refused,
  })
  await inForce(kube, { name: 'probe', as: admin, method: 'PATCH', path: dry(bare), body: { metadata: { labels: { [label]: 'x' } } } })
}, 60_000)

test('each row is answered as the table says, for the namespace and through its subresources', async () => {
  const create = (name: string, as: Row['as'], labels: object | undefined, sentence?: string): Row => ({
    name,
    method: 'POST',
    path: dry('/api/v1/namespaces'),
    body: { metadata: { name: `${ns}-new`, ...(labels === undefined ? {} : { labels }) } },
    ...(as === undefined ? {} : { as }),
    ...(sentence === undefined ? {} : { refused: sentence }),
  })
  const patch = (name: string, as: Row['as'], path: string, labels: object, sentence?: string): Row => ({
    ...create(name, as, undefined, sentence),
    method: 'PATCH',
    path: dry(path),
    body: { metadata: { labels } },
  })
  const rows: readonly Row[] = [
    create('the barest namespace', tenant, undefined),
    create('other labels', tenant, { team: 'a', 'policy.taskbound.dev.example/x': 'y' }),
    create('our label', tenant, { [label]: 'production' }, refused),
    create('our label, by one with the right', admin, { [label]: 'production' }),
    create('our label, by a cluster administrator', undefined, { [label]: 'production' }),
    ...['', '/status', '/finalize'].flatMap((sub) => {
      // a patch is not served on every subresource: there the whole object is put, below
      if (sub === '/finalize') return []
      return [
        patch(`other labels ${sub}`, tenant, `${marked}${sub}`, { team: 'a' }),
        patch(`set ${sub}`, tenant, `${bare}${sub}`, { [label]: 'production' }, refused),
        patch(`changed ${sub}`, tenant, `${marked}${sub}`, { [label]: 'production' }, refused),
        patch(`taken off ${sub}`, tenant, `${marked}${sub}`, { [label]: null }, refused),
        patch(`changed by one with the right ${sub}`, admin, `${marked}${sub}`, { [label]: 'production' }),
      ]
    }),
  ]
  for (const row of rows) await check(kube, row)
})

test('a namespace put whole, through each path, is held to the same', async () => {
  const before = await kube.must('GET', bare)
  const forged = { ...before, metadata: { ...before.metadata, labels: { ...before.metadata.labels, [label]: 'production' } } }
  for (const sub of ['', '/status', '/finalize']) {
    await check(kube, { name: sub, as: tenant, method: 'PUT', path: dry(`${bare}${sub}`), body: forged, refused })
    await check(kube, { name: sub, as: tenant, method: 'PUT', path: dry(`${bare}${sub}`), body: before })
  }
  expect((await kube.must('GET', bare)).metadata.labels).toEqual(before.metadata.labels)
})
