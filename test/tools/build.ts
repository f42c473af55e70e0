// Builds executables of the Go module in a folder, from the versions pinned in its go.mod, once for a machine and outside the clone.
// Must not start what it built.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { say } from '../cluster/environment.ts'
import { commandLine } from '../cluster/processes.ts'

export interface GoTools {
  /** with the go.mod and the go.sum */
  readonly moduleFolder: string
  /** where the executables are kept, in a folder for each state of the module */
  readonly cacheFolder: string
  /** import path by the name of the executable */
  readonly packages: Readonly<Record<string, string>>
  readonly flags: readonly string[]
  /** what is built and from which version, for people */
  readonly what: string
  /** what to say where there is no Go */
  readonly noGo: string
}

/** @returns the folder with the executables */
export async function ensureGoTools(tools: GoTools): Promise<string> {
  const sums = await Promise.all(['go.mod', 'go.sum'].map((name) => readFile(join(tools.moduleFolder, name), 'utf8')))
  const key = createHash('sha256')
    .update([...sums, `${process.platform}/${process.arch}`, ...tools.flags].join('\0'))
    .digest('hex')
    .slice(0, 16)
  const folder = join(tools.cacheFolder, key)
  const missing = () => Object.entries(tools.packages).filter(([name]) => !existsSync(join(folder, name)))
  if (missing().length > 0) {
    await mkdir(folder, { recursive: true })
    await holding(join(folder, 'lock'), tools.what, async () => {
      for (const [name, path] of missing()) await build(tools, name, path, folder)
    })
  }
  return folder
}

async function build(tools: GoTools, name: string, path: string, folder: string): Promise<void> {
  const begun = Date.now()
  const seconds = () => `${Math.round((Date.now() - begun) / 1000)} s`
  say(`building ${name} (${tools.what}): minutes the first time, then it is kept`)
  const tick = setInterval(() => say(`building ${name}: ${seconds()}`), 15_000)
  const unfinished = join(folder, `.${name}.${process.pid}`)
  try {
    await go(tools, ['build', ...tools.flags, '-o', unfinished, path])
    await rename(unfinished, join(folder, name)) // so that nobody ever sees half a binary
    say(`built ${name} in ${seconds()}`)
  } finally {
    clearInterval(tick)
    await rm(unfinished, { force: true })
  }
}

function go({ moduleFolder, noGo }: GoTools, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, { cwd: moduleFolder, env: { ...process.env, CGO_ENABLED: '0' }, stdio: ['ignore', 'ignore', 'pipe'] })
    let tail = ''
    child.stderr.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-4000)
    })
    child.on('error', (error: NodeJS.ErrnoException) => reject(error.code === 'ENOENT' ? new Error(noGo) : error))
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`go ${args.join(' ')} failed with ${code}:\n${tail}`))))
  })
}

/**
 * Runs `work` while holding a lock file that names this process. The lock only saves work: two that hold it at once (both took it from
 * the same dead process) build the same bytes twice, and each rename is atomic.
 */
export async function holding(lock: string, what: string, work: () => Promise<void>): Promise<void> {
  const mine = `${lock}.${process.pid}`
  await writeFile(mine, String(process.pid))
  try {
    for (let told = 0; ; ) {
      // A link is made with its content or not at all, so the file always says whose it is.
      if (await succeeds(link(mine, lock))) break
      const holder = Number(await readFile(lock, 'utf8').catch(() => '0'))
      if (holder > 0 && commandLine(holder) === undefined) await rm(lock, { force: true })
      else {
        if (holder !== told) say(`process ${holder} is building ${what}: waiting for it`)
        told = holder
        await sleep(250)
      }
    }
    try {
      await work()
    } finally {
      await rm(lock, { force: true })
    }
  } finally {
    await rm(mine, { force: true })
  }
}

function succeeds(attempt: Promise<unknown>): Promise<boolean> {
  return attempt.then(
    () => true,
    () => false,
  )
}
