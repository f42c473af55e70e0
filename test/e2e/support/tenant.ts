// A namespace that brings its own source: a Secret, the right to read it, a provider and a permit, each by itself, as its owner makes them.

import type { Condition, Scenario } from './scenario.ts'

const api = '/apis/taskbound.dev/v1alpha1'
const merge = { contentType: 'application/merge-patch+json' }

export interface TenantOptions {
  readonly namespace: string
  readonly name: string
  readonly host: string
  readonly port: number
  readonly ca: string
  readonly login: { readonly username: string; readonly password: string }
  /** of the Secret; default: those that let this provider have it and show it to that server */
  readonly annotations?: Readonly<Record<string, string>>
  /** whether the operator may read the Secret; default true */
  readonly mayRead?: boolean
}

export interface Tenant {
  readonly secret: string
  readonly uid: string
  /** What `Ready` says, once it says so for the present Secret: the object is touched, so that it is looked at. */
  ready(): Promise<Condition | undefined>
}

export async function createTenant({ kube }: Pick<Scenario, 'kube'>, options: TenantOptions): Promise<Tenant> {
  const { namespace, name, host, port } = options
  const secret = `${name}-login`
  const annotations = options.annotations ?? { 'taskbound.dev/provider': name, 'taskbound.dev/origin': `${host}:${port}` }
  await kube.must('POST', `/api/v1/namespaces/${namespace}/secrets`, { metadata: { name: secret, annotations }, stringData: options.login })
  if (options.mayRead !== false) {
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`
    await kube.must('POST', `${rbac}/roles`, {
      metadata: { name: secret },
      rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: [secret], verbs: ['get'] }],
    })
    await kube.must('POST', `${rbac}/rolebindings`, {
      metadata: { name: secret },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: secret },
      subjects: [{ kind: 'ServiceAccount', name: 'taskbound', namespace: 'taskbound-system' }],
    })
  }
  const path = `${api}/namespaces/${namespace}/credentialproviders`
  const made = await kube.must('POST', path, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'CredentialProvider',
    metadata: { name },
    spec: {
      type: 'postgres',
      postgres: { host, port, databases: ['postgres'], groups: ['app_read'], caBundle: options.ca, loginSecretRef: { name: secret } },
    },
  })
  let touched = 0
  return {
    secret,
    uid: made.metadata.uid,
    async ready() {
      if (Date.now() - touched > 1_000) {
        touched = Date.now()
        await kube.must('PATCH', `${path}/${name}`, { metadata: { annotations: { 'test.example/touched': String(touched) } } }, merge)
      }
      const { status } = await kube.must('GET', `${path}/${name}`)
      return ((status?.conditions ?? []) as Condition[]).find(({ type }) => type === 'Ready')
    },
  }
}
