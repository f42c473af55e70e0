// `taskbound drain`: has the running operator take everything back, waits for it within a bound, and says what is left. Run before the
// operator is removed. It ends nothing itself: that is the operator's work.

import type { Lease } from '../core/lease.ts'
import type { Task } from '../core/observed.ts'
import { createBreather } from '../kube/breather.ts'
import type { KubeClient } from '../kube/client.ts'
import { type ApiError, describeError, isNotFound } from '../kube/errors.ts'
import { kubeLeases, readLease as readKubeLease } from '../kube/kubelease.ts'
import { listInPages } from '../kube/list.ts'
import { type KubeObject, pathOf, type Resource } from '../kube/objects.ts'
import { type Duration, milliseconds } from '../lib/instant.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Clock } from '../ports/clock.ts'
import { type DrainStatus, modeName, readDrainStatus, remains } from '../runtime/drain.ts'
import { leasesResource, readLease } from '../runtime/ledger/rows.ts'
import { readTask } from '../runtime/objects/task.ts'
import { configMaps } from '../runtime/storage.ts'

export interface DrainDeps {
  readonly client: Pick<KubeClient, 'request' | 'stream'>
  readonly clock: Clock
  /** the operator's own */
  readonly namespace: string
  /** empty for all */
  readonly watchNamespaces: readonly string[]
  readonly timeout: Duration
  /** names this drain, so that no older report is taken for its answer */
  readonly id: string
  readonly print: (line: string) => void
  readonly pause?: (milliseconds: number) => Promise<void>
}

type Left = Pick<DrainStatus, 'tasks' | 'leases' | 'remaining'>

const period = 500
/** Seen this often in a row before it is believed: a pass that began before may still write. */
const enough = 3
const tasksResource: Resource = { group: 'taskbound.dev', version: 'v1alpha1', plural: 'agenttasks' }

/** @returns the exit code: 0 when nothing is left, 1 when something is or nobody can tell */
export async function drain(deps: DrainDeps): Promise<0 | 1> {
  const { client, clock, namespace, print } = deps
  const pause = deps.pause ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)))
  const place = pathOf(configMaps, { namespace, name: modeName })
  const began = clock.monotonic()

  /** By whoever leads, to this drain and no earlier one. */
  async function answer(): Promise<DrainStatus | undefined> {
    const found = await client.request<KubeObject>({ method: 'GET', path: place })
    const status = found.ok ? readDrainStatus(found.value.body) : undefined
    return status?.drain === deps.id ? status : undefined
  }

  let said = ''
  function progress({ tasks, leases }: Left, by: string): void {
    const line = `left: ${tasks} tasks, ${leases} credentials outside (${by})`
    if (line !== said) print(line)
    said = line
  }

  const leader = watchLeader(deps)
  let asked = false
  let clean = 0
  for (;;) {
    asked ||= await ask(deps, place)
    const status = asked ? await answer() : undefined
    if (status !== undefined) progress(status, `says ${status.replica}`)
    clean = status !== undefined && isNone(status) ? clean + 1 : 0
    if (clean >= enough) {
      print('everything is taken back')
      return 0
    }
    // where no replica leads, none can answer; one that comes to lead finds the mode before it issues
    const alone = asked && (await leader.absent())
    const left = alone ? await look(deps) : status === undefined ? undefined : ok(status)
    if (alone && left?.ok === true) {
      progress(left.value, 'no replica leads')
      if (isNone(left.value)) {
        print('nothing is to be taken back')
        return 0
      }
    }
    if (clock.monotonic() - began >= deps.timeout) return giveUp(deps, left ?? (await look(deps)))
    await pause(period)
  }
}

const isNone = ({ tasks, leases }: Left): boolean => tasks + leases === 0

async function ask({ client, namespace, id, print }: DrainDeps, place: string): Promise<boolean> {
  const data = { mode: 'Draining', drain: id }
  const patched = await client.request({ method: 'PATCH', path: place, contentType: 'application/merge-patch+json', body: { data } })
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: modeName, namespace }, data }
  const absent = !patched.ok && isNotFound(patched.failure)
  const done = absent ? await client.request({ method: 'POST', path: pathOf(configMaps, { namespace }), body }) : patched
  print(done.ok ? 'the operator is told to take everything back' : `ConfigMap \`${modeName}\`: ${describeError(done.failure)}`)
  return done.ok
}

function giveUp({ print, timeout, namespace }: DrainDeps, left: Result<Left, string>): 1 {
  print(`not everything is taken back after ${timeout / 1000} seconds:`)
  if (left.ok) for (const line of left.value.remaining) print(`  ${line}`)
  else print(`  ${left.failure}`)
  print('The operator goes on trying and issues nothing meanwhile. Mend the cause and run this again, or remove the release without')
  print('waiting (`helm uninstall --no-hooks`): a later installation finds what is left in the ledger and ends it.')
  print(`To have it serve again instead: kubectl -n ${namespace} patch configmap ${modeName} --type=merge -p '{"data":{"mode":"Serving"}}'`)
  return 1
}

/** Asks the API server itself what is left. */
async function look(deps: DrainDeps): Promise<Result<Left, string>> {
  const tasks: Task[] = []
  const leases: Lease[] = []
  const scopes = deps.watchNamespaces.length === 0 ? [undefined] : deps.watchNamespaces
  for (const namespace of scopes) {
    const listed = await list(deps, pathOf(tasksResource, { namespace }), readTask, tasks)
    if (!listed.ok) return fail(`tasks cannot be listed: ${describeError(listed.failure)}`)
  }
  const listed = await list(deps, pathOf(leasesResource, { namespace: deps.namespace }), readLease, leases)
  if (!listed.ok) return fail(`the ledger cannot be listed: ${describeError(listed.failure)}`)
  return ok(remains(tasks, leases, deps.clock.now()))
}

async function list<T>(
  { client, clock }: DrainDeps,
  path: string,
  decode: (object: KubeObject) => T | undefined,
  into: T[],
): Promise<Result<unknown, ApiError>> {
  const sink = {
    add(object: KubeObject) {
      try {
        const value = decode(object)
        if (value !== undefined) into.push(value)
      } catch {
        // nothing was ever made for what cannot be read
      }
    },
    drop() {},
    garbage() {},
    restart: () => void into.splice(0),
  }
  const source = { path, labelSelector: undefined, metadataOnly: false }
  return listInPages({ client, source, signal: new AbortController().signal, breathe: createBreather(clock) }, 500, sink)
}

/** Whether a replica leads, told as a candidate would: by renewals that are seen to come, on our own clock. */
function watchLeader({ client, clock, namespace }: DrainDeps) {
  let seen: { readonly version: string; readonly at: Duration } | undefined
  return {
    async absent(): Promise<boolean> {
      const found = await client.request<KubeObject>({ method: 'GET', path: pathOf(kubeLeases, { namespace, name: 'taskbound' }) })
      if (!found.ok) return isNotFound(found.failure)
      const { holder, durationSeconds } = readKubeLease(found.value.body)
      if (holder === '') return true
      const version = found.value.body.metadata.resourceVersion
      if (seen?.version !== version) seen = { version, at: clock.monotonic() }
      return milliseconds(clock.monotonic() - seen.at) > durationSeconds * 1000
    },
  }
}
