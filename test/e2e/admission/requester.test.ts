import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { connect, eventually, type RequestOptions } from '../../support/cluster.ts'
import { core, dry, expectAllowed, expectRefused, grant, inForce, ours, putBack, task } from './fixture.ts'

const notYou = '`spec.requestedBy` must be the one who creates the task'
const notYourGroups = '`spec.requestedBy.groups` must be the groups of the one who creates the task'
const podUid = 'authentication.kubernetes.io/pod-uid'

const kube = connect()
let tasks = ''
const author = 'task-author'
const someone: RequestOptions = { as: author, groups: ['authors', 'system:authenticated'], uid: 'u-1' }
const pod: RequestOptions = { ...someone, extra: { [podUid]: 'p-1' } }
const ceo = { username: 'ceo', uid: 'u-0', groups: ['payroll-admins'], podUID: 'p-0' }

const binding = {
  stamp: '/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings/taskbound-requester-stamp',
  check: '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/taskbound-requester-check',
}
type Window = keyof typeof binding

const create = (requestedBy: unknown, who: RequestOptions = someone) =>
  kube.request('POST', dry(tasks), task('t', requestedBy === undefined ? {} : { requestedBy }), who)

/** What is in force just now, told by what becomes of two dry runs. */
async function settled(stamp: boolean, checked: boolean): Promise<void> {
  const bare = { name: 'bare', as: someone, method: 'POST', path: dry(tasks), body: task('t') } as const
  const forged = { ...bare, name: 'forged', body: task('t', { requestedBy: ceo }) }
  await inForce(kube, { ...forged, ...(checked && !stamp ? { refused: notYou } : {}) })
  await eventually(
    async () => expect((await kube.must('POST', bare.path, bare.body, someone)).spec.requestedBy === undefined).toBe(!stamp),
    { timeoutMs: 30_000, everyMs: 100 },
  )
  // that the check is back cannot be seen while the stamp overwrites; its own tests look with the stamp away
}

/** Takes bindings away, runs, and puts everything back. */
async function without(windows: readonly Window[], run: () => Promise<void>): Promise<void> {
  try {
    for (const window of windows) await kube.must('DELETE', binding[window])
    await settled(!windows.includes('stamp'), !windows.includes('check'))
    await run()
  } finally {
    for (const window of windows) await putBack(kube, `requester-${window}`)
    await settled(true, true)
  }
}

beforeAll(async () => {
  const ns = await kube.freshNamespace('requester')
  tasks = `${ours(ns)}/agenttasks`
  await grant(kube, author, ns, [{ apiGroups: ['taskbound.dev'], resources: ['agenttasks'], verbs: ['*'] }])
  await inForce(kube, { name: 'right', as: someone, method: 'POST', path: dry(tasks), body: task('t') })
  await settled(true, true)
}, 60_000)

afterAll(async () => {
  await kube.close()
})

describe('with both in force', () => {
  test('a task says who created it, whatever its author wrote', async () => {
    const stamped = { username: author, uid: 'u-1', groups: ['authors', 'system:authenticated'] }
    expect((await create(undefined)).body.spec.requestedBy).toEqual(stamped)
    expect((await create(ceo)).body.spec.requestedBy).toEqual(stamped)
    expect((await create({ username: author })).body.spec.requestedBy).toEqual(stamped)
    expect((await create(ceo, pod)).body.spec.requestedBy).toEqual({ ...stamped, podUID: 'p-1' })
  })

  test('a requester without UID, groups of his own or extra can create tasks', async () => {
    const { requestedBy } = (await create(ceo, { as: author })).body.spec
    expect(requestedBy).toEqual({ username: author, groups: ['system:authenticated'] })
    const own = await kube.must('POST', dry(tasks), task('t'))
    expect(own.spec.requestedBy).toMatchObject({ groups: expect.arrayContaining(['system:masters']) })
  })

  test("a pod's own token stamps the pod", async () => {
    const ns = tasks.split('/').at(-2) ?? ''
    await grant(kube, `system:serviceaccount:${ns}:default`, ns, [
      { apiGroups: ['taskbound.dev'], resources: ['agenttasks'], verbs: ['create'] },
    ])
    await eventually(() => kube.must('GET', `${core(ns)}/serviceaccounts/default`))
    const running = await kube.must('POST', `${core(ns)}/pods`, {
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c', image: 'example.test/a:1' }] },
    })
    const bound = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: running.metadata.uid }
    const asked = await kube.must('POST', `${core(ns)}/serviceaccounts/default/token`, { spec: { boundObjectRef: bound } })
    await eventually(async () => {
      const made = await kube.must('POST', dry(tasks), task('t', { requestedBy: ceo }), { token: asked.status.token })
      expect(made.spec.requestedBy).toMatchObject({ username: `system:serviceaccount:${ns}:default`, podUID: running.metadata.uid })
    })
  })

  test('somebody in very many groups can create tasks; the first 2,000 are kept, over-long names left out', async () => {
    const groups = Array.from({ length: 2100 }, (_, i) => `g${i}`)
    expect((await create(undefined, { as: author, groups })).body.spec.requestedBy.groups).toEqual(groups.slice(0, 2000))
    const long = ['x'.repeat(257), 'y'.repeat(256)]
    expect((await create(undefined, { as: author, groups: long })).body.spec.requestedBy.groups).toEqual([long[1], 'system:authenticated'])
  })

  test('a task without a spec is told so by the schema, not by a failing patch', async () => {
    expectRefused(await kube.request('POST', dry(tasks), { ...task('t'), spec: undefined }, someone), 'spec: Required value')
  })

  test('who asked cannot be changed, added or removed later', async () => {
    await kube.must('POST', tasks, task('fixed'), someone)
    for (const requestedBy of [null, ceo, { ...ceo, username: author }, { podUID: 'p-9' }]) {
      expectRefused(await kube.request('PATCH', dry(`${tasks}/fixed`), { spec: { requestedBy } }, someone), 'only `end`, `suspend` and')
    }
  })

  test('applying a manifest again, server-side too, neither loses nor disputes it', async () => {
    const applied = (suspend: boolean) =>
      kube.must('PATCH', `${tasks}/applied?fieldManager=me`, task('applied', { suspend }), { contentType: 'application/apply-patch+yaml' })
    const first = await applied(false)
    expect(first.spec.requestedBy.username).not.toBe('')
    const second = await applied(true)
    expect(second.spec).toEqual({ ...first.spec, suspend: true })
  })
})

