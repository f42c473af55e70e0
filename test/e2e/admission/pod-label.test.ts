import { afterAll, beforeAll, describe, test } from '@jest/globals'
import { connect, eventually } from '../../support/cluster.ts'
import { check, core, dry, inForce, putBack, type Row } from './fixture.ts'

const refused = "must carry the label 'taskbound.dev/task'"
const secret = 'taskbound-books'
const label = { 'taskbound.dev/task': 'books' }

const kube = connect()
afterAll(() => kube.close())
let pods = ''

type Spec = Readonly<Record<string, unknown>>
const main = { name: 'main', image: 'example.test/agent:1' }
const pod = (spec: Spec, labels: Readonly<Record<string, string>> = {}, name = 'p') => ({
  metadata: { name, labels },
  spec: { containers: [main], ...spec },
})
const post = (name: string, body: unknown, sentence?: string): Row => ({
  name,
  method: 'POST',
  path: dry(pods),
  body,
  ...(sentence === undefined ? {} : { refused: sentence }),
})

beforeAll(async () => {
  const ns = await kube.freshNamespace('pods')
  pods = `${core(ns)}/pods`
  await eventually(() => kube.must('GET', `${core(ns)}/serviceaccounts/default`), { timeoutMs: 30_000 })
  await inForce(kube, post('probe', pod({ volumes: [{ name: 'v', secret: { secretName: secret } }] }), refused))
}, 60_000)

const env = (name: string) => ({
  env: [
    { name: 'A', value: 'plain' },
    { name: 'B', valueFrom: { secretKeyRef: { name, key: 'api' } } },
  ],
})
const envFrom = (name: string) => ({ envFrom: [{ configMapRef: { name: 'c' } }, { secretRef: { name } }] })
const volume = (source: unknown): Spec => ({ volumes: [{ name: 'v', ...(source as object) }] })

/** Every way in which a pod's spec can name a Secret of its namespace. */
const uses: Readonly<Record<string, (name: string) => Spec>> = {
  'a volume': (name) => volume({ secret: { secretName: name } }),
  'an optional volume': (name) => volume({ secret: { secretName: name, optional: true } }),
  'a projected volume': (name) => volume({ projected: { sources: [{ configMap: { name: 'c' } }, { secret: { name } }] } }),
  'a CSI volume': (name) => volume({ csi: { driver: 'example.test', nodePublishSecretRef: { name } } }),
  'an Azure file volume': (name) => volume({ azureFile: { secretName: name, shareName: 's' } }),
  'a flex volume': (name) => volume({ flexVolume: { driver: 'example.test/d', secretRef: { name } } }),
  'a Ceph volume': (name) => volume({ cephfs: { monitors: ['m'], secretRef: { name } } }),
  'an iSCSI volume': (name) => volume({ iscsi: { targetPortal: 'p', iqn: 'iqn.2001-04.com.example:s', lun: 0, secretRef: { name } } }),
  'an RBD volume': (name) => volume({ rbd: { monitors: ['m'], image: 'i', secretRef: { name } } }),
  'a ScaleIO volume': (name) => volume({ scaleIO: { gateway: 'g', system: 's', volumeName: 'v', secretRef: { name } } }),
  'a StorageOS volume': (name) => volume({ storageos: { volumeName: 'v', secretRef: { name } } }),
  'an environment variable': (name) => ({ containers: [{ ...main, ...env(name) }] }),
  'all environment variables': (name) => ({ containers: [{ ...main, ...envFrom(name) }] }),
  'the second container': (name) => ({ containers: [main, { ...main, name: 'side', ...env(name) }] }),
  'an environment variable of an init container': (name) => ({ initContainers: [{ ...main, name: 'init', ...env(name) }] }),
  'all environment variables of an init container': (name) => ({ initContainers: [{ ...main, name: 'init', ...envFrom(name) }] }),
  'a sidecar': (name) => ({ initContainers: [{ ...main, name: 'init', restartPolicy: 'Always', ...env(name) }] }),
  'an image pull secret': (name) => ({ imagePullSecrets: [{ name: 'registry' }, { name }] }),
}

