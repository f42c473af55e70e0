import { afterAll, expect, jest, test } from '@jest/globals'
import { connect, eventually } from '../support/cluster.ts'

jest.setTimeout(40_000) // longer than anything here waits, so that what it waited for is the message

const cluster = connect()
afterAll(() => cluster.close())

test('the API server answers and says which version it is', async () => {
  expect(await cluster.must('GET', '/version')).toMatchObject({ gitVersion: expect.stringMatching(/^v1\.\d+\.\d+/) })
  expect(await cluster.kubectl(['version', '-o', 'json'])).toMatchObject({ code: 0 })
})

test('it serves MutatingAdmissionPolicy v1 without any flag', async () => {
  const { resources } = await cluster.must('GET', '/apis/admissionregistration.k8s.io/v1')
  const kinds = new Set(resources.map(({ kind }: { kind: string }) => kind))
  expect(kinds).toContain('MutatingAdmissionPolicy')
  expect(kinds).toContain('MutatingAdmissionPolicyBinding')
})

test('a Secret goes when its owner is deleted', async () => {
  const ns = await cluster.freshNamespace('gc')
  const path = (kind: string) => `/api/v1/namespaces/${ns}/${kind}`
  const owner = await cluster.must('POST', path('configmaps'), { metadata: { name: 'owner' } })
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }]
  await cluster.must('POST', path('secrets'), { metadata: { name: 'owned', ownerReferences } })
  await cluster.must('DELETE', path('configmaps/owner'))
  await eventually(async () => expect((await cluster.request('GET', path('secrets/owned'))).status).toBe(404), { timeoutMs: 30_000 })
})

test('a Job is accepted, and its controller makes the pod', async () => {
  const ns = await cluster.freshNamespace('job')
  await eventually(() => cluster.must('GET', `/api/v1/namespaces/${ns}/serviceaccounts/default`))
  const containers = [{ name: 'main', image: 'example.test/agent:1', command: ['true'] }]
  await cluster.must('POST', `/apis/batch/v1/namespaces/${ns}/jobs`, {
    metadata: { name: 'work' },
    spec: { template: { spec: { restartPolicy: 'Never', containers } } },
  })
  await eventually(async () => {
    const { items } = await cluster.must('GET', `/api/v1/namespaces/${ns}/pods`)
    expect(items).toHaveLength(1)
  })
})

test('a request can be made as someone else, by impersonation and by their own token', async () => {
  const ns = await cluster.freshNamespace('whoami')
  await eventually(() => cluster.must('GET', `/api/v1/namespaces/${ns}/serviceaccounts/default`))
  const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const username = `system:serviceaccount:${ns}:default`
  const impersonated = await cluster.must('POST', review, {}, { as: username, extra: { 'authentication.kubernetes.io/pod-uid': 'p1' } })
  expect(impersonated.status.userInfo).toMatchObject({ username, extra: { 'authentication.kubernetes.io/pod-uid': ['p1'] } })
  const asked = await cluster.must('POST', `/api/v1/namespaces/${ns}/serviceaccounts/default/token`, { spec: { expirationSeconds: 600 } })
  const owned = await cluster.must('POST', review, {}, { token: asked.status.token })
  expect(owned.status.userInfo).toMatchObject({ username })
})
