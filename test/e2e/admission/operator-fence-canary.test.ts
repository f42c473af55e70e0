import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connect, eventually, type RequestOptions } from '../../support/cluster.ts'
import { core, grant, inForce, installOperator, operator } from './fixture.ts'

const kube = connect()
afterAll(() => kube.close())
let ns = ''
let secrets = ''

beforeAll(async () => {
  await installOperator(kube)
  ns = await kube.freshNamespace('canary')
  secrets = `${core(ns)}/secrets`
  const refused = 'the operator may write only Opaque Secrets'
  await inForce(kube, {
    name: 'probe',
    as: operator,
    method: 'POST',
    path: `${secrets}?dryRun=All`,
    body: { metadata: { name: 'a' } },
    refused,
  })
}, 60_000)

const canary = 'canary-5f1c'
const encoded = Buffer.from(canary).toString('base64')
const methods = ['GET', 'LIST', 'WATCH', 'PATCH', 'PUT', 'DELETE', 'DELETECOLLECTION'] as const

/** Every verb with every option, on a canary that is made anew when a walk changed it. Answers what showed it and what changed it. */
async function walk(who: RequestOptions): Promise<{ readonly read: readonly string[]; readonly changed: readonly string[] }> {
  const read: string[] = []
  const changed: string[] = []
  const one = `${secrets}/canary`
  for (const finalizers of [[], ['example.test/hold']]) {
    for (const method of methods) {
      for (const dryRun of ['', 'dryRun=All']) {
        for (const option of method.startsWith('DELETE')
          ? ['', 'propagationPolicy=Background', 'propagationPolicy=Foreground', 'propagationPolicy=Orphan', 'orphanDependents=true']
          : ['']) {
          await kube.request('PATCH', one, { metadata: { finalizers: null } })
          await kube.request('DELETE', one)
          const before = await kube.must('POST', secrets, { metadata: { name: 'canary', finalizers }, stringData: { value: canary } })
          const query = [dryRun, option, method === 'WATCH' ? 'watch=1&timeoutSeconds=1' : ''].filter((part) => part !== '').join('&')
          const whole = method === 'LIST' || method === 'WATCH' || method === 'DELETECOLLECTION'
          const verb = method === 'LIST' || method === 'WATCH' ? 'GET' : method === 'DELETECOLLECTION' ? 'DELETE' : method
          const body = method === 'PATCH' ? { data: {} } : method === 'PUT' ? { metadata: { name: 'canary' }, type: 'Opaque' } : undefined
          const reply = await kube.request(verb, `${whole ? secrets : one}?${query}`, body, who)
          const label = `${method} ${query} ${finalizers.length === 0 ? 'without' : 'with'} finalizer`.replace(/ +/g, ' ')
          if (JSON.stringify(reply.body).match(new RegExp(`${canary}|${encoded}`)) !== null) read.push(label)
          const after = await kube.request('GET', one)
          if (JSON.stringify(after.body) !== JSON.stringify(before)) changed.push(label)
        }
      }
    }
  }
  return { read, changed }
}

test('a foreign Secret is read and changed by an identity that has only create, update and delete: RBAC alone is not write-only', async () => {
  const alone = { as: 'rbac-alone' }
  await grant(kube, 'rbac-alone', ns, [{ apiGroups: [''], resources: ['secrets'], verbs: ['create', 'update', 'delete'] }])
  await eventually(async () =>
    expect((await kube.request('POST', `${secrets}?dryRun=All`, { metadata: { name: 'a' } }, alone)).status).toBe(201),
  )
  const { read, changed } = await walk(alone)
  expect(read).toEqual([
    'DELETE propagationPolicy=Foreground without finalizer',
    'DELETE propagationPolicy=Orphan without finalizer',
    'DELETE orphanDependents=true without finalizer',
    'DELETE dryRun=All&propagationPolicy=Foreground without finalizer',
    'DELETE dryRun=All&propagationPolicy=Orphan without finalizer',
    'DELETE dryRun=All&orphanDependents=true without finalizer',
    'DELETE with finalizer',
    'DELETE propagationPolicy=Background with finalizer',
    'DELETE propagationPolicy=Foreground with finalizer',
    'DELETE propagationPolicy=Orphan with finalizer',
    'DELETE orphanDependents=true with finalizer',
    'DELETE dryRun=All with finalizer',
    'DELETE dryRun=All&propagationPolicy=Background with finalizer',
    'DELETE dryRun=All&propagationPolicy=Foreground with finalizer',
    'DELETE dryRun=All&propagationPolicy=Orphan with finalizer',
    'DELETE dryRun=All&orphanDependents=true with finalizer',
  ])
  expect(changed.length).toBeGreaterThan(0)
}, 60_000)

test('a foreign Secret is neither read nor changed by the operator, by impersonation or with its own token', async () => {
  const asked = await kube.must('POST', '/api/v1/namespaces/taskbound-system/serviceaccounts/taskbound/token', {
    spec: { expirationSeconds: 600 },
  })
  for (const who of [operator, { token: asked.status.token as string }]) expect(await walk(who)).toEqual({ read: [], changed: [] })
  await kube.request('PATCH', `${secrets}/canary`, { metadata: { finalizers: null } })
}, 60_000)
