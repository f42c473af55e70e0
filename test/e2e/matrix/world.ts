// Where the subjects live: one namespace, one operator (or two) behind proxies, one task of each type at a time, and the question that all of
// this is for: what is alive at the servers, and is it what the Secrets of live tasks hold?

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../../support/cluster.ts'
import { type ApiProxy, startApiProxy } from '../../support/faults/apiproxy.ts'
import { type Front, startFront } from '../../support/faults/front.ts'
import { createGate, type Gate } from '../../support/faults/gate.ts'
import { type OperatorOptions, type RunningOperator, startOperator } from '../../support/operator.ts'
import { freeLease } from '../faults/tokens.ts'
import { createScenario, type Scenario } from '../support/scenario.ts'
import { decode, type Fields, type OneTask, type Subject } from './subject.ts'
import { subjects as killed, slow, spared } from './subjects.ts'

const ledger = '/apis/taskbound.dev/v1alpha1/namespaces/taskbound-system/credentialleases'

export interface Lives {
  /** of what is asked for */
  readonly ttlSeconds: number
  /** milliseconds after which it is renewed, before it expires */
  readonly jump: number
}
/** As short as may be. */
const short: Lives = { ttlSeconds: 300, jump: 170_000 }
/** As short as may be for all types. */
export const long: Lives = { ttlSeconds: 600, jump: 420_000 }

const starters = { ...killed, ...spared }

const patient = { timeoutMs: 240_000, everyMs: 100 }
/** How long something may be alive that will be dead in a moment, before it counts as lost by its server. */
const usual = 5_000

export interface Row {
  readonly handle: string
  readonly state: string
  /** whether it waits, as it may, for what was lost to die by itself, and says so */
  readonly waits: boolean
}

/** One task of each subject, by type. */
export type Tasks = ReadonlyMap<string, OneTask>

export interface World {
  readonly scenario: Scenario
  readonly gate: Gate
  readonly api: ApiProxy
  readonly subjects: readonly Subject[]
  readonly front: Front
  operator: RunningOperator
  /** Starts an operator; with `ahead` one whose clock stands where that of another does that was told to jump. */
  start(options?: Partial<OperatorOptions>, ahead?: boolean): Promise<RunningOperator>
  /** Starts one in place of one that is gone, and waits until it leads. */
  restart(ahead?: boolean): Promise<void>
  /** Sets the clock of whoever leads ahead, to where all that was given before is renewed. */
  jump(): void
  /** Names of tasks that are to be made, one for each of these subjects. */
  name(label: string, of: readonly Subject[]): Tasks
  create(tasks: Tasks): Promise<void>
  /** whatever was ever given to a task of this type */
  given(subject: Subject): readonly Fields[]
  /** Waits until each of these tasks is live, with one credential and no more. Answers what was found, by type. */
  live(tasks: Tasks, step: 'issue' | 'renew'): Promise<ReadonlyMap<string, string>>
  /** Ends them, if they are not ended, and waits until the servers say that nothing of theirs is alive, but for what was lost. */
  dead(tasks: Tasks): Promise<ReadonlyMap<string, string>>
  /** Waits for what servers lost, but for what rows wait for, and for what is swept up later. */
  nothingLeft(): Promise<void>
  close(): Promise<void>
}

const preload = ['test/support/preload/jump.ts']
/** Of a type without rows nothing is said. */
function counted(rows: readonly Row[]): string {
  const waiting = rows.filter(({ waits }) => waits).length
  const open = waiting === 0 ? '' : `, ${waiting} open until what nobody holds expires`
  return rows.length === 0 ? '' : `${rows.length} row${rows.length === 1 ? '' : 's'}${open}`
}
/** What is neither closed nor waits. */
const openOf = (rows: readonly Row[]): readonly Row[] => rows.filter(({ state, waits }) => state !== 'Revoked' && !waits)

