// What helm prints after an installation: three commands, about objects that are there, and what should be known.

import { beforeAll, expect, test } from '@jest/globals'
import { buildTimeout, chart, createHelm, type Helm, monitoringApis, only, stampApi } from './helm.ts'

let helm: Helm
beforeAll(async () => {
  helm = await createHelm()
}, buildTimeout)

/** Rendered as a template of a copy would be: helm shows notes only of an installation, which wants a cluster. */
function notes(values: object, namespace = 'taskbound-system'): string {
  const args = ['install', 'taskbound', chart, '--namespace', namespace, '--dry-run=client', '--values', '-']
  const { code, stdout, stderr } = helm.run(args, JSON.stringify(values))
  if (code !== 0) throw new Error(stderr)
  return stdout.slice(stdout.indexOf('\nNOTES:\n'))
}

test('three commands, about what the release has', () => {
  const commands = (values: object) => notes(values).match(/^ {2}(kubectl|helm) .*$/gm)
  expect(commands({})).toEqual([
    '  kubectl --namespace taskbound-system rollout status deployment/taskbound',
    '  helm test taskbound --namespace taskbound-system',
    '  kubectl get agenttasks --all-namespaces',
  ])
  expect(commands({ watchNamespaces: ['payroll'] })?.[2]).toBe('  kubectl --namespace payroll get agenttasks')
  const objects = helm.render({}, { apiVersions: [stampApi, ...monitoringApis] })
  expect(only(objects, 'Deployment').metadata.name).toBe('taskbound')
  expect(only(objects, 'Pod').metadata.annotations).toMatchObject({ 'helm.sh/hook': 'test' })
  expect(only(objects, 'CustomResourceDefinition', 'agenttasks.taskbound.dev').spec.names.plural).toBe('agenttasks')
})

test.each([
  ['kinds that would go', { crds: { keep: false } }, 'WARNING: `crds.keep` is false'],
  ['kinds that somebody else manages', { crds: { enabled: false } }, 'NOTE: `crds.enabled` is false'],
  ['one replica', { replicaCount: 1 }, 'WARNING: with one replica'],
  ['no stamp', { requesterStamp: 'never' }, 'NOTE: who asked for a task is not stamped'],
  ['a monitor that was not made', { metrics: { serviceMonitor: { enabled: true } } }, 'WARNING: `metrics.serviceMonitor.enabled` is set'],
])('%s', (_, values, sentence) => {
  expect(notes(values)).toContain(sentence)
  expect(notes({ requesterStamp: 'always' })).not.toContain(sentence)
})
