// The owner's side of supervisor.ts: servers that end with this process, however it ends. Must not know what the servers are.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Order, Report } from './supervisor.ts'

type Asked = Order extends infer One ? (One extends Order ? Omit<One, 'id'> : never) : never

export interface Supervisor {
  readonly pid: number
  /** Starts a program in the folder, its output in `<name>.log` there. Answers its process id. */
  start(name: string, file: string, args: readonly string[]): Promise<number>
  /** Ends one program and waits until it is gone; SIGKILL after `graceMs`. Nothing happens when it does not run. */
  end(name: string, signal: NodeJS.Signals, graceMs: number): Promise<void>
  /** How the last run of that program ended, or undefined while it runs. */
  exitOf(name: string): number | string | undefined
  /** From now on the programs outlive this process: until the supervisor gets SIGTERM. */
  detach(): Promise<void>
  /** Ends everything and removes the folder. Safe to call twice. */
  stop(): Promise<void>
}

/** `folder` must exist. It is removed at the end unless `keep`. */
export async function startSupervisor(folder: string, keep: boolean): Promise<Supervisor> {
  const log = openSync(join(folder, 'supervisor.log'), 'a', 0o600)
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = fork(join(import.meta.dirname, 'supervisor.ts'), [folder, keep ? 'keep' : 'remove'], {
    detached: true, // in a group of its own: a Ctrl-C at the terminal reaches the owner first
    execArgv: [],
    env,
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  await once(child, 'spawn')
  const pid = child.pid as number
  await writeFile(join(folder, 'supervisor.pid'), `${pid}\n`)
  const exits = new Map<string, number | string>()
  const waiting = new Map<number, { resolve(report: { pid?: number }): void; reject(problem: Error): void }>()
  let nextId = 1

  child.on('message', (report: Report) => {
    if ('exited' in report) {
      exits.set(report.exited, report.code)
      return
    }
    const asked = waiting.get(report.id)
    waiting.delete(report.id)
    rest(child, waiting.size === 0)
    if (report.problem === undefined) asked?.resolve(report)
    else asked?.reject(new Error(report.problem))
  })
  child.on('exit', () => {
    killGroup(pid) // if it was killed itself, what it started is still there, in its group
    for (const asked of waiting.values()) asked.reject(new Error(`the supervisor of ${folder} is gone`))
    waiting.clear()
  })

  function ask(order: Asked): Promise<{ pid?: number }> {
    if (!child.connected) return Promise.reject(new Error(`the supervisor of ${folder} is gone`))
    const id = nextId++
    rest(child, false)
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      child.send({ ...order, id })
    })
  }

  rest(child, true)
  return {
    pid,
    start: async (name, file, args) => {
      exits.delete(name)
      return (await ask({ order: 'start', name, file, args })).pid as number
    },
    end: async (name, signal, graceMs) => {
      await ask({ order: 'end', name, signal, graceMs })
    },
    exitOf: (name) => exits.get(name),
    detach: async () => {
      await ask({ order: 'detach' })
      child.disconnect()
    },
    stop: async () => {
      if (!child.connected) return
      const gone = once(child, 'exit')
      await ask({ order: 'stop' })
      child.ref()
      child.disconnect()
      await gone
    },
  }
}

/** Ends what a supervisor left behind, if anything: by its process group, whose number is the supervisor's own. */
export function killGroup(supervisorPid: number): void {
  try {
    process.kill(-supervisorPid, 'SIGKILL')
  } catch {
    // nobody left in the group
  }
}

/** Only a question that waits for its answer keeps this process alive; the servers alone do not, so that a script that forgets to stop ends. */
function rest(child: ChildProcess, resting: boolean): void {
  if (resting) {
    child.unref()
    child.channel?.unref()
  } else {
    child.ref()
    child.channel?.ref()
  }
}
