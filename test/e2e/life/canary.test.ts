// Credential bytes appear nowhere but in the task's Secret: not in logs at the highest level, events, status, metrics, audit or errors,
// also when every step fails once.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { createScenario, judge, runOperator, type Scenario } from '../support/scenario.ts'

let scenario: Scenario
let operator: RunningOperator
const admission = '/apis/admissionregistration.k8s.io/v1'

beforeAll(async () => {
  scenario = await createScenario('canary')
  operator = await runOperator({ flags: ['--log-level=debug'] })
})

afterAll(async () => {
  await operator?.stop()
  await scenario.close()
})

/** Refuses one kind of the operator's writes in this namespace, with a message, until the answer is called. */
async function refuse(name: string, rule: object, expression: string): Promise<() => Promise<void>> {
  const operatorHere = `request.userInfo.username == 'system:serviceaccount:taskbound-system:taskbound' && request.namespace == '${scenario.namespace}'`
  const policy = {
    metadata: { name },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: { resourceRules: [rule] },
      matchConditions: [{ name: 'operator', expression: operatorHere }],
      validations: [{ expression, message: 'refused by the test' }],
    },
  }
  await scenario.kube.must('POST', `${admission}/validatingadmissionpolicies`, policy)
  await scenario.kube.must('POST', `${admission}/validatingadmissionpolicybindings`, {
    metadata: { name },
    spec: { policyName: name, validationActions: ['Deny'] },
  })
  return async () => {
    await scenario.kube.must('DELETE', `${admission}/validatingadmissionpolicybindings/${name}`)
    await scenario.kube.must('DELETE', `${admission}/validatingadmissionpolicies/${name}`)
  }
}

const rule = (group: string, resource: string, ...operations: readonly string[]) => ({
  apiGroups: [group],
  apiVersions: ['*'],
  operations,
  resources: [resource],
})

/** Every token that a Secret of this namespace ever held, by a watch of an admin. */
async function collectTokens(): Promise<{ readonly tokens: Set<string>; look(): Promise<void> }> {
  const tokens = new Set<string>()
  return {
    tokens,
    async look() {
      const { items } = await scenario.kube.must('GET', scenario.path('secrets'))
      for (const { data } of items as { data?: Record<string, string> }[]) {
        for (const value of Object.values(data ?? {})) tokens.add(Buffer.from(value, 'base64').toString())
      }
    },
  }
}

test('no place but the Secret ever shows a token or a signing key, whatever fails', async () => {
  const seen = await collectTokens()
  const steps: readonly (readonly [string, () => Promise<() => Promise<void>>, string])[] = [
    ['the Secret cannot be made', () => refuse('test-no-create', rule('', 'secrets', 'CREATE'), 'false'), 'create'],
    [
      'the status cannot be written once it has a Secret',
      () => refuse('test-no-status', rule('taskbound.dev', 'agenttasks/status', 'UPDATE'), '!has(object.status.secret)'),
      'status',
    ],
    ['the Secret cannot be deleted', () => refuse('test-no-delete', rule('', 'secrets', 'DELETE'), 'false'), 'delete'],
  ]
  for (const [what, forbid, id] of steps) {
    const allow = await forbid()
    // in force once a dry run of the same kind is refused; until then a task of its own is tried
    const task = await eventually(
      async () => {
        const probe = await scenario.task({ name: `${id}-${Math.random().toString(36).slice(2, 8)}` })
        if (id === 'delete') {
          await scenario.active(probe)
          await seen.look()
          await scenario.patch('agenttasks', probe, { spec: { end: 'Cancelled' } })
        }
        await eventually(
          async () => {
            const { status } = await scenario.kube.must('GET', scenario.path('agenttasks', probe))
            const logged = operator
              .output()
              .split('\n')
              .filter((line) => line.includes(probe))
            if (!JSON.stringify([status, logged]).includes('refused by the test')) throw new Error(`not refused yet: ${what}`)
          },
          { timeoutMs: 3000 },
        )
        return probe
      },
      { timeoutMs: 40_000 },
    )
    await seen.look()
    await allow()
    if (id === 'delete') {
      await scenario.secretGone(task)
    } else {
      await scenario.patch('agenttasks', task, { spec: { suspend: true } })
      await scenario.patch('agenttasks', task, { spec: { suspend: false } })
      const token = await scenario.active(task)
      expect(await judge(operator.issuer, token)).toBe('live')
      await seen.look()
    }
  }
  await seen.look()
  expect(seen.tokens.size).toBeGreaterThan(2)

  const keys = await scenario.kube.must('GET', '/api/v1/namespaces/taskbound-system/secrets/taskbound-issuer-keys')
  const document = Buffer.from(keys.data.document, 'base64').toString()
  const secrets = [...document.matchAll(/"d":"([^"]+)"/g)].map((match) => match[1] ?? '')
  expect(secrets.length).toBeGreaterThanOrEqual(3)

  const { items: events } = await scenario.kube.must('GET', `/apis/events.k8s.io/v1/namespaces/${scenario.namespace}/events`)
  const { items: tasks } = await scenario.kube.must('GET', scenario.path('agenttasks'))
  const places = {
    output: operator.output(),
    events: JSON.stringify(events),
    tasks: JSON.stringify(tasks),
    metrics: await (await fetch(`${operator.metrics}/metrics`)).text(),
    health: await (await fetch(`${operator.health}/readyz?verbose`)).text(),
  }
  for (const [place, text] of Object.entries(places)) {
    for (const token of seen.tokens) {
      const [, payload = '', signature = ''] = token.split('.')
      for (const part of [token, payload, signature])
        if (part.length > 20 && text.includes(part)) throw new Error(`a token stands in ${place}`)
    }
    for (const secret of secrets) if (text.includes(secret)) throw new Error(`a signing key stands in ${place}`)
  }
}, 180_000)
