// The operator is killed, or loses an answer, at every request that issues, renews or ends, before and after the API server acted. After a
// restart the server and the issuer are asked: no task has two live credentials, no ended one a live one, no live one a dead one. Each task
// also carries a JWT-SVID, which nobody can revoke: of an ended one the Secret is gone, and no further one is ever issued.

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { eventually } from '../../support/cluster.ts'
import type { RunningOperator } from '../../support/operator.ts'
import { startOperator } from '../../support/operator.ts'
import { audience, createScenario, judge, runOperator, type Scenario } from '../support/scenario.ts'
import { freeLease, judgeSvid, type TokensSeen, watchTokens } from './tokens.ts'

const preload = ['test/support/faults/faultpoint.ts', 'test/support/faults/fastclock.ts']

type Step = 'issue' | 'renew' | 'end'

interface Row {
  readonly step: Step
  readonly request: string
  match(namespace: string, task: string): string
  /** counted only after this was seen */
  since?(namespace: string, task: string): string
  readonly nth: number
}

const status = (_namespace: string, task: string): string => `^PATCH .*/agenttasks/${task}/status$`
const secret = (verb: string) => (namespace: string, task: string) => `^${verb} /api/v1/namespaces/${namespace}/secrets/taskbound-${task}$`

const posted = (namespace: string): string => `^POST /api/v1/namespaces/${namespace}/secrets$`

const rows: readonly Row[] = [
  { step: 'issue', request: 'the status with the intent', match: status, nth: 1 },
  { step: 'issue', request: 'the Secret', match: posted, nth: 1 },
  { step: 'issue', request: 'the status that says Active', match: status, since: posted, nth: 1 },
  { step: 'renew', request: 'the Secret', match: secret('PUT'), nth: 1 },
  { step: 'renew', request: 'the status', match: status, since: secret('PUT'), nth: 1 },
  { step: 'end', request: 'the deletion of the Secret', match: secret('DELETE'), nth: 1 },
  { step: 'end', request: 'the last status', match: status, since: secret('DELETE'), nth: 1 },
]
const faults = [
  { when: 'before', what: 'SIGKILL' },
  { when: 'after', what: 'SIGKILL' },
  { when: 'after', what: 'drop' },
] as const

let scenario: Scenario
let operator: RunningOperator | undefined
let issuerPort: number | undefined
let seen: TokensSeen
let svids: TokensSeen
const table: string[] = []
const svidProvider = (): string => `${scenario.name}-svid`
const svidAudience = `${audience}/svid`

beforeAll(async () => {
  scenario = await createScenario('kill')
  await scenario.kube.must('POST', '/apis/taskbound.dev/v1alpha1/clustercredentialproviders', {
    apiVersion: 'taskbound.dev/v1alpha1',
    kind: 'ClusterCredentialProvider',
    metadata: { name: svidProvider() },
    spec: {
      type: 'jwt',
      namespaces: { matchLabels: { 'test.taskbound.dev/scenario': scenario.name } },
      jwt: { profile: 'JWTSVID', audiences: [svidAudience], maxTTLSeconds: 300 },
    },
  })
  const another = scenario.permit.replace('"scenario"', '"svid"').replace(`"${scenario.name}"`, `"${svidProvider()}"`)
  await scenario.policy(`${scenario.permit}\n${another}`)
  const first = await runOperator()
  issuerPort = first.issuerPort
  await first.stop()
  seen = watchTokens(scenario)
  svids = watchTokens(scenario, 'svid')
})

afterEach(async () => {
  await operator?.stop()
  operator = undefined
})

afterAll(async () => {
  seen?.stop()
  svids?.stop()
  console.log(['step   request                        when   what     after convergence', ...table].join('\n'))
  await scenario?.close()
})

const issuer = (): string => `https://127.0.0.1:${issuerPort}`
const index = (token: string): string => JSON.stringify(decodeJwt(token)['status'])

async function attemptOf(task: string): Promise<number> {
  return ((await scenario.kube.must('GET', scenario.path('agenttasks', task))).status?.secret?.attempt as number | undefined) ?? 0
}

/** Drives a task to the step in which the fault waits, and waits for the fault. */
async function drive(step: Step, task: string, running: RunningOperator): Promise<void> {
  const struck = async (): Promise<void> => {
    await eventually(() => expect(running.output()).toContain('fault '), { timeoutMs: 30_000 })
  }
  const of = (name: string, provider: string, more: object): object => ({
    name,
    providerRef: { kind: 'ClusterCredentialProvider', name: provider },
    ttlSeconds: 300,
    ...more,
  })
  const credentials = [
    of('api', scenario.name, { audience: `${audience}/${scenario.name}`, scopes: ['read'] }),
    of('svid', svidProvider(), { audience: svidAudience }),
  ]
  await scenario.task({ name: task, spec: { activeDeadlineSeconds: 86_400, credentials } })
  if (step === 'end') {
    await scenario.active(task)
    await scenario.patch('agenttasks', task, { spec: { end: 'Completed' } })
  }
  await struck()
}

