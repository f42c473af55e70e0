// Every way in which what a task was given ends, and how long after it the source still took it, as the source says and nobody else.

import { agent, type TaskOptions } from '../support/scenario.ts'
import type { Measuring } from './measuring.ts'
import { decode, type Fields, type Source } from './subject.ts'

const api = '/apis/taskbound.dev/v1alpha1'
/** The shortest that a task may be given. */
const deadlineSeconds = 60

interface Prepared {
  readonly options?: TaskOptions
  /** What ends it. Without one it ends by itself, at its deadline. */
  end?(task: string): Promise<unknown>
  /** brings back what other tasks need */
  undo?(): Promise<unknown>
}

interface Way {
  readonly what: string
  prepare(measuring: Measuring, source: Source, id: string): Promise<Prepared>
}

const patched =
  (spec: object) =>
  async ({ scenario }: Measuring): Promise<Prepared> => ({
    end: (task) => scenario.patch('agenttasks', task, { spec }),
  })

export const ways: readonly Way[] = [
  {
    what: 'its Job finished',
    async prepare({ scenario }, _source, id) {
      const name = await scenario.job(`job-${id}`)
      return { options: { workload: { apiVersion: 'batch/v1', kind: 'Job', name } }, end: () => scenario.condition(name, 'Complete') }
    },
  },
  { what: '`spec.end: Completed`', prepare: patched({ end: 'Completed' }) },
  { what: '`spec.end: Cancelled`', prepare: patched({ end: 'Cancelled' }) },
  { what: 'suspended', prepare: patched({ suspend: true }) },
  { what: 'deleted', prepare: async ({ scenario }) => ({ end: (task) => scenario.remove('agenttasks', task) }) },
  {
    what: 'a policy forbids it',
    async prepare({ scenario: { kube, namespace } }, { provider }, id) {
      const name = `forbid-${id}-${namespace}`
      const cedar = `@id("no") @message("no") forbid (principal in Taskbound::Namespace::"${namespace}", action, resource == Taskbound::ClusterProvider::"${provider}");`
      const policy = { apiVersion: 'taskbound.dev/v1alpha1', kind: 'ClusterAgentPolicy', metadata: { name }, spec: { cedar } }
      return {
        end: () => kube.must('POST', `${api}/clusteragentpolicies`, policy),
        undo: () => kube.must('DELETE', `${api}/clusteragentpolicies/${name}`),
      }
    },
  },
  {
    what: 'its agent deleted',
    async prepare({ scenario }, _source, id) {
      const name = `agent-${id}`
      await scenario.kube.must('POST', scenario.path('agents'), agent(name))
      return { options: { agent: name }, end: () => scenario.remove('agents', name) }
    },
  },
  {
    what: 'the provider serves its namespace no more',
    async prepare({ scenario: { kube, name } }, { provider }) {
      const serve = (value: string) =>
        kube.must('PATCH', `${api}/clustercredentialproviders/${provider}`, {
          spec: { namespaces: { matchLabels: { 'test.taskbound.dev/scenario': value } } },
        })
      return { end: () => serve('nobody'), undo: () => serve(name) }
    },
  },
  { what: 'its deadline', prepare: async () => ({ options: { spec: { activeDeadlineSeconds: deadlineSeconds } } }) },
]

/** Milliseconds from the end to the first answer of the source that refuses it, asked again and again. */
async function refused(source: Source, given: Fields, since: number): Promise<number> {
  for (;;) {
    const works = await source.works(given)
    const now = performance.now()
    if (!works) return now - since
    if (now - since > 120_000) throw new Error(`${source.type}: it still works two minutes later`)
    await new Promise((resolve) => setTimeout(resolve, source.pauseMs ?? 2))
  }
}

/** One task of one type, to its end in one way. */
export async function endOnce(measuring: Measuring, source: Source, way: Way, id: string): Promise<number> {
  const { scenario } = measuring
  const { kube } = scenario
  const { options = {}, end, undo } = await way.prepare(measuring, source, id)
  const spec = { activeDeadlineSeconds: 3600, ...options.spec }
  const task = await scenario.task({ ...options, name: `e-${id}`, spec, credential: source.credential })
  await scenario.until(task, 'Active')
  const { data } = await kube.must('GET', scenario.path('secrets', `taskbound-${task}`))
  const given = decode(data)
  if (!(await source.works(given))) throw new Error(`${source.type}: what ${task} was given does not work`)
  let since = performance.now()
  if (end === undefined) {
    const { status } = await kube.must('GET', scenario.path('agenttasks', task))
    const left = Date.parse(status.deadlineTime) - Date.now()
    since += left
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, left - 250)))
  }
  const [took] = await Promise.all([refused(source, given, since), end?.(task)])
  await undo?.()
  await kube.request('DELETE', scenario.path('agenttasks', task))
  return took
}
