// Installs moto, a stand-in for AWS, at the versions pinned in the requirements.txt beside this file, into a virtual environment of its own
// in the user's cache, once. `TASKBOUND_MOTO` names a Python that has it already. It serves tests and nothing else: nothing of it is shipped.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readTestEnvironment, say } from '../../cluster/environment.ts'
import { holding } from '../build.ts'

const run = promisify(execFile)
const what = 'the stand-in for AWS that the tests of the provider `aws` run against'
const noPython = [
  'python3 with the module venv is not there, and it is needed once to install moto, which the tests of the provider `aws` run against',
  '  either install it (Debian: python3-venv), or set TASKBOUND_MOTO to the path of a python that has moto[server] 5.2',
].join('\n')

/** @returns the path of a Python that has it: `python -m moto.server` */
export async function ensureMoto(env: NodeJS.ProcessEnv): Promise<string> {
  const given = env['TASKBOUND_MOTO']
  if (given) return given
  const requirements = join(import.meta.dirname, 'requirements.txt')
  const key = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 16)
  const folder = join(readTestEnvironment(env).cacheFolder, 'moto', key)
  const [python, whole] = [join(folder, 'bin', 'python'), join(folder, 'whole')]
  if (existsSync(whole)) return python
  await mkdir(folder, { recursive: true })
  await holding(`${folder}.lock`, what, async () => {
    if (existsSync(whole)) return
    say(`installing moto (${what}): about a minute the first time, then it is kept`)
    await rm(folder, { recursive: true, force: true })
    await run('python3', ['-m', 'venv', folder]).catch(() => {
      throw new Error(noPython)
    })
    await run(python, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--no-deps', '-r', requirements])
    await writeFile(whole, '')
    say('installed moto')
  })
  return python
}
