// Finds or fetches a Keycloak, of the version pinned in the pom.xml beside this file, and prepares it to start fast. `TASKBOUND_KEYCLOAK` names
// a folder with one that is there already and was built. It serves tests and nothing else: nothing of it is shipped.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readTestEnvironment, say } from '../../cluster/environment.ts'
import { holding } from '../build.ts'

const run = promisify(execFile)
const pom = join(import.meta.dirname, 'pom.xml')
/** What is settled when it is built, so that it starts without building again. */
const built = ['build', '--db=dev-mem', '--health-enabled=false', '--metrics-enabled=false']
const missing = [
  'java or mvn is not there, and they are needed for the Keycloak that the tests of the provider `oauth` run against',
  '  either install Java 17 or newer and Maven, or set TASKBOUND_KEYCLOAK to the folder of a Keycloak 26 after',
  `  \`bin/kc.sh ${built.join(' ')}\``,
].join('\n')

/** @returns the folder that has `bin/kc.sh` */
export async function ensureKeycloak(env: NodeJS.ProcessEnv): Promise<string> {
  const given = env['TASKBOUND_KEYCLOAK']
  if (given) return given
  const key = createHash('sha256')
    .update([await readFile(pom, 'utf8'), ...built].join('\0'))
    .digest('hex')
    .slice(0, 16)
  const folder = join(readTestEnvironment(env).cacheFolder, 'keycloak')
  const made = join(folder, key)
  if (!existsSync(made)) {
    await mkdir(folder, { recursive: true })
    await holding(join(folder, 'lock'), 'Keycloak', async () => {
      if (!existsSync(made)) await make(folder, made)
    })
  }
  return made
}

async function make(folder: string, made: string): Promise<void> {
  say('fetching Keycloak (the server that the tests of the provider `oauth` run against): a minute the first time, then it is kept')
  const unfinished = join(folder, `.unfinished.${process.pid}`)
  try {
    await tool('mvn', ['-B', '-q', '-f', pom, 'dependency:unpack', `-DoutputDirectory=${unfinished}`])
    const name = (await readdir(unfinished)).find((entry) => entry.startsWith('keycloak-'))
    if (name === undefined) throw new Error('the archive holds no Keycloak')
    const bin = join(unfinished, name, 'bin')
    for (const script of ['kc.sh', 'kcadm.sh']) await chmod(join(bin, script), 0o755)
    await tool(join(bin, 'kc.sh'), built)
    await rename(join(unfinished, name), made) // so that nobody ever sees half of it
    say('Keycloak is ready')
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

async function tool(file: string, args: readonly string[]): Promise<void> {
  try {
    await run(file, args, { maxBuffer: 1 << 26 })
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: unknown; stdout?: string; stderr?: string }
    if (code === 'ENOENT') throw new Error(missing)
    throw new Error(`${file} ${args.join(' ')} failed:\n${`${stdout}${stderr}`.slice(-4000)}`)
  }
}