/** @param types of the subjects; default those that are ended at once */
export async function createWorld(
  types: readonly string[] = Object.keys(killed).filter((type) => !slow.includes(type)),
  { ttlSeconds, jump } = types.some((type) => slow.includes(type)) ? long : short,
): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'taskbound-matrix-'))
  const scenario = await createScenario('matrix')
  const { kube } = scenario
  const gate = createGate()
  const api = await startApiProxy(gate, kube.kubeconfig, join(folder, 'kubeconfig.json'))
  const front = await startFront()
  const issuer = `https://127.0.0.1:${front.port}`
  const running: RunningOperator[] = []
  const fieldsOf = (task: string): readonly Fields[] => api.delivered().flatMap((one) => (one.task === task ? [decode(one.data)] : []))
  /** What was lost, of which task, and until when its server may keep it: `Infinity` where a row says that. */
  const lost = new Map<string, { readonly task: string; readonly until: number }>()
  let count = 0
  /** by which the clock of whoever leads stands ahead */
  let leads = 0

  const start: World['start'] = async (options = {}, ahead = false) => {
    leads = ahead ? jump : 0
    const env = { TASKBOUND_TEST_JUMP: String(jump), ...(ahead ? { TASKBOUND_TEST_AHEAD: String(jump) } : {}) }
    const operator = await startOperator({
      kubeconfig: api.kubeconfig,
      preload,
      issuerUrl: issuer,
      env,
      ...options,
    })
    running.push(operator)
    return operator
  }

  await freeLease(scenario)
  const first = await start()
  front.target = first.issuerPort
  await first.active()
  const context = {
    scenario,
    gate,
    issuer,
    operator: first,
    ttlSeconds,
    now: () => Date.now() + leads,
    delivered: () => api.delivered().map(({ data }) => decode(data)),
    requested: api.requested,
  }
  const subjects = await Promise.all(
    types.map(async (type): Promise<Subject> => {
      const known = starters[type]
      if (known === undefined) throw new Error(`there is no subject ${type}`)
      return { ...(await known.start(context)), type, points: known.points }
    }),
  )

  async function rowsOf({ lostExpires }: Subject, task: string): Promise<readonly Row[]> {
    const { items } = await kube.must('GET', ledger)
    type Item = {
      metadata: { name: string }
      spec: { task: { name: string; namespace: string } }
      status?: { state: string; reason?: string }
    }
    return (items as Item[])
      .filter(({ spec }) => spec.task.name === task && spec.task.namespace === scenario.namespace)
      .map(({ metadata, status }) => ({
        handle: metadata.name,
        state: status?.state ?? 'Intended',
        waits: lostExpires === true && status?.state === 'Revoking' && status.reason === 'ExpiresAt',
      }))
  }
  const of = (type: string): Subject => {
    const subject = subjects.find((one) => one.type === type)
    if (subject === undefined) throw new Error(`there is no subject ${type}`)
    return subject
  }
  const each = async (tasks: Tasks, work: (subject: Subject, task: OneTask) => Promise<string>): Promise<ReadonlyMap<string, string>> => {
    const said = await Promise.allSettled([...tasks].map(async ([type, task]) => [type, await work(of(type), task)] as const))
    const failures = said.flatMap((one, i) => (one.status === 'rejected' ? [`${[...tasks.keys()][i]}: ${String(one.reason)}`] : []))
    if (failures.length > 0) throw new Error([...failures, 'the operator said:', world.operator.output().slice(-6000)].join('\n'))
    return new Map(said.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])))
  }

  /**
   * What is alive at a server must be known. What else stays may only be what was lost: one for each row of the task that waits for it, or,
   * for longer than usual, one that the server itself has lost.
   */
  async function known(subject: Subject, task: string, rows: readonly Row[], ids: readonly string[], begun: number): Promise<void> {
    const now = performance.now()
    const { lostLifeMs } = subject
    const strangers = (await subject.alive()).filter((id) => !ids.includes(id) && !lost.has(id))
    if (strangers.length === 0) return
    const before = [...lost.values()].filter((one) => one.task === task).length
    const may = lostLifeMs === undefined ? rows.filter(({ waits }) => waits).length - before : now - begun < usual ? 0 : 1
    if (strangers.length > may) throw new Error(`alive at ${subject.server} and nobody's: ${strangers.join(', ')}`)
    for (const id of strangers) lost.set(id, { task, until: lostLifeMs === undefined ? Number.POSITIVE_INFINITY : now + lostLifeMs })
  }

  /** What is kept for a row goes when it is closed. Where a crash met that, it goes with the row. */
  async function forgotten(rows: readonly Row[]): Promise<void> {
    const closed = rows
      .filter(({ state }) => state === 'Revoked')
      .map(({ handle }) => `/api/v1/namespaces/taskbound-system/secrets/taskbound-kept-${handle}`)
    const found = await Promise.all(closed.map((path) => kube.request('GET', path)))
    if (found.filter(({ status }) => status === 200).length > 1) throw new Error('what was kept for rows that are closed is still there')
  }

  const isLive = async (subject: Subject, { name: task }: OneTask, step: 'issue' | 'renew'): Promise<string> => {
    const begun = performance.now()
    return eventually(async () => {
      const { status } = await kube.must('GET', scenario.path('agenttasks', task))
      const ready = (status?.conditions as { type: string; reason: string; message: string }[] | undefined)?.find((c) => c.type === 'Ready')
      if (ready?.reason !== 'Active') throw new Error(`task ${task} is ${ready?.reason}: ${ready?.message}`)
      const { data } = await kube.must('GET', scenario.path('secrets', `taskbound-${task}`))
      const given = decode(data)
      const rows = await rowsOf(subject, task)
      const open = openOf(rows)
      const outside = subject.points.some(({ at }) => at === 'the row')
      if (outside && (open.length !== 1 || open[0]?.state !== 'Issued'))
        throw new Error(`the rows of ${task} are ${rows.map(({ state }) => state).join(', ')}`)
      const handle = open[0]?.handle ?? ''
      const id = subject.idOf(given, handle)
      if (step === 'renew' && status.attempt < 2) throw new Error(`task ${task} was not renewed yet`)
      if (!(await subject.works(given))) throw new Error(`what the Secret of ${task} holds does not work`)
      const alive = await subject.alive()
      if (!alive.includes(id)) throw new Error(`${id} of ${task} is not alive; alive are ${alive.join(', ')}`)
      // what a renewal replaces, or made and lost, is known to the row and dies with the task
      if (step === 'issue' || subject.renewal === 'InPlace') await known(subject, task, rows, [id], begun)
      return [`attempt ${status.attempt}`, counted(rows)].filter(Boolean).join(', ')
    }, patient)
  }

  const isDead = async (subject: Subject, { name: task }: OneTask): Promise<string> => {
    await eventually(async () => {
      const { Ready, Revoked } = await scenario.conditions(task)
      if (Ready?.reason !== 'Completed') throw new Error(`task ${task} is ${Ready?.reason}: ${Ready?.message}`)
      const waits = (await rowsOf(subject, task)).some((row) => row.waits)
      const left = waits ? 'ExpiresAt' : subject.remains
      if (left === undefined ? Revoked?.status !== 'True' : Revoked?.reason !== left)
        throw new Error(`task ${task} is not revoked: ${Revoked?.message}`)
      if ((await kube.request('GET', scenario.path('secrets', `taskbound-${task}`))).status !== 404)
        throw new Error(`the Secret of ${task} is still there`)
    }, patient)
    const begun = performance.now()
    return eventually(async () => {
      const rows = await rowsOf(subject, task)
      if (openOf(rows).length > 0) throw new Error(`rows of ${task}: ${rows.map(({ state }) => state).join(', ')}`)
      for (const fields of fieldsOf(task))
        if ((await subject.works(fields)) !== (subject.remains !== undefined)) throw new Error(`something of ${task} still works, or ended`)
      await known(subject, task, rows, [], begun)
      await forgotten(rows)
      return counted(rows)
    }, patient)
  }

  const world: World = {
    scenario,
    gate,
    api,
    subjects,
    front,
    operator: first,
    start,
    async restart(ahead = false) {
      await freeLease(scenario)
      const operator = await start({}, ahead)
      world.operator = operator
      front.target = operator.issuerPort
      await operator.active()
    },
    jump() {
      leads += jump
      world.operator.signal('SIGUSR2')
    },
    name(label, chosen) {
      count += 1
      return new Map(
        chosen.map(({ type }) => {
          const name = `${label}-${count}-${type}`.toLowerCase()
          return [type, { name, handles: () => [...api.handles()].flatMap(([handle, task]) => (task === name ? [handle] : [])) }]
        }),
      )
    },
    async create(tasks) {
      const spec = { activeDeadlineSeconds: 86_400 }
      await each(tasks, ({ credential }, { name }) => scenario.task({ name, spec, credential: { ...credential, ttlSeconds } }))
    },
    given: ({ type }) => api.delivered().flatMap(({ task, data }) => (task.endsWith(`-${type.toLowerCase()}`) ? [decode(data)] : [])),
    live: (tasks, step) => each(tasks, (subject, task) => isLive(subject, task, step)),
    async dead(tasks) {
      await each(tasks, async (_subject, { name }) => {
        await scenario.patch('agenttasks', name, { spec: { end: 'Completed' } })
        return ''
      })
      return each(tasks, isDead)
    },
    async nothingLeft() {
      const ends = [...lost.values()].flatMap(({ until }) => (Number.isFinite(until) ? [until] : []))
      const until = Math.max(performance.now() + 90_000, ...ends)
      // what its row waits for is alive for longer than anybody here
      const waits = (id: string): boolean => lost.get(id)?.until === Number.POSITIVE_INFINITY
      await eventually(
        async () => {
          for (const subject of subjects) {
            const left = [...(await subject.alive()).filter((id) => !waits(id)), ...((await subject.leftovers?.()) ?? [])]
            if (left.length > 0) throw new Error(`left at ${subject.server}: ${left.join(', ')}`)
          }
        },
        { timeoutMs: until - performance.now(), everyMs: 500 },
      )
    },
    async close() {
      await Promise.all(running.map((operator) => operator.stop()))
      await Promise.all(subjects.map((subject) => subject.close()))
      await api.close()
      await front.close()
      await scenario.close()
      await rm(folder, { recursive: true })
    },
  }
  return world
}
