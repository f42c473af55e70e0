import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { readCrds, walk } from '../generate/crds.ts'
import { root } from '../generate.ts'
import { connect, type Reply } from '../support/cluster.ts'
import { cluster, dry, expectAllowed, expectRefused, grant, inForce, installOperator, operator, ours } from './admission/fixture.ts'
import { type Attempt, base, credential, type Fields, leaseSpec, rows, withCredential } from './rules.ts'

const kube = connect()
afterAll(() => kube.close())
let ns = ''
let made = 0

beforeAll(async () => {
  await installOperator(kube)
  ns = await kube.freshNamespace('crds')
  const all = { apiGroups: ['taskbound.dev'], resources: ['credentialleases', 'credentialleases/status'], verbs: ['*'] }
  await grant(kube, operator.as ?? '', ns, [all])
  const lease = { apiVersion: 'taskbound.dev/v1alpha1', kind: 'CredentialLease', metadata: { name: 'tbx' }, spec: leaseSpec }
  await inForce(kube, { name: 'right', as: operator, method: 'POST', path: dry(`${ours(ns)}/credentialleases`), body: lease })
}, 60_000)

/** Makes the attempt and answers what the API server says; what it had to store is deleted again. */
async function attempt(kind: string, { name, spec, status, change }: Attempt): Promise<Reply> {
  const of = base[kind]
  if (of === undefined) throw new Error(`no base for ${kind}`)
  const path = of.cluster === true ? cluster(of.plural) : `${ours(ns)}/${of.plural}`
  const body = {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind,
    metadata: { name: name ?? of.name ?? `row-${made++}-${ns}` },
    spec: { ...of.spec, ...spec },
  }
  if (change === undefined) return kube.request('POST', dry(path), body, of.as)
  const object = `${path}/${body.metadata.name}`
  await kube.must('POST', path, body, of.as)
  try {
    if (status === undefined) return await kube.request('PATCH', dry(object), { spec: change }, of.as)
    await kube.must('PATCH', `${object}/status`, { status }, of.as)
    return await kube.request('PATCH', dry(`${object}/status`), { status: change }, of.as)
  } finally {
    await kube.must('DELETE', object, undefined, of.as)
  }
}

describe('every CEL rule lets one object pass and refuses another with its sentence', () => {
  test.each(rows.map((row) => [row.kind, row.rule, row] as const))('%s: %s', async (kind, rule, row) => {
    expectAllowed(await attempt(kind, row.pass))
    expectRefused(await attempt(kind, row.fail), rule)
  })

  test('and no rule is without its row', async () => {
    const rules = (await readCrds(root)).flatMap((crd) =>
      walk(crd.schema).flatMap(({ schema }) =>
        (schema['x-kubernetes-validations'] ?? []).map((rule) => ({ kind: crd.kind, message: rule.message ?? '' })),
      ),
    )
    expect(rows).toHaveLength(rules.length)
    for (const { kind, message } of rules) {
      const matching = rows.filter((row) => row.kind === kind && message.startsWith(row.rule))
      expect({ message, rows: matching.length }).toEqual({ message, rows: 1 })
    }
  })
})

