// Each way to stop an agent, as its page says, takes the credential away, and those that may be taken back give one again.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../support/cluster.ts'
import type { RunningOperator } from '../support/operator.ts'
import { blocksOf, createDocumented, type Documented } from './support/documented.ts'
import { runOperator } from './support/scenario.ts'

const page = 'docs/how-to/stop-an-agent.md'
const namespace = 'taskbound-quickstart'

let docs: Documented
let operator: RunningOperator

beforeAll(async () => {
  docs = await createDocumented()
  await docs.shell('kubectl apply -f test/support/rbac.yaml')
  operator = await runOperator()
  await docs.shell('kubectl apply -f examples/quickstart/quickstart.yaml')
})

afterAll(async () => {
  await docs.shell(
    `kubectl delete --ignore-not-found namespace/${namespace} clusteragentpolicy/quickstart clustercredentialprovider/quickstart`,
  )
  await operator?.stop()
  await docs.close()
})

async function step(kind: string): Promise<string> {
  const [block] = (await blocksOf(page)).filter((one) => one.kind === kind)
  expect(block).toBeDefined()
  return docs.shell(block?.text ?? '')
}

const back = (kind: string, name: string, spec: object) =>
  docs.shell(`kubectl -n ${namespace} patch ${kind} ${name} --type=merge -p '${JSON.stringify({ spec })}'`)

/** Waits for the line of the task in the page's last command. */
const shows = (status: string) => eventually(async () => expect(await step('sh see')).toMatch(new RegExp(`close-books +${status}\\n`)))
const live = () => shows('Active +False +StillLive')

test('from the smallest to the largest', async () => {
  await live()
  await step('sh')
  await step('sh task')
  await shows('Suspended +True +AllRevoked')
  await back('agenttask', 'close-books', { suspend: false })
  await live()
  await step('sh agent')
  await shows('Suspended +True +AllRevoked')
  await back('agent', 'payroll-clerk', { suspended: false })
  await live()
  await step('sh forbid')
  await shows('Denied +True +AllRevoked')
  await step('sh allow')
  await live()
  await step('sh end')
  await shows('Cancelled +True +AllRevoked')
})
