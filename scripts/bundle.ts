// `npm run bundle [-- FOLDER]`: the operator with all it imports as a few files, and Cedar's WebAssembly beside them, in dist/ or FOLDER. The
// image is made of these. Nothing is minified, so that the stack of a crash can be read.

import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'

const root = resolve(import.meta.dirname, '..')
const wasm = 'cedar_wasm_bg.wasm'
/** What is CommonJS among the dependencies asks for these; Cedar's module reads its WebAssembly from `__dirname`. */
const banner = [
  "import { createRequire as taskboundCreateRequire } from 'node:module'",
  'const require = taskboundCreateRequire(import.meta.url)',
  'const __filename = import.meta.filename',
  'const __dirname = import.meta.dirname',
].join('\n')

/** @param folder empty */
async function bundle(folder: string): Promise<void> {
  const { warnings, metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['src/main.ts'],
    outdir: folder,
    entryNames: 'taskbound',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // the client that reads kubeconfigs is most of the code, and is not loaded in a pod
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: banner },
    // `pg` asks for it and does without
    external: ['pg-native'],
    legalComments: 'none',
    define: { taskboundRevision: JSON.stringify(await findRevision()) },
    metafile: true,
    logLevel: 'error',
  })
  if (warnings.length > 0) throw new Error(warnings.map(({ text }) => text).join('\n'))
  await copyFile(join(dirname(createRequire(import.meta.url).resolve('@cedar-policy/cedar-wasm/nodejs')), wasm), join(folder, wasm))
  await writeFile(join(folder, 'licenses.txt'), await licensesOf(Object.keys(metafile.inputs)))
}

/** The commit that is bundled, marked where files differ from it; `unknown` outside of a checkout. */
async function findRevision(): Promise<string> {
  const git = async (...args: readonly string[]): Promise<string> => (await promisify(execFile)('git', args, { cwd: root })).stdout.trim()
  try {
    const head = await git('rev-parse', '--verify', 'HEAD')
    return (await git('status', '--porcelain', '--untracked-files=no')) === '' ? head : `${head}-dirty`
  } catch {
    return 'unknown'
  }
}

/** The licence of each package that something was taken from; a package without one throws. */
async function licensesOf(inputs: readonly string[]): Promise<string> {
  const folders = new Set(
    inputs.flatMap((input) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []).map((path) => resolve(root, path)),
  )
  const texts = [...folders].sort().map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Record<string, string>
    const [file] = globSync('{LICENSE,LICENCE,license}*', { cwd: folder })
    if (license === undefined && file === undefined) throw new Error(`${name} has no licence`)
    return `${name} ${version}: ${license}\n\n${file === undefined ? '' : await readFile(join(folder, file), 'utf8')}`
  })
  return (await Promise.all(texts)).join(`\n${'-'.repeat(80)}\n\n`)
}

const given = process.argv[2]
const folder = resolve(given ?? join(root, 'dist'))
// only what is known to be made here is emptied: a folder that somebody names must not exist yet
if (given === undefined) await rm(folder, { recursive: true, force: true })
await mkdir(folder)
await bundle(folder)
