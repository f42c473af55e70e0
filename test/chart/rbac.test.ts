// The rights of a release are those that the tests on a real API server run with, no more and no less.

import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'
import { root } from '../generate.ts'
import { buildTimeout, createHelm, type Helm, type Manifest, only, type Rule } from './helm.ts'
import { cases } from './matrix.ts'

let helm: Helm
beforeAll(async () => {
  helm = await createHelm()
}, buildTimeout)

const tested = parseAllDocuments(readFileSync(`${root}test/support/rbac.yaml`, 'utf8')).map((document) => document.toJS() as Manifest)
const watched = ['payroll', 'research']

/** Every right by itself: `group/resource verb`. */
const rights = (rules: readonly Rule[] = []): readonly string[] =>
  rules
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((g) => resources.flatMap((r) => verbs.map((verb) => `${g}/${r} ${verb}`))),
    )
    .sort()
const roles = (objects: readonly Manifest[]): readonly Manifest[] => objects.filter(({ kind }) => /^(Cluster)?Role$/.test(kind))

test('by default roles, bindings and who they are for are those of test/support/rbac.yaml', () => {
  const objects = helm.render()
  for (const { kind, metadata, rules, roleRef, subjects } of tested.filter(({ kind }) => kind !== 'Namespace')) {
    const made = only(objects, kind, metadata.name)
    expect({ ...made.metadata, labels: undefined }).toEqual({ ...metadata, labels: undefined })
    expect({ rules: made.rules, roleRef: made.roleRef, subjects: made.subjects }).toEqual({ rules, roleRef, subjects })
  }
})

describe('with watched namespaces', () => {
  let objects: readonly Manifest[]
  beforeAll(() => {
    objects = helm.render({ watchNamespaces: watched })
  })
  const inCluster = () => rights(only(objects, 'ClusterRole', 'taskbound-operator').rules)
  const inNamespace = (namespace: string) =>
    rights(objects.find(({ kind, metadata }) => kind === 'Role' && metadata.namespace === namespace)?.rules)

  test('the ClusterRole has only what is cluster-scoped, and reads of it all but status', () => {
    expect(inCluster()).toEqual(
      [
        'admissionregistration.k8s.io/mutatingadmissionpolicies',
        'admissionregistration.k8s.io/mutatingadmissionpolicybindings',
        'admissionregistration.k8s.io/validatingadmissionpolicies',
        'admissionregistration.k8s.io/validatingadmissionpolicybindings',
        '/namespaces',
        'taskbound.dev/clusteragentpolicies',
        'taskbound.dev/clustercredentialproviders',
      ]
        .flatMap((resource) => ['get', 'list', 'watch'].map((verb) => `${resource} ${verb}`))
        .concat(
          'authentication.k8s.io/tokenreviews create',
          'taskbound.dev/clusteragentpolicies/status patch',
          'taskbound.dev/clustercredentialproviders/status patch',
        )
        .sort(),
    )
  })

  test('it and a Role in each namespace are together what it has in the whole cluster otherwise', () => {
    const all = rights(tested.find(({ kind }) => kind === 'ClusterRole')?.rules)
    for (const namespace of watched) expect([...inCluster(), ...inNamespace(namespace)].sort()).toEqual(all)
  })

  test('each Role is bound to the operator, and there is none elsewhere', () => {
    const bindings = objects.filter(({ kind }) => kind === 'RoleBinding')
    expect(bindings.map(({ metadata }) => metadata.namespace).sort()).toEqual([...watched, 'taskbound-system'].sort())
    for (const { roleRef, subjects } of bindings) {
      expect(roleRef).toMatchObject({ kind: 'Role', name: 'taskbound-operator' })
      expect(subjects).toEqual([{ kind: 'ServiceAccount', name: 'taskbound', namespace: 'taskbound-system' }])
    }
  })
})

test('workloads of other kinds are watched where tasks are, and that is all', () => {
  const rbac = { workloads: [{ apiGroup: 'argoproj.io', resources: ['workflows'] }] }
  const more = ['get', 'list', 'watch'].map((verb) => `argoproj.io/workflows ${verb}`)
  const added = (values: object) => {
    const before = new Set(
      roles(helm.render(values)).flatMap(({ kind, metadata, rules }) =>
        rights(rules).map((right) => `${kind} ${metadata.namespace}: ${right}`),
      ),
    )
    return roles(helm.render({ ...values, rbac }))
      .flatMap(({ kind, metadata, rules }) => rights(rules).map((right) => `${kind} ${metadata.namespace}: ${right}`))
      .filter((right) => !before.has(right))
  }
  expect(added({})).toEqual(more.map((right) => `ClusterRole undefined: ${right}`))
  expect(added({ watchNamespaces: ['payroll'] })).toEqual(more.map((right) => `Role payroll: ${right}`))
})

test.each(cases)('$name: no wildcard, no token, no impersonation, and no Secret is read elsewhere', ({ values, release }) => {
  const own = release.namespace ?? 'taskbound-system'
  for (const { kind, metadata, rules } of roles(helm.render(values, release))) {
    const given = rights(rules)
    expect(given.filter((right) => /[*]|\/token\b| (impersonate|bind|escalate|approve)$/.test(right))).toEqual([])
    const reads = given.filter((right) => /^\/secrets (get|list|watch|patch|deletecollection)$/.test(right))
    expect({ role: metadata.name, reads: kind === 'Role' && metadata.namespace === own ? [] : reads }).toEqual({
      role: metadata.name,
      reads: [],
    })
  }
})

test('what people get by the roles of Kubernetes', () => {
  const objects = helm.render()
  const aggregated = (role: string) => {
    const found = only(objects, 'ClusterRole', `taskbound-${role}`)
    expect(found.metadata.labels).toHaveProperty([`rbac.authorization.k8s.io/aggregate-to-${role}`], 'true')
    return rights(found.rules)
  }
  expect(aggregated('view')).toEqual(
    ['agentpolicies', 'agents', 'agenttasks'].flatMap((kind) => ['get', 'list', 'watch'].map((verb) => `taskbound.dev/${kind} ${verb}`)),
  )
  expect(aggregated('edit')).toEqual(['create', 'delete', 'patch'].map((verb) => `taskbound.dev/agenttasks ${verb}`))
  expect(aggregated('admin')).toEqual(['create', 'delete', 'patch', 'update'].map((verb) => `taskbound.dev/agents ${verb}`))
})
