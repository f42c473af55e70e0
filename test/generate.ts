// Writes everything in the tree that is generated: `npm run generate`. Add a row to `outputs` for anything new.
// Must stay deterministic: test/drift.test.ts compares each row with what is committed.

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { readCrds } from './generate/crds.ts'
import { metricsReference } from './generate/metrics.ts'
import { apiReference, policySchemaReference, reasonsReference, settingsReference } from './generate/reference.ts'
import { apiTypes } from './generate/types.ts'

interface Output {
  /** relative to the root of the repository */
  readonly path: string
  readonly content: () => Promise<string>
}

export const root: string = fileURLToPath(new URL('..', import.meta.url))

export const outputs: readonly Output[] = [
  { path: 'src/api/generated.ts', content: async () => apiTypes(await readCrds(root)) },
  { path: 'docs/reference/api.md', content: async () => apiReference(await readCrds(root)) },
  { path: 'docs/reference/reasons.md', content: async () => reasonsReference() },
  { path: 'docs/reference/policy-schema.md', content: async () => policySchemaReference() },
  { path: 'docs/reference/settings.md', content: async () => settingsReference() },
  { path: 'docs/reference/metrics.md', content: metricsReference },
]

async function writeAll(): Promise<void> {
  for (const output of outputs) {
    const file = `${root}${output.path}`
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, await output.content())
    console.log(`wrote ${output.path}`)
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await writeAll()
