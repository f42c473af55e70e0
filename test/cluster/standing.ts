// The one cluster of a checkout that `make cluster` leaves running: where it is, whether it runs, its end.
// Must not touch a process that is not its supervisor, whatever an old file says.
import { readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { commandLine } from './processes.ts'
import { killGroup } from './supervise.ts'

export const standingFolder = resolve(import.meta.dirname, '../../.cache/cluster')

/** The supervisor's process id, or undefined when the cluster of that folder does not run. */
export async function supervisorOf(folder: string): Promise<number | undefined> {
  const pid = Number(await readFile(join(folder, 'supervisor.pid'), 'utf8').catch(() => '0'))
  return pid > 0 && runs(pid, folder) ? pid : undefined
}

/** Ends it and removes its folder. Answers whether it ran. */
export async function stopStanding(folder: string): Promise<boolean> {
  const pid = await supervisorOf(folder)
  if (pid !== undefined) {
    process.kill(pid, 'SIGTERM')
    for (const begun = Date.now(); runs(pid, folder) && Date.now() - begun < 20_000; ) await sleep(50)
    killGroup(pid)
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  return pid !== undefined
}

/** After a restart of the machine the id may be somebody else's: the command line names the folder. */
function runs(pid: number, folder: string): boolean {
  const line = commandLine(pid)
  return line?.includes('supervisor.ts') === true && line.includes(folder)
}
