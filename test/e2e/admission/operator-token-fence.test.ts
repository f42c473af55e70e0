import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connect, eventually } from '../../support/cluster.ts'
import { check, core, grant, inForce, installOperator, operator, type Row } from './fixture.ts'

const noOptIn = 'the operator may request ServiceAccount tokens only in a namespace with the label'
const unbound = "the operator may request only ServiceAccount tokens that are bound to a task's anchor Secret"
const noAudience = 'the operator may request only ServiceAccount tokens for named audiences'

const kube = connect()
const granted: (() => Promise<void>)[] = []
afterAll(async () => {
  // an operator that may make tokens in kube-system says so, and gives none
  for (const takeBack of granted) await takeBack()
  await kube.close()
})
const tokens = (namespace: string): string => `${core(namespace)}/serviceaccounts/default/token`
let open = ''
let closed = ''
let anchorUid = ''

beforeAll(async () => {
  await installOperator(kube)
  open = await kube.freshNamespace('token-open', { 'policy.taskbound.dev/service-account-tokens': 'allowed' })
  closed = await kube.freshNamespace('token-closed')
  const rules = [{ apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] }]
  for (const namespace of [open, closed, 'kube-system', 'taskbound-system'])
    granted.push(await grant(kube, operator.as ?? '', namespace, rules))
  for (const namespace of [open, closed]) await eventually(() => kube.must('GET', `${core(namespace)}/serviceaccounts/default`))
  const anchor = await kube.must('POST', `${core(open)}/secrets`, { metadata: { name: 'taskbound-x.anchor' } })
  anchorUid = anchor.metadata.uid
  await inForce(kube, { name: 'probe', as: operator, method: 'POST', path: tokens(closed), body: {}, refused: noOptIn })
}, 60_000)

function rows(): readonly Row[] {
  const bound = { apiVersion: 'v1', kind: 'Secret', name: 'taskbound-x.anchor', uid: anchorUid }
  const ask = (name: string, namespace: string, spec: unknown, refused?: string): Row => ({
    name,
    as: operator,
    method: 'POST',
    path: tokens(namespace),
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
    ...(refused === undefined ? {} : { refused }),
  })
  const good = { audiences: ['https://outside.example'], boundObjectRef: bound }
  return [
    ask('bound to an anchor, for an audience, where the namespace opted in', open, good),
    ask('the barest request where the namespace opted in', open, {}, unbound),
    ask('the barest request elsewhere', closed, {}, noOptIn),
    ask('a good request elsewhere', closed, good, noOptIn),
    ask('in kube-system', 'kube-system', good, noOptIn),
    ask('in its own namespace', 'taskbound-system', good, noOptIn),
    ask('not bound', open, { audiences: good.audiences }, unbound),
    ask('bound to a pod', open, { ...good, boundObjectRef: { ...bound, kind: 'Pod' } }, unbound),
    ask('bound to a Secret of another name', open, { ...good, boundObjectRef: { ...bound, name: 'x.anchor' } }, unbound),
    ask('bound to the Secret that pods mount', open, { ...good, boundObjectRef: { ...bound, name: 'taskbound-x' } }, unbound),
    ask(
      'bound by name alone',
      open,
      { ...good, boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: 'taskbound-x.anchor' } },
      unbound,
    ),
    ask('for an empty audience', open, { ...good, audiences: [''] }, noAudience),
  ]
}

test('each row is answered as the table says', async () => {
  for (const row of rows()) await check(kube, row)
})

test('the operator has no such right at all without a grant in the namespace', async () => {
  const elsewhere = await kube.freshNamespace('token-none', { 'policy.taskbound.dev/service-account-tokens': 'allowed' })
  await eventually(() => kube.must('GET', `${core(elsewhere)}/serviceaccounts/default`))
  const reply = await kube.request('POST', tokens(elsewhere), {}, operator)
  expect(reply).toMatchObject({ status: 403, body: { message: expect.stringContaining('cannot create resource "serviceaccounts/token"') } })
})

test('an absent audience is filled in before admission, so the policy cannot refuse it', async () => {
  const bound = { apiVersion: 'v1', kind: 'Secret', name: 'taskbound-x.anchor', uid: anchorUid }
  const reply = await kube.must('POST', tokens(open), { spec: { boundObjectRef: bound } }, operator)
  expect(reply.spec.audiences).not.toEqual([])
})

test('nobody else is bound by it', async () => {
  await check(kube, { name: 'admin', method: 'POST', path: tokens(closed), body: { spec: { audiences: ['https://outside.example'] } } })
})
