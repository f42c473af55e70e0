// Lets one process at a time have the node of this machine; the next one waits. Must not touch the node.
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { say } from '../environment.ts'
import { commandLine } from '../processes.ts'
import { supervisorOf } from '../standing.ts'
import { nodeFolder } from './host.ts'

const lock = `${nodeFolder}.lock`
const patience = 30 * 60_000

/**
 * Waits until the node is free, for half an hour at most. Answers what frees it again; so does the end of this process.
 * @param folders of its supervisors
 */
export async function holdMachine(folders: readonly string[]): Promise<() => void> {
  const mine = `${lock}.${process.pid}`
  const begun = Date.now()
  let told = 0
  const wait = async (holder: number) => {
    if (Date.now() - begun > patience) throw new Error(`process ${holder} has had the node of this machine for half an hour`)
    if (holder !== told) say(`process ${holder} has the node of this machine: waiting for it`)
    told = holder
    await sleep(500)
  }
  writeFileSync(mine, String(process.pid))
  try {
    while (!linked(mine)) {
      const holder = Number(read(lock))
      if (holder > 0 && commandLine(holder) === undefined) rmSync(lock, { force: true })
      else await wait(holder)
    }
    // whoever crashed with the lock may have servers that are still ending
    for (const folder of folders) {
      for (let pid = await supervisorOf(folder); pid !== undefined; pid = await supervisorOf(folder)) await wait(pid)
    }
  } finally {
    rmSync(mine)
  }
  return () => rmSync(lock, { force: true })
}

/** A link is made with its content or not at all, so the lock always says whose it is. */
function linked(mine: string): boolean {
  try {
    linkSync(mine, lock)
    return true
  } catch {
    return false
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '0'
  }
}