describe('a forged requester is believed', () => {
  const truth = { username: author, uid: 'u-1', groups: ['authors', 'system:authenticated'] }

  test('not while the stamp is gone, as before Kubernetes 1.36: what is stated is checked', async () => {
    await without(['stamp'], async () => {
      expectAllowed(await create(undefined))
      expect((await create(undefined)).body.spec.requestedBy).toBeUndefined()
      expectAllowed(await create(truth))
      expectAllowed(await create({ ...truth, groups: [...truth.groups].reverse() }))
      expectAllowed(await create({ ...truth, podUID: 'p-1' }, pod))
      expectRefused(await create(ceo), notYou)
      expectRefused(await create({ ...truth, username: 'ceo' }), notYou)
      expectRefused(await create({ ...truth, uid: 'u-0' }), notYou)
      expectRefused(await create({ username: author, groups: truth.groups }), notYou)
      expectRefused(await create({ ...truth, podUID: 'p-0' }), notYou)
      expectRefused(await create({ ...truth, podUID: 'p-0' }, pod), notYou)
      expectRefused(await create(truth, pod), notYou)
      expectRefused(await create({ ...truth, groups: [...truth.groups, 'payroll-admins'] }), notYourGroups)
      // leaving a group out would dodge a policy that forbids it
      expectRefused(await create({ ...truth, groups: ['system:authenticated'] }), notYourGroups)
      expectRefused(await create({ username: author, uid: 'u-1' }), notYourGroups)
      expectRefused(await create({}), 'spec.requestedBy.username: Required value')
      // somebody without UID or extra
      expectAllowed(await create({ username: author, groups: ['system:authenticated'] }, { as: author }))
      expectRefused(await create(ceo, { as: author }), notYou)
      // of very many groups, all in their order or the first 2,000 of more
      const most = Array.from({ length: 1999 }, (_, i) => `g${i}`)
      const stated = (groups: readonly string[]) => ({ username: author, groups })
      const all = [...most, 'system:authenticated']
      expectAllowed(await create(stated(all), { as: author, groups: most }))
      expectRefused(await create(stated([...all].reverse()), { as: author, groups: most }), notYourGroups)
      const more = [...most, 'h1', 'h2', 'h3']
      expectAllowed(await create(stated(more.slice(0, 2000)), { as: author, groups: more }))
      expectRefused(await create(stated(more.slice(1, 2001)), { as: author, groups: more }), notYourGroups)
      expectRefused(await create(stated(more.slice(0, 1999)), { as: author, groups: more }), notYourGroups)
    })
  }, 120_000)

  test('not while the check is gone: what is stated is overwritten', async () => {
    await without(['check'], async () => expect((await create(ceo)).body.spec.requestedBy).toEqual(truth))
  }, 120_000)

  test('by the API server only while both are gone, which is why a task from such a time has an unknown requester', async () => {
    // a binding that was deleted is in force for a moment longer, and not at all times of that moment
    await without(['stamp', 'check'], () => eventually(async () => expect((await create(ceo)).body.spec?.requestedBy).toEqual(ceo)))
  }, 120_000)

  test('not once both are back', async () => {
    expect((await create(ceo)).body.spec.requestedBy).toEqual(truth)
    await without(['stamp'], async () => expectRefused(await create(ceo), notYou))
  }, 120_000)
})
