// What a test finds that kills the operator at calls to one type of provider: printed, and kept for the page of the crash matrix.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Fault, Result } from '../matrix/round.ts'
import type { Step } from '../matrix/subject.ts'

export interface Kills {
  /** who was asked */
  readonly server: string
  readonly results: readonly Result[]
}

export interface Collected {
  /** Only of what has passed. */
  note(step: Step, at: string, fault: Fault, found: string): void
  keep(): Promise<void>
}

// not beside the results of the levels, which are counted file by file
const file = (type: string): string => resolve(import.meta.dirname, '../../../.cache/results/kills', `${type}.json`)

export function collectKills(type: string, server: string): Collected {
  const results: Result[] = []
  return {
    note: (step, at, fault, found) => void results.push({ type, step, at, fault, found }),
    async keep() {
      // a run of other tests of the file has nothing to say
      if (results.length === 0) return
      const line = ({ step, at, fault, found }: Result): string => `${step.padEnd(6)} ${at.padEnd(26)} ${fault.padEnd(13)} ${found}`
      console.log([`asked: ${server}`, ...results.map(line)].join('\n'))
      await mkdir(dirname(file(type)), { recursive: true })
      await writeFile(file(type), JSON.stringify({ server, results } satisfies Kills))
    },
  }
}

/** What was kept last, if anything. */
export async function keptKills(type: string): Promise<Kills | undefined> {
  const text = await readFile(file(type), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Kills)
}

export const forgetKills = (type: string): Promise<void> => rm(file(type), { force: true })
