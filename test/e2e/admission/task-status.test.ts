import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connect } from '../../support/cluster.ts'
import { check, cluster, dry, grant, inForce, installOperator, operator, ours, type Row, task } from './fixture.ts'

const refused = 'only the operator may write the status of this object'

const kube = connect()
afterAll(() => kube.close())
let paths: readonly string[] = []
let ns = ''

beforeAll(async () => {
  await installOperator(kube)
  ns = await kube.freshNamespace('status')
  const name = ns
  const policy = { metadata: { name }, spec: { cedar: '@id("none") forbid (principal, action, resource);' } }
  const provider = { metadata: { name }, spec: { type: 'jwt', jwt: { profile: 'AccessToken', audiences: ['https://a.example'] } } }
  const of = (kind: string, body: object) => ({ apiVersion: 'taskbound.dev/v1alpha1', kind, ...body })
  await kube.must('POST', `${ours(ns)}/agenttasks`, task('mine'))
  await kube.must('POST', `${ours(ns)}/agentpolicies`, of('AgentPolicy', policy))
  // in Audit mode and selecting nobody, so that neither touches another test
  await kube.must('POST', cluster('clusteragentpolicies'), of('ClusterAgentPolicy', { ...policy, spec: { ...policy.spec, mode: 'Audit' } }))
  await kube.must('POST', cluster('clustercredentialproviders'), of('ClusterCredentialProvider', provider))
  const own = { host: 'db.example', databases: ['app'], groups: ['app_read'], loginSecretRef: { name: 'login' } }
  await kube.must(
    'POST',
    `${ours(ns)}/credentialproviders`,
    of('CredentialProvider', { metadata: { name }, spec: { type: 'postgres', postgres: own } }),
  )
  paths = [
    `${ours(ns)}/agenttasks/mine`,
    `${ours(ns)}/agentpolicies/${name}`,
    `${ours(ns)}/credentialproviders/${name}`,
    `${cluster('clusteragentpolicies')}/${name}`,
    `${cluster('clustercredentialproviders')}/${name}`,
  ]
  await inForce(kube, {
    name: 'probe',
    method: 'PATCH',
    path: dry(`${paths[0]}/status`),
    body: { status: { observedGeneration: 1 } },
    refused,
  })
}, 60_000)

afterAll(async () => {
  for (const path of paths.slice(3)) await kube.request('DELETE', path)
})

test('the operator writes every status, nobody else any, whatever right he has', async () => {
  await grant(kube, 'wildcard', undefined, [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }])
  const who: readonly (readonly [string, Row['as'], string | undefined])[] = [
    ['the operator', operator, undefined],
    ['a cluster administrator', undefined, refused],
    ['somebody with every right', { as: 'wildcard' }, refused],
    [
      'another ServiceAccount of its namespace',
      { as: 'system:serviceaccount:taskbound-system:default', groups: ['system:masters'] },
      refused,
    ],
  ]
  for (const path of paths) {
    for (const [name, as, sentence] of who) {
      const common = {
        name,
        path: dry(`${path}/status`),
        ...(as === undefined ? {} : { as }),
        ...(sentence === undefined ? {} : { refused: sentence }),
      }
      await check(kube, { ...common, method: 'PATCH', body: { status: { observedGeneration: 1 } } })
      await check(kube, { ...common, method: 'PATCH', body: {} })
      if (as !== operator) await check(kube, { ...common, method: 'PUT', body: await kube.must('GET', path) })
    }
  }
})

test('a status that comes with a new object or through the object itself is dropped', async () => {
  const status = { observedGeneration: 7, attempt: 3 }
  expect((await kube.must('POST', dry(`${ours(ns)}/agenttasks`), { ...task('forged'), status })).status).toBeUndefined()
  expect((await kube.must('PATCH', dry(paths[0] ?? ''), { status })).status).toBeUndefined()
})

test('through its status a task keeps its spec, and by patch only the operator who has just read it writes it', async () => {
  const path = `${ours(ns)}/agenttasks/mine`
  const { metadata, spec } = await kube.must('GET', path)
  const after = await kube.must(
    'PATCH',
    `${path}/status`,
    { spec: { action: 'test.other', end: 'Completed' }, status: { attempt: 1 } },
    operator,
  )
  expect(after.spec).toEqual(spec)
  const stale = { metadata: { resourceVersion: metadata.resourceVersion }, status: { attempt: 2 } }
  expect((await kube.request('PATCH', `${path}/status`, stale, operator)).status).toBe(409)
})
