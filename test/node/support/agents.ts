// Agents in pods that use their credentials, and the resource server that checks them, itself a pod that trusts the issuer as docs say.

import { createHash } from 'node:crypto'
import { connect as open } from 'node:net'
import type { Scenario } from '../../e2e/support/scenario.ts'
import { audience } from '../../e2e/support/scenario.ts'
import { eventually } from '../../support/cluster.ts'
import type { Report } from '../agent/agent.ts'
import { agentImage } from './images.ts'
import { issuer, namespace } from './release.ts'

const restricted = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true }

export interface AgentPod {
  readonly name: string
  report(): Promise<Report>
  /** Its process ends well, and with it its Job. */
  finish(): Promise<void>
}

/**
 * Resolves when it has the credential, if one is named, and a resource server took it some times since.
 * @returns what it saw until then
 */
export async function usesIt(pod: AgentPod, token?: string): Promise<Report> {
  const digest = token === undefined ? undefined : createHash('sha256').update(token).digest('hex').slice(0, 12)
  let taken: number | undefined
  return eventually(
    async () => {
      const report = await pod.report()
      const has = report.sightings.at(-1)
      const already = report.counts['200'] ?? 0
      if (has?.what === 'token' && (digest === undefined || has.digest === digest)) taken ??= already
      if (taken === undefined || already - taken < 8) throw new Error(`its credential is not taken: ${JSON.stringify(report)}`)
      return report
    },
    { timeoutMs: 100_000, everyMs: 250 },
  )
}

/** What was said of a credential, other than that it is good, by a resource server that could be asked and could ask the issuer. */
export function refusals({ counts }: Report): readonly string[] {
  return Object.keys(counts).filter((said) => said !== '200' && !/fetch failed|due to timeout/.test(said))
}

/** A Job of one pod that uses the credential `api` of a task. */
export async function startAgent(scenario: Scenario, task: string, url?: string): Promise<void> {
  await scenario.kube.must('POST', scenario.path('jobs'), {
    metadata: { name: task },
    spec: { backoffLimit: 0, template: agentPod(task, url) },
  })
}

export function agentPod(task: string, url?: string): object {
  return {
    metadata: { labels: { 'taskbound.dev/task': task } },
    spec: {
      serviceAccountName: 'clerk',
      automountServiceAccountToken: false,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'agent',
          image: agentImage,
          args: ['/app/agent.mjs', '/credentials/api', ...(url === undefined ? [] : [url])],
          securityContext: restricted,
          volumeMounts: [{ name: 'credentials', mountPath: '/credentials', readOnly: true }],
        },
      ],
      volumes: [{ name: 'credentials', secret: { secretName: `taskbound-${task}` } }],
    },
  }
}

/** The pod of a task, once it runs and answers. */
export async function agentOf(scenario: Scenario, task: string): Promise<AgentPod> {
  const selector = encodeURIComponent(`taskbound.dev/task=${task}`)
  const find = async () => {
    const { items } = await scenario.kube.must('GET', `${scenario.path('pods')}?labelSelector=${selector}`)
    const pod = items.find(({ status }: { status: { phase: string } }) => status.phase === 'Running')
    if (pod === undefined) throw new Error(`no pod of ${task} runs: ${items.map((one: { status: object }) => JSON.stringify(one.status))}`)
    await answers(pod.status.podIP, 8080)
    return pod
  }
  const { metadata, status } = await eventually(find, { timeoutMs: 60_000, everyMs: 100 })
  const ask = async (method: string) => (await (await fetch(`http://${status.podIP}:8080/`, { method })).json()) as Report
  return {
    name: metadata.name,
    report: () => ask('GET'),
    finish: async () => {
      await ask('POST')
    },
  }
}

/** A resource server for the tokens of a scenario. Answers the URL at which pods and this machine reach it. */
export async function startResourceServer(scenario: Scenario): Promise<string> {
  const { kube } = scenario
  const bundle = await kube.must('GET', `/api/v1/namespaces/${namespace}/configmaps/taskbound-issuer-ca-bundle`)
  await kube.must('POST', `/api/v1/namespaces/${scenario.namespace}/configmaps`, { metadata: { name: 'issuer-ca' }, data: bundle.data })
  await kube.must('POST', scenario.path('pods'), {
    metadata: { name: 'resource-server' },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'server',
          image: agentImage,
          args: ['/app/resource-server.mjs', issuer, `${audience}/${scenario.name}`, 'read', '8080', '0.0.0.0'],
          env: [{ name: 'NODE_EXTRA_CA_CERTS', value: '/ca/ca.crt' }],
          securityContext: restricted,
          volumeMounts: [{ name: 'ca', mountPath: '/ca', readOnly: true }],
        },
      ],
      volumes: [{ name: 'ca', configMap: { name: 'issuer-ca' } }],
    },
  })
  return eventually(
    async () => {
      const { status } = await kube.must('GET', scenario.path('pods', 'resource-server'))
      if (status.phase !== 'Running') throw new Error(`the resource server does not run: ${JSON.stringify(status)}`)
      await answers(status.podIP, 8080)
      return `http://${status.podIP}:8080/`
    },
    { timeoutMs: 60_000, everyMs: 100 },
  )
}

function answers(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = open({ host, port, timeout: 2000 }, () => {
      socket.destroy()
      resolve()
    })
    socket.on('error', reject)
    socket.on('timeout', () => socket.destroy(new Error(`${host}:${port} does not answer`)))
  })
}