describe('the spec of a task', () => {
  const optional: Fields = {
    purpose: 'p',
    context: { tools: ['a'] },
    workloadRef: { apiVersion: 'batch/v1', kind: 'Job', name: 'j' },
    startingDeadlineSeconds: 60,
    activeDeadlineSeconds: 120,
    ttlSecondsAfterFinished: 1,
    suspend: true,
    end: 'Completed',
  }
  const other: Fields = {
    agentRef: { name: 'other' },
    action: 'test.other',
    credentials: [{ ...credential, ttlSeconds: 900 }],
    purpose: 'q',
    context: { tools: ['b'] },
    workloadRef: { kind: 'Pod' },
    startingDeadlineSeconds: 61,
    activeDeadlineSeconds: 121,
    ttlSecondsAfterFinished: 2,
    suspend: false,
    end: 'Cancelled',
  }
  const mutable = ['suspend', 'ttlSecondsAfterFinished']
  const sentence = 'only `end`, `suspend` and `ttlSecondsAfterFinished` may be changed'

  test('takes no change of any field but the three, be it set, changed or taken away', async () => {
    const crd = (await readCrds(root)).find(({ kind }) => kind === 'AgentTask')
    const fields = Object.keys(crd?.schema.properties?.['spec']?.properties ?? {})
    // these three are refused at creation or written by the API server; who asked has a test of its own
    expect([...Object.keys(other), 'parentRef', 'delegation', 'requestedBy'].sort()).toEqual(fields.sort())
    for (const [field, value] of Object.entries(other)) {
      const changed = await attempt('AgentTask', { spec: optional, change: { [field]: value } })
      if (mutable.includes(field)) expectAllowed(changed)
      else expectRefused(changed, field === 'end' ? '`end` may be set once' : sentence)
    }
    for (const [field, value] of Object.entries(optional)) {
      const added = await attempt('AgentTask', { change: { [field]: value } })
      const removed = await attempt('AgentTask', { spec: optional, change: { [field]: null } })
      if (mutable.includes(field)) {
        expectAllowed(added)
        expectAllowed(removed)
      } else if (field === 'end') {
        expectAllowed(added)
        expectRefused(removed, '`end` may be set once')
      } else {
        expectRefused(added, sentence)
        expectRefused(removed, sentence)
      }
    }
  }, 60_000)

  test('takes no key of the Secret twice', async () => {
    const twice = 'each key of the Secret may be used once'
    const two = (first: Fields, second: Fields): Attempt => ({
      spec: {
        credentials: [
          { ...credential, name: 'a', ...first },
          { ...credential, name: 'b', ...second },
        ],
      },
    })
    expectAllowed(await attempt('AgentTask', two({}, {})))
    expectAllowed(await attempt('AgentTask', two({ keys: { user: 'U', password: 'P' } }, { keys: { token: 'T' } })))
    expectRefused(await attempt('AgentTask', two({ keys: { user: 'U', password: 'U' } }, {})), twice)
    expectRefused(await attempt('AgentTask', two({ keys: { token: 'b' } }, {})), twice)
    expectRefused(await attempt('AgentTask', two({ keys: { token: 'b.user' } }, {})), twice)
    expectRefused(await attempt('AgentTask', two({}, { keys: { token: 'a' } })), twice)
  })

  test('shows what it was given by default', async () => {
    const { spec } = (await attempt('AgentTask', {})).body
    expect(spec).toMatchObject({ startingDeadlineSeconds: 600, activeDeadlineSeconds: 3600, suspend: false })
    expect(spec.credentials[0]).toMatchObject({ ttlSeconds: 600, delivery: 'Secret' })
    expect(spec).not.toHaveProperty('ttlSecondsAfterFinished')
  })

  test.each([
    ['a key that a Secret cannot have', withCredential({ keys: { token: 'a/b' } }), 'keys'],
    ['a key that climbs', withCredential({ keys: { token: '../b' } }), 'keys'],
    ['an ttl over a day', withCredential({ ttlSeconds: 86401 }), 'ttlSeconds'],
    ['a name with a dot', withCredential({ name: 'a.b' }), 'name'],
    ['a scope with a space', withCredential({ scopes: ['a b'] }), 'scopes'],
    ['a destination that is a URL', withCredential({ destination: 'https://a.example' }), 'destination'],
    ['no credential', { spec: { credentials: [] } }, 'credentials'],
    ['two credentials of one name', { spec: { credentials: [credential, credential] } }, 'Duplicate value'],
    [
      'seventeen credentials',
      { spec: { credentials: Array.from({ length: 17 }, (_, i) => ({ ...credential, name: `c${i}` })) } },
      'Too many',
    ],
    ['a reference into another namespace', { spec: { agentRef: { name: 'other/clerk' } } }, 'agentRef.name'],
    ['an end that does not exist', { spec: { end: 'Failed' } }, 'Unsupported value'],
    ['a deadline under a minute', { spec: { activeDeadlineSeconds: 59 } }, 'activeDeadlineSeconds'],
    ['a name with a dot of its own', { name: 'a.b' }, '`metadata.name` must be at most 53'],
  ] as const)('takes not %s', async (_, wrong, word) => {
    expectRefused(await attempt('AgentTask', wrong), word)
  })

  test('can be selected by its agent', async () => {
    const task = { apiVersion: 'taskbound.dev/v1alpha1', kind: 'AgentTask', metadata: { name: 'selected' }, spec: base['AgentTask']?.spec }
    await kube.must('POST', `${ours(ns)}/agenttasks`, task)
    const of = async (agent: string) =>
      (await kube.must('GET', `${ours(ns)}/agenttasks?fieldSelector=spec.agentRef.name%3D${agent}`)).items.length
    expect([await of('clerk'), await of('other')]).toEqual([1, 0])
  })
})

test('`kubectl get` shows the columns that people read', async () => {
  const columns = async (plural: string): Promise<readonly string[]> => {
    const { stdout } = await kube.kubectl(['get', plural, '-n', ns, '-o', 'wide'])
    return stdout.split('\n')[0]?.trim().split(/\s+/) ?? []
  }
  await kube.must('POST', `${ours(ns)}/agents`, {
    metadata: { name: 'clerk' },
    spec: base['Agent']?.spec,
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'Agent',
  })
  expect(await columns('at')).toEqual(['NAME', 'AGENT', 'ACTION', 'STATUS', 'EXPIRES', 'DEADLINE', 'REQUESTED-BY', 'MESSAGE', 'AGE'])
  expect(await columns('agents')).toEqual(['NAME', 'SERVICEACCOUNT', 'OWNER', 'SUSPENDED', 'AGE'])
})
