// What the page about disasters says to do when a signing key has leaked, command by command: no task keeps a token of the old key, and
// all go on with the new one.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { decodeProtectedHeader } from 'jose'
import type { RunningOperator } from '../support/operator.ts'
import { freeLease } from './faults/tokens.ts'
import { blocksOf, createDocumented, type Documented } from './support/documented.ts'
import { createScenario, judge, runOperator, type Scenario } from './support/scenario.ts'

const page = 'docs/operations/disaster.md'
const mode = '/api/v1/namespaces/taskbound-system/configmaps'

let docs: Documented
let scenario: Scenario
let operator: RunningOperator | undefined

beforeAll(async () => {
  docs = await createDocumented()
  scenario = await createScenario('disaster')
  await freeLease(scenario)
  // what the release has besides
  await scenario.kube.must('POST', mode, { metadata: { name: 'taskbound-mode' }, data: { mode: 'Serving' } })
  await docs.shell('kubectl -n taskbound-system create deployment taskbound --image=none --replicas=2')
})

afterAll(async () => {
  await scenario.kube.request('DELETE', `${mode}/taskbound-mode`)
  await docs.shell('kubectl -n taskbound-system delete deployment taskbound')
  await operator?.stop()
  await scenario.close()
  await docs.close()
})

async function step(kind: string): Promise<void> {
  const [block] = (await blocksOf(page)).filter((one) => one.kind === kind)
  expect(block).toBeDefined()
  await docs.shell(block?.text ?? '')
}

test('a signing key has leaked', async () => {
  operator = await runOperator()
  const { issuerPort, issuer } = operator
  const task = await scenario.task()
  const old = await scenario.active(task)

  await step('sh')
  expect(await judge(issuer, old)).toBe('revoked')
  await step('sh stop')
  await operator.stop()
  await step('sh start')
  operator = await runOperator({ issuerPort })

  const fresh = await scenario.active(task)
  expect(decodeProtectedHeader(fresh).kid).not.toBe(decodeProtectedHeader(old).kid)
  expect(await judge(issuer, fresh)).toBe('live')
  expect(await judge(issuer, old)).toBe('no applicable key found in the JSON Web Key Set')
})

test('drained, and served again', async () => {
  const task = await scenario.task()
  await scenario.active(task)
  await step('sh')
  await scenario.until(task, 'Suspended')
  await step('sh serve')
  await scenario.until(task, 'Active')
})
