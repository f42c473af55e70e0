// The chart is installed on a real node as the docs say, word for word, and a first credential is used in a pod.

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createScenario, judge, type Scenario } from '../e2e/support/scenario.ts'
import { eventually } from '../support/cluster.ts'
import { agentOf, refusals, startAgent, startResourceServer, usesIt } from './support/agents.ts'
import { commandsOf, createRelease, issuer, type Release } from './support/release.ts'

const page = 'docs/how-to/install.md'
let release: Release
let scenario: Scenario

beforeAll(async () => {
  release = await createRelease()
  await release.remove()
})

afterAll(async () => {
  await scenario?.close()
  await release?.close()
})

test('the installation and the quickstart work word for word, and a pod has its first credential in less than two minutes', async () => {
  let begun = 0
  const spent: string[] = []
  const seconds = () => (Date.now() - begun) / 1000
  for (const command of [...commandsOf(page, '## 2. Install'), ...commandsOf(page, '## 3. A first task')]) {
    if (command.startsWith('helm install ')) begun = Date.now()
    const { code, stdout, stderr } = await release.shell(command)
    spent.push(`${begun === 0 ? '    -' : seconds().toFixed(1).padStart(5)} s  ${command}`)
    if (code !== 0) throw new Error(`${spent.join('\n')}\n${stdout}${stderr}`)
  }
  const logs = 'kubectl -n taskbound-quickstart logs job/close-books'
  await eventually(async () => expect((await release.shell(logs)).stdout).toContain('the credential is here'), { timeoutMs: 120_000 })
  const took = seconds()
  console.log([...spent, `${took.toFixed(1).padStart(5)} s  the pod has its credential`].join('\n'))
  expect(took).toBeLessThan(120)
}, 240_000)

test('its credential is gone when its Job is over', async () => {
  await eventually(
    async () => {
      const { stdout } = await release.shell('kubectl -n taskbound-quickstart get agenttasks,secrets')
      expect(stdout).toMatch(/close-books +\S+ +\S+ +Completed/)
      expect(stdout).not.toContain('secret/')
    },
    { timeoutMs: 60_000, everyMs: 500 },
  )
})

test('whose task was refused right after the installation gets on as the page says', async () => {
  // as the API server leaves it then: the Job without its task
  const job = "kubectl apply -f <(sed -n '/^apiVersion: batch/,$p' examples/quickstart/quickstart.yaml)"
  for (const command of [
    'kubectl -n taskbound-quickstart delete job,agenttask close-books',
    job,
    ...commandsOf(page, '## 3. A first task'),
  ]) {
    expect(await release.shell(command)).toMatchObject({ code: 0 })
  }
  const reasons = "kubectl -n taskbound-quickstart get agenttask close-books -o 'jsonpath={.status.conditions[*].reason}'"
  await eventually(async () => expect((await release.shell(reasons)).stdout).toContain('SecretStillMounted'))
  for (const command of commandsOf(page, '### Too early')) expect(await release.shell(command)).toMatchObject({ code: 0 })
  const logs = 'kubectl -n taskbound-quickstart logs job/close-books'
  await eventually(async () => expect((await release.shell(logs)).stdout).toContain('the credential is here'), { timeoutMs: 60_000 })
}, 180_000)

test('two replicas are ready; they are not root, have no capability, and can write no file', async () => {
  const pods = await release.pods()
  expect(pods.map(({ ready }) => ready)).toEqual([true, true])
  for (const pod of pods) {
    const pid = await pod.pid()
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    expect(status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m)
    expect(status).toMatch(/^CapEff:\t0+$/m)
    expect(status).toMatch(/^CapBnd:\t0+$/m)
    expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    expect(status).toMatch(/^Seccomp:\t2$/m)
    // the last are the kubelet's and the runtime's, each for itself and of root
    const writable = readFileSync(`/proc/${pid}/mounts`, 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, , , options]) => options?.split(',').includes('rw'))
      .map(([, path]) => path)
    expect(writable).not.toContain('/')
    expect(writable.filter((path) => !/^\/(proc|dev|sys\/fs\/cgroup|etc\/(hosts|hostname|resolv\.conf))/.test(path ?? ''))).toEqual([])
  }
})

test('an agent in a Job uses its token at a resource server, and it is refused once the Job is over', async () => {
  scenario = await createScenario('install', {}, true)
  const url = await startResourceServer(scenario)
  const task = await scenario.task({ name: 'books', workload: { apiVersion: 'batch/v1', kind: 'Job', name: 'books' } })
  await startAgent(scenario, task, url)
  const pod = await agentOf(scenario, task)
  await usesIt(pod)
  expect(refusals(await pod.report())).toEqual([])
  const token = await scenario.active(task)
  const ask = async () => (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status
  expect(await ask()).toBe(200)

  await pod.finish()
  await scenario.until(task, 'Completed')
  await scenario.secretGone(task)
  expect(await judge(issuer, token, new Date(), await release.issuerAddress())).toBe('revoked')
  // for as long as its copy of the status list is good
  await eventually(async () => expect(await ask()).toBe(401), { timeoutMs: 20_000, everyMs: 500 })
}, 180_000)