describe.each(faults)('$what $when', ({ when, what }) => {
  test.each(rows)('$step: $request', async ({ step, request, match, since, nth }) => {
    const task = `${step}-${when}-${what}-${rows.findIndex((r) => r.step === step && r.request === request)}`.toLowerCase()
    await freeLease(scenario)
    // before and after the fault one clock, or what was due would not be any more; nothing but a renewal needs a fast one
    const clock = step === 'renew' ? { FASTCLOCK: '60', FASTCLOCK_SINCE: String(Date.now()) } : {}
    operator = await startOperator({
      kubeconfig: scenario.kube.kubeconfig,
      preload,
      env: {
        ...clock,
        FAULTPOINT: JSON.stringify({ match: match(scenario.namespace, task), since: since?.(scenario.namespace, task), nth, when, what }),
      },
      ...(issuerPort === undefined ? {} : { issuerPort }),
    })
    await operator.active()
    await drive(step, task, operator)
    if (what === 'SIGKILL') {
      expect(await operator.died()).toBe('SIGKILL')
      await freeLease(scenario)
      operator = await runOperator({ preload, env: clock, ...(issuerPort === undefined ? {} : { issuerPort }) })
    }
    const found = await converge(step, task)
    table.push(`${step.padEnd(6)} ${request.padEnd(30)} ${when.padEnd(6)} ${what.padEnd(8)} ${found}`)
    if (step !== 'end') {
      await scenario.patch('agenttasks', task, { spec: { end: 'Cancelled' } })
      await scenario.until(task, 'Cancelled')
      await expectNothingLive(task)
    }
  })
})

test('no operator that came later issued anything for a task that was over', async () => {
  const { items } = await scenario.kube.must('GET', scenario.path('secrets'))
  expect((items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name)).toEqual([])
  const tasks = (await scenario.kube.must('GET', scenario.path('agenttasks'))).items
  expect(tasks.length).toBeGreaterThan(0)
  for (const { metadata, status } of tasks) {
    const over = Date.parse(status.completionTime) / 1000
    const [tokens, others] = [seen.of(metadata.name), svids.of(metadata.name)]
    for (const token of [...tokens, ...others]) expect(decodeJwt(token).iat).toBeLessThanOrEqual(over)
    // one write of the Secret is one of each
    expect(others).toHaveLength(tokens.length)
  }
})

async function expectNothingLive(task: string): Promise<number> {
  await scenario.secretGone(task)
  // the JWT-SVID dies by itself, and the condition says when
  await eventually(async () => expect((await scenario.conditions(task))['Revoked']?.reason).toMatch(/^(AllRevoked|ExpiresAt)$/))
  const tokens = seen.of(task)
  for (const token of tokens) expect(await judge(issuer(), token)).not.toBe('live')
  return tokens.length
}

async function converge(step: Step, task: string): Promise<string> {
  if (step === 'end') {
    await scenario.until(task, 'Completed')
    return `ended: ${await expectNothingLive(task)} token(s) ever, none live; ${svids.of(task).length} JWT-SVID(s) ever, none in a Secret`
  }
  return eventually(
    async () => {
      const token = await scenario.active(task)
      const attempt = await attemptOf(task)
      // what the kill left behind is not what a renewal ends in
      if (step === 'renew') expect(attempt).toBeGreaterThan(1)
      const secret = await scenario.kube.must('GET', scenario.path('secrets', `taskbound-${task}`))
      expect(Number(secret.metadata.annotations['taskbound.dev/attempt'])).toBe(attempt)
      expect(await judge(issuer(), token)).toBe('live')
      const tokens = seen.of(task)
      expect(tokens).toContain(token)
      const svid = Buffer.from(secret.data.svid, 'base64').toString()
      expect(await judgeSvid(issuer(), svid, svidAudience)).toBe('live')
      expect(decodeJwt(svid)['taskbound']).toMatchObject({ task: { name: task }, attempt })
      expect(svids.of(task)).toContain(svid)
      const live: string[] = []
      for (const one of tokens) if ((await judge(issuer(), one)) === 'live') live.push(one)
      // the predecessor of a renewal has the same place in the list, and dies with it
      expect(new Set(live.map(index)).size).toBe(1)
      return `live: attempt ${attempt}, ${tokens.length} token(s) and ${svids.of(task).length} JWT-SVID(s) ever, one place in the status list live`
    },
    { timeoutMs: 20_000, everyMs: 300 },
  )
}
