// Rows of the ledger that stand in the API server without anybody having issued anything: as many as a test wants, of any namespace and
// provider. And their states.

import type { KubeTestClient } from '../../support/cluster.ts'

const operatorUser = 'system:serviceaccount:taskbound-system:taskbound'
const rowsPath = '/apis/taskbound.dev/v1alpha1/namespaces/taskbound-system/credentialleases'
const letters = 'abcdefghijklmnopqrstuvwxyz234567'

export interface RowsOf {
  readonly namespace: string
  readonly provider: { readonly name: string; readonly uid: string; readonly type: string }
  readonly count: number
  /** what the handles of this installation begin with: 12 characters */
  readonly prefix: string
  /** apart from other rows of the same test; a letter each */
  readonly mark: string
}

/** 26 characters by which one row differs from the others. */
const suffix = (mark: string, i: number): string =>
  mark.padEnd(20, 'a') + [...Array(6).keys()].map((place) => letters[(i >> (5 * (5 - place))) & 31]).join('')

/** Writes them as the operator would, sixteen at a time, of tasks that are not there; answers their handles. */
export async function writeRows(kube: KubeTestClient, { namespace, provider, count, prefix, mark }: RowsOf): Promise<readonly string[]> {
  const effectBy = new Date(Date.now() - 60_000).toISOString().replace(/\.\d+/, '')
  const handles = [...Array(count).keys()].map((i) => `${prefix}${suffix(mark, i)}`)
  for (let from = 0; from < count; from += 16)
    await Promise.all(
      handles.slice(from, from + 16).map((handle, i) =>
        kube.must(
          'POST',
          rowsPath,
          {
            apiVersion: 'taskbound.dev/v1alpha1',
            kind: 'CredentialLease',
            metadata: { name: handle },
            spec: {
              handle,
              installation: prefix,
              task: { namespace, name: `gone-${mark}${from + i}`, uid: `gone-${mark}${from + i}` },
              credential: 'api',
              attempt: 1,
              agent: 'clerk',
              action: 'test.run',
              provider: { kind: 'ClusterCredentialProvider', ...provider },
              effectBy,
            },
          },
          { as: operatorUser },
        ),
      ),
    )
  return handles
}

interface RowOf {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly task: { readonly namespace: string }; readonly provider: { readonly name: string } }
}

/** An operator of a later test would try for ever what can be asked nobody any more, and tell of it. Sixteen at a time. */
export async function removeRows(kube: KubeTestClient, which: (spec: RowOf['spec']) => boolean): Promise<void> {
  const rows = ((await kube.must('GET', rowsPath)).items as readonly RowOf[]).filter(({ spec }) => which(spec))
  for (let from = 0; from < rows.length; from += 16)
    await Promise.all(
      rows
        .slice(from, from + 16)
        .map(({ metadata }) => kube.request('DELETE', `${rowsPath}/${metadata.name}`, undefined, { as: operatorUser })),
    )
}

/** How many rows of a namespace are in each state. */
export async function statesOf(kube: KubeTestClient, namespace: string): Promise<Readonly<Record<string, number>>> {
  const { items } = await kube.must('GET', rowsPath)
  const counts: Record<string, number> = {}
  for (const { spec, status } of items as { spec: { task: { namespace: string } }; status?: { state: string } }[])
    if (spec.task.namespace === namespace) counts[status?.state ?? 'Intended'] = (counts[status?.state ?? 'Intended'] ?? 0) + 1
  return counts
}
