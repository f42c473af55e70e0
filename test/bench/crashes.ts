// `make measure-crashes`: the whole crash matrix: at every await of issue, renew and end of every type of provider the operator is killed before
// and after, loses the reply, or stands still while another leads; and the tests that kill the types which take no part in that. `--types`,
// `--faults`, `--steps` for a part of it, comma separated; `--write` keeps the tables in docs/reference/crash-matrix.md, and `--resume` beside
// them what earlier parts of this checkout have found.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { acquireCluster } from '../cluster/shared.ts'
import { crashPage } from '../e2e/matrix/page.ts'
import { faults, type Result, round, rounds, steps } from '../e2e/matrix/round.ts'
import type { Subject } from '../e2e/matrix/subject.ts'
import { killedApart, neverKilled, subjects } from '../e2e/matrix/subjects.ts'
import { createWorld, type World } from '../e2e/matrix/world.ts'
import { forgetKills, type Kills, keptKills } from '../e2e/support/kills.ts'

const options = parseArgs({
  options: {
    types: { type: 'string', default: [...Object.keys(subjects), ...Object.keys(killedApart), ...neverKilled].join() },
    faults: { type: 'string', default: faults.join() },
    steps: { type: 'string', default: steps.join() },
    write: { type: 'boolean', default: false },
    resume: { type: 'boolean', default: false },
  },
}).values

const root = resolve(import.meta.dirname, '../..')
const kept = resolve(root, '.cache/results/crashes.json')
const same = (a: Result, b: Result): boolean => a.type === b.type && a.step === b.step && a.at === b.at && a.fault === b.fault

/** Runs the tests of the level of providers that kill these types. */
async function apart(types: readonly string[]): Promise<ReadonlyMap<string, Kills | undefined>> {
  const chosen = types.filter((type) => type in killedApart)
  if (chosen.length > 0) {
    await Promise.all(chosen.map(forgetKills))
    const tests = chosen.map((type) => killedApart[type]?.replaceAll('.', '\\.')).join('|')
    // what it prints is not the page
    const child = spawn('npm', ['run', '-s', 'providers', '--', '--forceExit', '--testPathPatterns', tests], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    })
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`tests that kill ${chosen.join(', ')} have failed`)
  }
  const shown = [...Object.keys(killedApart), ...neverKilled].filter((type) => options.resume || types.includes(type))
  return new Map(await Promise.all(shown.map(async (type) => [type, await keptKills(type)] as const)))
}

async function all(world: World): Promise<readonly Result[]> {
  let results: Result[] = options.resume ? (JSON.parse(await readFile(kept, 'utf8').catch(() => '[]')) as Result[]) : []
  await mkdir(resolve(kept, '..'), { recursive: true })
  for (const fault of faults.filter((one) => options.faults.split(',').includes(one)))
    for (const step of steps.filter((one) => options.steps.split(',').includes(one)))
      for (let index = 0; index < rounds(world, step); index += 1) {
        const begun = performance.now()
        const found = await round(world, step, index, fault)
        results = [...results.filter((one) => !found.some((other) => same(one, other))), ...found]
        await writeFile(kept, JSON.stringify(results))
        const took = ((performance.now() - begun) / 1000).toFixed(1)
        console.error(
          `${fault}, ${step} ${index + 1} of ${rounds(world, step)}, ${took} s: ${found.map(({ type, found: what }) => `${type} ${what}`).join('; ')}`,
        )
      }
  await world.nothingLeft()
  return results
}

/** Types that the common matrix kills, all at once. */
async function together(types: readonly string[]): Promise<{ readonly subjects: readonly Subject[]; readonly results: readonly Result[] }> {
  if (types.length === 0) return { subjects: [], results: [] }
  const cluster = await acquireCluster()
  process.env['KUBECONFIG'] = cluster.kubeconfig
  process.env['TASKBOUND_TEST_KUBECTL'] = cluster.kubectl
  let world: World | undefined
  try {
    world = await createWorld(types)
    return { subjects: world.subjects, results: await all(world) }
  } finally {
    await world?.close()
    await cluster.release()
  }
}

const types = options.types.split(',')
const kills = await apart(types)
const found = await together(types.filter((type) => type in subjects))
const page = crashPage(found.subjects, found.results, kills)
console.log(page)
if (options.write) await writeFile(resolve(root, 'docs/reference/crash-matrix.md'), page)
