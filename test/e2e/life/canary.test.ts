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

/** Somebody else writes the task all the time while it is issued and ended, so that the operator's compare-and-set is refused. */
async function provokeConflicts(look: () => Promise<void>): Promise<void> {
  const conflicts = async (): Promise<number> => {
    const text = await (await fetch(`${operator.metrics}/metrics`)).text()
    const lines = text.matchAll(/^taskbound_api_requests_total\{verb="PATCH",resource="agenttasks\/status",code="409"\} (\d+)$/gm)
    return [...lines].reduce((sum, [, n]) => sum + Number(n), 0)
  }
  const before = await conflicts()
  await eventually(
    async () => {
      const task = await scenario.task()
      let over = false
      const write = async (): Promise<void> => {
        for (let i = 0; !over; i += 1) await scenario.patch('agenttasks', task, { metadata: { annotations: { noise: String(i) } } })
      }
      const noise = write()
      try {
        await scenario.until(task, 'Active')
        await look()
        await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
        await scenario.until(task, 'Cancelled')
      } finally {
        over = true
        await noise
      }
      await scenario.secretGone(task)
      expect(await conflicts()).toBeGreaterThan(before)
    },
    { timeoutMs: 40_000 },
  )
}

/** A provider that lists an audience of an older one is not ready, and what names it waits. */
async function provokeNotReady(): Promise<void> {
  const name = `${scenario.name}-late`
  const providers = '/apis/taskbound.dev/v1alpha1/clustercredentialproviders'
  const { spec } = await scenario.kube.must('GET', `${providers}/${scenario.name}`)
  await scenario.kube.must('POST', providers, {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name },
    spec,
  })
  try {
    await scenario.policy(scenario.permit.replace(/, resource == .*\)/, ', resource)'))
    const task = await scenario.task({ credential: { providerRef: { kind: 'ClusterCredentialProvider', name } } })
    await eventually(async () => expect((await scenario.conditions(task))['Issued']?.reason).toBe('ProviderNotReady'))
    expect(await scenario.token(task)).toBeUndefined()
  } finally {
    await scenario.kube.must('DELETE', `${providers}/${name}`)
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
      // the API server heeds a policy for a moment longer; a task that was seen to be suspended begins anew, without the wait that has grown
      await new Promise((resolve) => setTimeout(resolve, 2000))
      await scenario.patch('agenttasks', task, { spec: { suspend: true } })
      await scenario.until(task, 'Suspended')
      await scenario.patch('agenttasks', task, { spec: { suspend: false } })
      const token = await scenario.active(task)
      expect(await judge(operator.issuer, token)).toBe('live')
      await seen.look()
    }
  }
  await seen.look()
  await provokeConflicts(seen.look)
  await provokeNotReady()
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
      // as it is, in its parts, and as the body of a Secret holds it
      for (const part of [token, payload, signature, Buffer.from(token).toString('base64')])
        if (part.length > 20 && text.includes(part)) throw new Error(`a token stands in ${place}`)
    }
    for (const secret of [...secrets, keys.data.document]) if (text.includes(secret)) throw new Error(`a signing key stands in ${place}`)
  }
}, 180_000)

test('a token is dead although nobody can write down that its task is over', async () => {
  const allow = await refuse('test-no-end', rule('taskbound.dev', 'agenttasks/status', 'UPDATE'), '!has(object.status.completionTime)')
  const over = async (task: string): Promise<boolean> =>
    (await scenario.kube.must('GET', scenario.path('agenttasks', task))).status.completionTime !== undefined
  try {
    await scenario.policy(scenario.permit)
    const { task, token } = await eventually(
      async () => {
        const probe = await scenario.task()
        const made = await scenario.active(probe)
        await scenario.patch('agenttasks', probe, { spec: { end: 'Cancelled' } })
        await eventually(
          async () => {
            if (await over(probe)) throw new Error('not refused yet')
            const lines = operator.output().split('\n')
            if (!lines.some((line) => line.includes(probe) && line.includes('refused by the test'))) throw new Error('not written yet')
          },
          { timeoutMs: 5000 },
        )
        return { task: probe, token: made }
      },
      { timeoutMs: 40_000 },
    )
    await scenario.secretGone(task)
    await eventually(async () => expect(await judge(operator.issuer, token)).toBe('revoked'))
    expect(await over(task)).toBe(false)
    await allow()
    await scenario.until(task, 'Cancelled')
  } finally {
    await scenario.kube.request('DELETE', `${admission}/validatingadmissionpolicybindings/test-no-end`)
    await scenario.kube.request('DELETE', `${admission}/validatingadmissionpolicies/test-no-end`)
  }
})
