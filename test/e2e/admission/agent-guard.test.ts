import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { connect, eventually } from '../../support/cluster.ts'
import { check, dry, grant, inForce, ours, type Row } from './fixture.ts'

const refused = 'needs the right to impersonate the ServiceAccount that it names'

const kube = connect()
afterAll(() => kube.close())
let agents = ''
const plain = { as: 'agent-author' }
const trusted = { as: 'agent-admin' }

const agent = (name: string, spec: object = {}) => ({
  apiVersion: 'taskbound.dev/v1alpha1',
  kind: 'Agent',
  metadata: { name },
  spec: { serviceAccountName: 'clerk', owner: 'a@corp.example', ...spec },
})

beforeAll(async () => {
  const ns = await kube.freshNamespace('agents')
  agents = `${ours(ns)}/agents`
  const write = { apiGroups: ['taskbound.dev'], resources: ['agents'], verbs: ['create', 'update', 'patch', 'delete', 'get'] }
  const impersonate = { apiGroups: [''], resources: ['serviceaccounts'], verbs: ['impersonate'], resourceNames: ['clerk'] }
  await grant(kube, plain.as, ns, [write])
  await grant(kube, trusted.as, ns, [write, impersonate])
  await inForce(kube, { name: 'probe', as: plain, method: 'POST', path: dry(agents), body: agent('probe'), refused })
  await inForce(kube, { name: 'probe', as: trusted, method: 'POST', path: dry(agents), body: agent('probe') })
  await kube.must('POST', agents, agent('clerk'), trusted)
  await kube.must('POST', agents, agent('stopped', { suspended: true, description: 'd', attributes: { a: 'b' } }), trusted)
}, 60_000)

test('each row is answered as the table says', async () => {
  const post = (name: string, as: Row['as'], body: object, sentence?: string): Row => ({
    name,
    method: 'POST',
    path: dry(agents),
    body,
    ...(as === undefined ? {} : { as }),
    ...(sentence === undefined ? {} : { refused: sentence }),
  })
  const patch = (name: string, as: Row['as'], target: string, body: object, sentence?: string): Row => ({
    ...post(name, as, body, sentence),
    method: 'PATCH',
    path: dry(`${agents}/${target}`),
  })
  const rows: readonly Row[] = [
    post('the right to impersonate it', trusted, agent('x')),
    post('no such right', plain, agent('x'), refused),
    post('no such right, suspended at once', plain, agent('x', { suspended: true }), refused),
    post('the right for another ServiceAccount', trusted, agent('x', { serviceAccountName: 'other' }), refused),
    post('a cluster administrator', undefined, agent('x')),
    patch('another owner', plain, 'clerk', { spec: { owner: 'b@corp.example' } }, refused),
    patch('another owner, by one with the right', trusted, 'clerk', { spec: { owner: 'b@corp.example' } }),
    patch('another ServiceAccount', trusted, 'clerk', { spec: { serviceAccountName: 'other' } }, refused),
    patch('suspended, which anyone may who may write it', plain, 'clerk', { spec: { suspended: true } }),
    patch('resumed', plain, 'stopped', { spec: { suspended: false } }, refused),
    patch('resumed by leaving the field out', plain, 'stopped', { spec: { suspended: null } }, refused),
    patch('resumed, by one with the right', trusted, 'stopped', { spec: { suspended: false } }),
    patch('metadata', plain, 'clerk', { metadata: { labels: { a: 'b' }, finalizers: ['example.test/hold'] } }),
  ]
  for (const row of rows) await check(kube, row)
  await check(kube, { name: 'deleted', as: plain, method: 'DELETE', path: dry(`${agents}/clerk`) })
})

test('suspending carries no other change with it: every field of the schema is walked', async () => {
  const { spec: crd } = parse(await readFile(new URL('../../../crds/agents.yaml', import.meta.url), 'utf8'))
  const fields = Object.keys(crd.versions[0].schema.openAPIV3Schema.properties.spec.properties)
  const changes: Readonly<Record<string, unknown>> = {
    serviceAccountName: 'other',
    owner: 'b@corp.example',
    description: 'other',
    attributes: { a: 'c' },
    suspended: undefined,
  }
  expect(fields.sort()).toEqual(Object.keys(changes).sort())
  for (const [field, value] of Object.entries(changes)) {
    if (value === undefined) continue
    for (const target of ['clerk', 'stopped']) {
      await check(kube, {
        name: field,
        as: plain,
        method: 'PATCH',
        path: dry(`${agents}/${target}`),
        body: { spec: { suspended: true, [field]: value } },
        refused,
      })
    }
  }
  for (const field of ['description', 'attributes']) {
    await check(kube, {
      name: field,
      as: plain,
      method: 'PATCH',
      path: dry(`${agents}/stopped`),
      body: { spec: { suspended: true, [field]: null } },
      refused,
    })
  }
})

test('the right is asked for at the moment of the change', async () => {
  const ns = agents.split('/').at(-2) ?? ''
  await grant(kube, plain.as, ns, [{ apiGroups: [''], resources: ['serviceaccounts'], verbs: ['impersonate'], resourceNames: ['late'] }])
  await eventually(() =>
    check(kube, { name: 'late', as: plain, method: 'POST', path: dry(agents), body: agent('x', { serviceAccountName: 'late' }) }),
  )
  await check(kube, { name: 'still', as: plain, method: 'POST', path: dry(agents), body: agent('x'), refused })
})
