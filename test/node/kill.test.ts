// The pod of the leader dies between two of its writes, while an agent's pod waits for its Secret: another term goes on, exactly one token is
// alive and the agent has it, and nothing else is.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { commandLine } from '../cluster/processes.ts'
import { type TokensSeen, watchTokens } from '../e2e/faults/tokens.ts'
import { createScenario, judge, type Scenario } from '../e2e/support/scenario.ts'
import { eventually } from '../support/cluster.ts'
import { agentOf, refusals, startAgent, startResourceServer, usesIt } from './support/agents.ts'
import { createGate, type Gate } from './support/gate.ts'
import { createRelease, issuer, namespace, type OperatorPod, type Release } from './support/release.ts'

let release: Release
let scenario: Scenario
let gate: Gate
let seen: TokensSeen
let url: string
const table: string[] = []

beforeAll(async () => {
  release = await createRelease()
  await release.install()
  scenario = await createScenario('kill', {}, true)
  gate = await createGate(scenario)
  seen = watchTokens(scenario)
  url = await startResourceServer(scenario)
}, 180_000)

afterAll(async () => {
  console.log(['between            how      held write dead after   Active after  the pod saw a dead one', ...table].join('\n'))
  seen?.stop()
  await gate?.close()
  await scenario?.close()
  await release?.close()
})

const ways = {
  killed: async (pod: OperatorPod) => void process.kill(await pod.pid(), 'SIGKILL'),
  deleted: async (pod: OperatorPod) => {
    const { code, stderr } = await release.kube.kubectl(['-n', namespace, 'delete', 'pod', pod.name, '--grace-period=0', '--force'])
    if (code !== 0) throw new Error(stderr)
  },
} as const

const isReady = (status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }): boolean =>
  status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true

// what is held is refused once the pod is dead, or, as a write may that was sent before, lands after all
const rows = (['intent and Secret', 'Secret and status'] as const).flatMap((between) => [
  { between, how: 'killed', lands: false } as const,
  { between, how: 'deleted', lands: false } as const,
  { between, how: 'killed', lands: true } as const,
])

test.each(rows)(
  'between $between: the leader is $how (held write lands: $lands)',
  async ({ between, how, lands }) => {
    const task = `${between.split(' ')[0]}-${how}${lands ? '-lands' : ''}`.toLowerCase()
    const secret = `taskbound-${task}`
    const held = gate.hold((write) =>
      between === 'intent and Secret'
        ? write.resource.resource === 'secrets' && write.operation === 'CREATE' && write.object.metadata.name === secret
        : write.subResource === 'status' && write.object.metadata.name === task && isReady(write.object.status),
    )
    const leader = await release.leader()
    const before = (await release.pods()).map(({ name }) => name)
    await scenario.task({ name: task, workload: { apiVersion: 'batch/v1', kind: 'Job', name: task } })
    await startAgent(scenario, task, url)
    await held.arrived
    // it is where it should be: the intent is recorded, and the Secret is there or not
    const { status } = await scenario.kube.must('GET', scenario.path('agenttasks', task))
    expect(status.credentials).toHaveLength(1)
    expect(isReady(status)).toBe(false)
    expect(await scenario.token(task)).toEqual(between === 'intent and Secret' ? undefined : expect.any(String))
    const begun = Date.now()
    const pid = await leader.pid()
    await ways[how](leader)
    await eventually(() => expect(commandLine(pid)).toBeUndefined(), { timeoutMs: 30_000 })
    const died = Date.now() - begun
    held.release(lands)

    await eventually(async () => expect((await scenario.conditions(task))['Ready']?.reason).toBe('Active'), { timeoutMs: 90_000 })
    const active = Date.now() - begun
    const token = await scenario.active(task)
    const pod = await agentOf(scenario, task)
    // A write that nobody saw confirmed is never taken over: what it delivered is dead, and a pod that has mounted it gets the new one as
    // soon as the kubelet looks again, which a change of the pod makes it do.
    await scenario.patch('pods', pod.name, { metadata: { annotations: { looked: 'again' } } })
    const { sightings } = await usesIt(pod, token)
    expect(sightings.filter(({ what }) => what !== 'token')).toEqual([])
    if (between === 'intent and Secret' && !lands) expect(sightings).toHaveLength(1)
    const superseded = sightings.length > 1
    if (!superseded) expect(refusals(await pod.report())).toEqual([])
    const seconds = (ms: number) => (ms / 1000).toFixed(1).padStart(6)
    table.push(
      `${between.padEnd(18)} ${how.padEnd(8)} ${(lands ? 'lands' : 'refused').padEnd(10)} ${seconds(died)} s ${seconds(active)} s   ${superseded ? 'yes' : 'no'}`,
    )
    // of all that ever stood in its Secret one is alive
    const at = await release.issuerAddress()
    const tokens = seen.of(task)
    expect(tokens).toContain(token)
    const verdicts = () => Promise.all(tokens.map((one) => judge(issuer, one, new Date(), at)))
    await eventually(async () => expect(await verdicts()).toEqual(tokens.map((one) => (one === token ? 'live' : 'revoked'))))

    await pod.finish()
    await scenario.until(task, 'Completed')
    await scenario.secretGone(task)
    await eventually(async () => expect(await verdicts()).toEqual(tokens.map(() => 'revoked')))
    // two replicas again, for the next row
    await eventually(
      async () => {
        const pods = await release.pods()
        expect(pods.map(({ ready }) => ready)).toEqual([true, true])
        if (how === 'deleted') expect(pods.map(({ name }) => name)).not.toContain(leader.name)
        else expect(pods.map(({ name }) => name).sort()).toEqual([...before].sort())
      },
      { timeoutMs: 60_000, everyMs: 200 },
    )
  },
  240_000,
)
