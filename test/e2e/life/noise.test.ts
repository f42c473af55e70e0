// Whoever may label a task must not be able to put off its revocation by writing to it all the time.

import { expect, test } from '@jest/globals'
import { eventually } from '../../support/cluster.ts'
import { createScenario, judge, runOperator } from '../support/scenario.ts'

test.each([
  ['forbid', 'Denied'],
  ['end', 'Cancelled'],
  ['suspend', 'Suspended'],
] as const)('%s takes effect while four writers annotate the task without a pause', async (how, word) => {
  const scenario = await createScenario('noise')
  const operator = await runOperator()
  const task = await scenario.task()
  const token = await scenario.active(task)
  let over = false
  let writes = 0
  const noise = Array.from({ length: 4 }, async (_, lane) => {
    for (let i = 0; !over; i += 1) {
      await scenario.patch('agenttasks', task, { metadata: { annotations: { [`noise-${lane}`]: String(i) } } })
      writes += 1
    }
  })
  try {
    const forbid = `${scenario.permit} @id("stop") forbid (principal, action, resource == Taskbound::ClusterProvider::"${scenario.name}");`
    const began = performance.now()
    if (how === 'forbid') await scenario.policy(forbid)
    else await scenario.patch('agenttasks', task, { spec: how === 'end' ? { end: 'Cancelled' } : { suspend: true } })
    await eventually(async () => expect(await judge(operator.issuer, token)).toBe('revoked'))
    await eventually(async () => expect((await scenario.conditions(task))['Ready']?.reason).toBe(word))
    console.log(`${how}: dead and reported after ${Math.round(performance.now() - began)} ms, against ${writes} writes`)
  } finally {
    over = true
    await Promise.all(noise)
    await operator.stop()
    await scenario.close()
  }
})
