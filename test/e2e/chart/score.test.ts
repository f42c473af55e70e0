// What kube-score finds in the renders is nothing that has not its reason here. Needs no API server, but a build that takes longer than
// the tests of the other level may.

import { spawnSync } from 'node:child_process'
import { beforeAll, expect, test } from '@jest/globals'
import { buildTimeout, createHelm, type Helm, only } from '../../chart/helm.ts'
import { cases, everything } from '../../chart/matrix.ts'
import { ensureCheck } from '../../tools/checks.ts'

let helm: Helm
let kubeScore: string
beforeAll(async () => {
  helm = await createHelm()
  kubeScore = await ensureCheck('kube-score', process.env)
}, buildTimeout)

/** Sentences that are accepted, and why. */
const always: readonly (readonly [finding: RegExp, reason: string])[] = [
  [/CPU limit is not set$/, 'being throttled would delay revocation; the memory is limited, and CPU is requested'],
  [/Ephemeral Storage (limit|request) is not set$/, 'the root is read-only and no volume is mounted: only logs, which the kubelet rotates'],
  [/ImagePullPolicy is not set to Always$/, 'a tag is never moved, and a registry that is down must not keep a replica from starting'],
  [/Deployment does not have a host podAntiAffinity set$/, 'the topology spread does the same and also places replicas on one node'],
]
const hooks: readonly (readonly [finding: RegExp, reason: string])[] = [
  [
    /(taskbound-drain|-starter|-test-issuer)\/.*: The pod does not have a matching NetworkPolicy$/,
    'it runs for seconds and listens on nothing',
  ],
]
const off: readonly (readonly [finding: RegExp, reason: string])[] = [
  [/: The pod does not have a matching NetworkPolicy$/, 'off by default: where databases are only the administrator knows'],
]

function findings(objects: readonly object[]): readonly string[] {
  const input = objects.map((object) => JSON.stringify(object)).join('\n---\n')
  const args = ['score', '-', '--kubernetes-version', 'v1.36', '--output-format', 'ci']
  const { stdout, stderr } = spawnSync(kubeScore, args, { input, encoding: 'utf8' })
  const lines = `${stdout}${stderr}`.trim().split('\n')
  if (!lines.some((line) => line.startsWith('[OK]'))) throw new Error(`kube-score found nothing good: ${stdout}${stderr}`)
  return [...new Set(lines.filter((line) => !/^\[(OK|SKIPPED)\]/.test(line)))]
}
const unexplained = (objects: readonly object[], accepted: typeof always): readonly string[] =>
  findings(objects).filter((line) => !accepted.some(([finding]) => finding.test(line)))

test('by default nothing is found that has no reason', () => {
  expect(unexplained(helm.render(), [...always, ...hooks, ...off])).toEqual([])
})

test('nor with everything on, where the NetworkPolicy is there', () => {
  expect(unexplained(helm.render(everything.values, everything.release), [...always, ...hooks])).toEqual([])
})

test('no reason is given for what is not found', () => {
  const all = cases.flatMap(({ values, release }) => findings(helm.render(values, release)))
  const idle = [...always, ...hooks, ...off].filter(([finding]) => !all.some((line) => finding.test(line)))
  expect(idle).toEqual([])
})

test('what has no reason is found', () => {
  const deployment = only(helm.render(), 'Deployment')
  const [container] = deployment.spec.template.spec.containers
  const open = { ...container, securityContext: { privileged: true } }
  const template = { ...deployment.spec.template, spec: { ...deployment.spec.template.spec, containers: [open] } }
  const found = unexplained([{ ...deployment, spec: { ...deployment.spec, template } }], [...always, ...hooks, ...off])
  expect(found).toContainEqual(expect.stringMatching(/privileged/i))
})
