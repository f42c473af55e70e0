import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { connect } from '../../support/cluster.ts'
import { check, core, dry, inForce, installOperator, makeTask, operator, type Row, secretOf } from './fixture.ts'

const create = "only the operator may create a Secret with the label 'taskbound.dev/task-uid'"
const change = 'only the operator may change the data, the labels'
const owners = "only the operator and the garbage collector may change the owners of a task's Secret"
const finalizer = "a task's Secret takes no finalizer"

const kube = connect()
afterAll(() => kube.close())
let secrets = ''
let ours = ''
let foreign = ''
let mine = { uid: '', name: '' }
// biome-ignore lint/suspicious/noExplicitAny: what the server stored
let stored: any

beforeAll(async () => {
  await installOperator(kube)
  const ns = await kube.freshNamespace('guard')
  secrets = `${core(ns)}/secrets`
  ours = `${secrets}/taskbound-mine`
  foreign = `${secrets}/foreign`
  mine = await makeTask(kube, ns, 'mine')
  await inForce(kube, { name: 'probe', method: 'POST', path: dry(secrets), body: secretOf(mine, 1), refused: create })
  stored = await kube.must('POST', secrets, secretOf(mine, 1), operator)
  await kube.must('POST', secrets, { metadata: { name: 'foreign' }, stringData: { a: 'b' } })
}, 60_000)

const patch = (name: string, path: string, body: unknown, refused?: string, as?: Row['as']): Row => ({
  name,
  method: 'PATCH',
  path: dry(path),
  body,
  ...(refused === undefined ? {} : { refused }),
  ...(as === undefined ? {} : { as }),
})

describe('somebody other than the operator', () => {
  test('creates Secrets, but none with the label', async () => {
    const post = (name: string, body: unknown, refused?: string): Row => ({
      name,
      method: 'POST',
      path: dry(secrets),
      body,
      ...(refused === undefined ? {} : { refused }),
    })
    const rows = [
      post('the barest Secret', { metadata: { name: 'bare' } }),
      post('a name like ours', { metadata: { name: 'taskbound-other' } }),
      post('the label, empty', { metadata: { name: 'x', labels: { 'taskbound.dev/task-uid': '' } } }, create),
      post('the label of a task', { metadata: { name: 'x', labels: { 'taskbound.dev/task-uid': mine.uid } } }, create),
    ]
    for (const row of rows) await check(kube, row)
  })

  test("changes nothing that matters of a task's Secret, and may still delete it", async () => {
    const label = (value: string | null) => ({ metadata: { labels: { 'taskbound.dev/task-uid': value } } })
    const gc = { as: 'system:serviceaccount:kube-system:generic-garbage-collector' }
    const rows: readonly Row[] = [
      patch('a no-op', ours, {}),
      { name: 'the same again, as a storage migration writes it', method: 'PUT', path: dry(ours), body: stored },
      patch('an annotation of somebody else', ours, { metadata: { annotations: { 'example.test/seen': 'yes' } } }),
      patch('data', ours, { data: { api: 'bmV3' } }, change),
      patch('data through stringData', ours, { stringData: { api: 'new' } }, change),
      patch('one more key', ours, { data: { more: 'bmV3' } }, change),
      patch('no data', ours, { data: null }, change),
      patch('another label value', ours, label('other'), change),
      patch('the label taken off', ours, label(null), change),
      patch('one more label', ours, { metadata: { labels: { team: 'a' } } }, change),
      patch('the attempt', ours, { metadata: { annotations: { 'taskbound.dev/attempt': '99' } } }, change),
      patch('the attempt taken off', ours, { metadata: { annotations: { 'taskbound.dev/attempt': null } } }, change),
      patch('one more annotation of ours', ours, { metadata: { annotations: { 'taskbound.dev/other': '1' } } }, change),
      patch('frozen', ours, { immutable: true }, change),
      patch('no owner', ours, { metadata: { ownerReferences: null } }, owners),
      patch(
        'another owner',
        ours,
        { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x' }] } },
        owners,
      ),
      patch('a finalizer', ours, { metadata: { finalizers: ['example.test/hold'] } }, finalizer),
      patch("the API server's own finalizer", ours, { metadata: { finalizers: ['foregroundDeletion'] } }),
      patch('the label put on a foreign Secret', foreign, label(mine.uid), change),
      patch('a foreign Secret otherwise', foreign, { data: { a: 'bmV3' }, metadata: { finalizers: ['example.test/hold'] } }),
      { name: 'deleted', method: 'DELETE', path: dry(ours) },
    ]
    for (const row of rows) await check(kube, row)
    await check(kube, patch('no owner, by the garbage collector', ours, { metadata: { ownerReferences: null } }, undefined, gc))
  })
})

test('the operator changes its own Secret', async () => {
  await check(kube, { name: 'renewal', as: operator, method: 'PUT', path: dry(ours), body: secretOf(mine, 2) })
  expect((await kube.must('GET', ours)).data).toEqual(stored.data)
})
