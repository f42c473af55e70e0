// What happens while the operator does not hear the API server is not missed: connections that were cut, connections that fell silent, and
// an API server that was killed and came again.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { applyKinds, untilStamping } from '../../cluster/shared.ts'
import { type Cluster, startCluster } from '../../cluster/start.ts'
import { eventually } from '../../support/cluster.ts'
import { startProxy, type TcpProxy } from '../../support/faults/proxy.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { createScenario, judge, runOperator, type Scenario } from '../support/scenario.ts'
import { freeLease } from './tokens.ts'

let folder: string
let scenario: Scenario
let proxy: TcpProxy
let operator: RunningOperator | undefined

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskbound-proxy-'))
  scenario = await createScenario('watch')
  proxy = await startProxy(scenario.kube.kubeconfig, join(folder, 'kubeconfig.json'))
})

afterEach(async () => {
  await operator?.stop()
  operator = undefined
})

afterAll(async () => {
  await proxy?.close()
  await scenario.close()
  await rm(folder, { recursive: true })
})

async function start(kubeconfig: string): Promise<RunningOperator> {
  operator = await runOperator({ kubeconfig })
  return operator
}

/** Resolves with how long it took, in milliseconds. */
async function dead(on: Scenario, task: string, token: string, issuer: string, timeoutMs: number): Promise<number> {
  const begun = performance.now()
  const patiently = { timeoutMs }
  await eventually(async () => expect((await on.kube.request('GET', on.path('secrets', `taskbound-${task}`))).status).toBe(404), patiently)
  await eventually(async () => expect((await on.conditions(task))['Revoked']).toMatchObject({ status: 'True' }), patiently)
  expect(await judge(issuer, token)).toBe('revoked')
  return performance.now() - begun
}

test('an ending while all connections are cut and none can be made is acted on once they can', async () => {
  await freeLease(scenario)
  const { issuer } = await start(proxy.kubeconfig)
  const [ended, deleted, kept] = [await scenario.task(), await scenario.task(), await scenario.task()]
  const tokens = [await scenario.active(ended), await scenario.active(deleted), await scenario.active(kept)] as const
  proxy.refuse()
  await scenario.patch('agenttasks', ended, { spec: { end: 'Completed' } })
  await scenario.remove('agenttasks', deleted)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect(await scenario.token(ended)).toBe(tokens[0])
  proxy.allow()
  const took = await dead(scenario, ended, tokens[0], issuer, 20_000)
  console.log(`cut connections: revoked ${Math.round(took)} ms after the API server could be reached again`)
  await eventually(async () => expect(await judge(issuer, tokens[1])).toBe('revoked'))
  expect(await judge(issuer, tokens[2])).toBe('live')
})

test('an ending while all connections are silent is acted on once that is noticed, by the same leader', async () => {
  await freeLease(scenario)
  const running = await start(proxy.kubeconfig)
  const [ended, kept] = [await scenario.task(), await scenario.task()]
  const [token, other] = [await scenario.active(ended), await scenario.active(kept)]
  const before = proxy.opened()
  proxy.silence()
  await scenario.patch('agenttasks', ended, { spec: { end: 'Completed' } })
  const took = await dead(scenario, ended, token, running.issuer, 50_000)
  console.log(`silent connections: revoked after ${Math.round(took)} ms`)
  expect(proxy.opened()).toBeGreaterThan(before)
  expect(running.output()).not.toContain('"no longer leading"')
  expect(await judge(running.issuer, other)).toBe('live')
})

test('an ending in the moment in which the API server is killed is acted on after its restart', async () => {
  const crds = join(import.meta.dirname, '../../../crds')
  const cluster: Cluster = await startCluster({ beforeControllers: ({ kubectl, kubeconfig }) => applyKinds(kubectl, kubeconfig, crds) })
  try {
    await untilStamping(cluster, crds)
    const own = await createScenario('restart', { kubeconfig: cluster.kubeconfig, kubectl: cluster.kubectl })
    const { issuer } = await start(cluster.kubeconfig)
    const [ended, kept] = [await own.task(), await own.task()]
    const [token, other] = [await own.active(ended), await own.active(kept)]
    const patched = own.patch('agenttasks', ended, { spec: { end: 'Completed' } })
    await Promise.all([patched, cluster.stopApiServer('SIGKILL')].map((done) => done.catch(() => undefined)))
    await cluster.startApiServer()
    // the answer to it may have been lost, and so may the request
    await eventually(() => own.patch('agenttasks', ended, { spec: { end: 'Completed' } }))
    await dead(own, ended, token, issuer, 30_000)
    // for some seconds it refuses new tasks, whose schema it does not know yet
    await untilStamping(cluster, crds)
    const after = await own.task()
    expect(await judge(issuer, await own.active(after))).toBe('live')
    expect(await own.token(kept)).toBe(other)
    expect(await judge(issuer, other)).toBe('live')
    await own.close()
  } finally {
    await operator?.stop()
    operator = undefined
    await cluster.stop()
  }
}, 120_000)
