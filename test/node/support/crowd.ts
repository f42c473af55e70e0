// A namespace full of live tasks, some with pods, that is deleted: it goes, and takes everything that was issued in it along.

import { expect } from '@jest/globals'
import { createScenario, judge } from '../../e2e/support/scenario.ts'
import { eventually } from '../../support/cluster.ts'
import { agentOf, startAgent, startResourceServer, usesIt } from './agents.ts'
import { issuer, type Release } from './release.ts'

/** Answers the milliseconds that the namespace took to go. */
export async function deleteCrowd(release: Release, tasks: number, withPods: number): Promise<number> {
  const scenario = await createScenario('crowd', {}, true)
  try {
    const url = await startResourceServer(scenario)
    const names = await Promise.all(
      Array.from({ length: tasks }, async (_, n) => {
        const name = `task-${n}`
        const workload = { apiVersion: 'batch/v1', kind: 'Job', name }
        await scenario.task({ name, ...(n < withPods ? { workload } : {}) })
        if (n < withPods) await startAgent(scenario, name, url)
        return name
      }),
    )
    const tokens = await Promise.all(names.map((name) => eventually(() => scenario.active(name), { timeoutMs: 30_000, everyMs: 250 })))
    for (const name of names.slice(0, withPods)) {
      const pod = await agentOf(scenario, name)
      await usesIt(pod)
    }
    const at = await release.issuerAddress()
    const verdicts = async () => new Set(await Promise.all(tokens.map((token) => judge(issuer, token, new Date(), at))))
    expect(await verdicts()).toEqual(new Set(['live']))

    const begun = Date.now()
    const { code, stderr } = await scenario.kube.kubectl(['delete', 'namespace', scenario.namespace, '--timeout=120s'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const took = Date.now() - begun
    expect((await scenario.kube.request('GET', `/api/v1/namespaces/${scenario.namespace}`)).status).toBe(404)
    await eventually(async () => expect(await verdicts()).toEqual(new Set(['revoked'])), { timeoutMs: 60_000, everyMs: 250 })
    return took
  } finally {
    await scenario.close()
  }
}