describe('a new pod', () => {
  test('that uses no Secret of a task needs no label, and may have one', async () => {
    await check(kube, post('the barest pod', pod({})))
    await check(kube, post('a pod without labels at all', { metadata: { name: 'p' }, spec: { containers: [main] } }))
    await check(kube, post('only the label', pod({}, label)))
  })

  test.each(Object.keys(uses))('that uses it as %s must carry the label of that task', async (way) => {
    const use = uses[way] ?? (() => ({}))
    await check(kube, post('a foreign Secret', pod(use('foreign'))))
    await check(kube, post('with the label', pod(use(secret), label)))
    await check(kube, post('without', pod(use(secret)), refused))
    await check(kube, post('with the label of another task', pod(use(secret), { 'taskbound.dev/task': 'other' }), refused))
    await check(kube, post('with an empty label', pod(use(secret), { 'taskbound.dev/task': '' }), refused))
    await check(kube, post('an anchor', pod(use('taskbound-books.anchor'), label), refused))
  })
})

describe('a pod that runs', () => {
  test('keeps its label while it uses the Secret, through every subresource', async () => {
    await kube.must('POST', pods, pod(volume({ secret: { secretName: secret } }), label, 'labelled'))
    const off = { metadata: { labels: { 'taskbound.dev/task': null } } }
    for (const sub of ['', '/status']) {
      await check(kube, { name: `label off ${sub}`, method: 'PATCH', path: dry(`${pods}/labelled${sub}`), body: off, refused })
      await check(kube, {
        name: `another label ${sub}`,
        method: 'PATCH',
        path: dry(`${pods}/labelled${sub}`),
        body: { metadata: { labels: { 'taskbound.dev/task': 'other' } } },
        refused,
      })
      await check(kube, {
        name: `more labels ${sub}`,
        method: 'PATCH',
        path: dry(`${pods}/labelled${sub}`),
        body: { metadata: { labels: { team: 'a' } } },
      })
    }
    // either refused by the policy or without effect on labels, as the API server's version has it
    await kube.request('PATCH', `${pods}/labelled/resize`, off)
    await eventually(async () => {
      const { metadata } = await kube.must('GET', `${pods}/labelled`)
      if (metadata.labels['taskbound.dev/task'] !== 'books') throw new Error('the label went through resize')
    })
    await check(kube, { name: 'deleted', method: 'DELETE', path: dry(`${pods}/labelled`) })
  })

  test('takes no debug container that uses the Secret without the label', async () => {
    await kube.must('POST', pods, pod({}, {}, 'plain'))
    await kube.must('POST', pods, pod({}, label, 'ready'))
    const debug = (extra: Spec) => ({ spec: { ephemeralContainers: [{ name: 'debug', image: 'example.test/debug:1', ...extra }] } })
    const patch = (name: string, target: string, extra: Spec, sentence?: string): Row => ({
      name,
      method: 'PATCH',
      path: dry(`${pods}/${target}/ephemeralcontainers`),
      body: debug(extra),
      as: { contentType: 'application/strategic-merge-patch+json' },
      ...(sentence === undefined ? {} : { refused: sentence }),
    })
    await check(kube, patch('without a Secret', 'plain', {}))
    await check(kube, patch('a foreign Secret', 'plain', env('foreign')))
    await check(kube, patch('a variable', 'plain', env(secret), refused))
    await check(kube, patch('all variables', 'plain', envFrom(secret), refused))
    await check(kube, patch('with the label', 'ready', env(secret)))
  })

  test('that was admitted before the policy can still report its status, and can be labelled', async () => {
    const path = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/taskbound-pod-label'
    const body = pod(volume({ secret: { secretName: secret } }), {}, 'older')
    await kube.must('DELETE', path)
    try {
      await inForce(kube, post('the policy is away', body))
      await kube.must('POST', pods, body)
    } finally {
      await putBack(kube, 'pod-label')
      await inForce(kube, post('the policy is back', { ...body, metadata: { name: 'newer' } }, refused))
    }
    const patch = (name: string, sub: string, change: unknown, sentence?: string): Row => ({
      name,
      method: 'PATCH',
      path: dry(`${pods}/older${sub}`),
      body: change,
      ...(sentence === undefined ? {} : { refused: sentence }),
    })
    await check(kube, patch('status', '/status', { status: { message: 'running' } }))
    await check(kube, patch('metadata', '', { metadata: { annotations: { a: 'b' }, finalizers: ['example.test/hold'] } }))
    await check(kube, patch('the label of another task', '', { metadata: { labels: { 'taskbound.dev/task': 'other' } } }, refused))
    await check(kube, patch('the label', '', { metadata: { labels: label } }))
  }, 90_000)
})
