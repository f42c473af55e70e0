// A process of its own that starts the servers of one cluster and ends them, with their folder, when told to, or when whoever started it
// is gone, whatever ended it: the channel to it then closes. Must not know what it runs.
//   arguments: FOLDER keep|remove
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'

/** What the owner asks. `id` comes back with the answer. */
export type Order =
  | { readonly id: number; readonly order: 'start'; readonly name: string; readonly file: string; readonly args: readonly string[] }
  | { readonly id: number; readonly order: 'end'; readonly name: string; readonly signal: NodeJS.Signals; readonly graceMs: number }
  | { readonly id: number; readonly order: 'detach' }
  | { readonly id: number; readonly order: 'stop' }

export type Report =
  | { readonly id: number; readonly pid?: number; readonly problem?: string }
  | { readonly exited: string; readonly pid: number; readonly code: number | string }

function supervise(folder: string, keep: boolean): void {
  const children = new Map<string, ChildProcess>()
  let detached = false

  const report = (message: Report) => {
    if (process.connected) process.send?.(message, () => {}) // the owner may go at any moment; its going is handled below
  }

  async function end(name: string, signal: NodeJS.Signals, graceMs: number): Promise<void> {
    const child = children.get(name)
    if (child === undefined) return
    const gone = once(child, 'exit')
    child.kill(signal)
    const harder = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await gone
    clearTimeout(harder)
  }

  async function stop(): Promise<void> {
    // Nothing here outlives the folder, so nothing is asked politely.
    await Promise.all([...children.keys()].map((name) => end(name, 'SIGKILL', 1000)))
    if (!keep) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }

  async function start(name: string, file: string, args: readonly string[]): Promise<number> {
    const log = openSync(join(folder, `${name}.log`), 'a', 0o600)
    const child = spawn(file, args, { cwd: folder, stdio: ['ignore', log, log] })
    closeSync(log)
    await once(child, 'spawn')
    const pid = child.pid as number
    children.set(name, child)
    child.on('exit', (code, signal) => {
      children.delete(name)
      report({ exited: name, pid, code: code ?? signal ?? 'unknown' })
    })
    return pid
  }

  async function obey(order: Order): Promise<{ pid?: number }> {
    switch (order.order) {
      case 'start':
        return { pid: await start(order.name, order.file, order.args) }
      case 'end':
        await end(order.name, order.signal, order.graceMs)
        return {}
      case 'detach':
        detached = true
        return {}
      case 'stop':
        await stop()
        return {}
    }
  }

  const leave = () => void stop().finally(() => process.exit(0))
  process.on('message', (order: Order) => {
    obey(order).then(
      (answer) => report({ id: order.id, ...answer }),
      (error: Error) => report({ id: order.id, problem: error.message }),
    )
  })
  process.on('disconnect', () => {
    if (!detached) leave()
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, leave)
  // A detached supervisor has no channel that keeps it alive, and may have no child between two starts.
  setInterval(() => {}, 2 ** 30)
  // The owner may have died while this file was loading, before anybody listened for it.
  if (!process.connected) leave()
}

if (import.meta.main) {
  const [folder, keep] = process.argv.slice(2)
  if (folder === undefined || keep === undefined) throw new Error('usage: supervisor.ts FOLDER keep|remove')
  supervise(folder, keep === 'keep')
}
