// Tells what a process id stands for now. Must not signal anything.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * The command line of a process, its arguments separated by spaces; undefined when there is none, or only a dead one that nobody has
 * collected: signal 0 takes such a one for alive, and in a container without an init process it stays for ever.
 */
export function commandLine(pid: number): string | undefined {
  try {
    const found =
      process.platform === 'linux'
        ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        : execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const text = found.trim()
    return text === '' || text === '<defunct>' || /^\(.*\)$/.test(text) ? undefined : text
  } catch {
    return undefined
  }
}
