// Writes everything in the tree that is generated: `npm run generate`. Add a row to `outputs` for anything new.
// Must stay deterministic: test/drift.test.ts compares each row with what is committed.

import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { chartReadme, chartTemplate, templatePath } from './generate/chart.ts'
import { readCrds } from './generate/crds.ts'
import { dashboards } from './generate/dashboards/dashboards.ts'
import { metricsReference } from './generate/metrics.ts'
import { apiReference, policySchemaReference, reasonsReference, settingsReference } from './generate/reference.ts'
import { apiTypes } from './generate/types.ts'

interface Output {
  /** relative to the root of the repository */
  readonly path: string
  readonly content: () => Promise<string>
}

export const root: string = fileURLToPath(new URL('..', import.meta.url))

/** Relative to the root, with what the API server is told and nothing else. */
export const manifests: readonly string[] = ['crds', 'crds/admission'].flatMap((folder) =>
  readdirSync(`${root}${folder}`)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => `${folder}/${name}`),
)

export const outputs: readonly Output[] = [
  { path: 'src/api/generated.ts', content: async () => apiTypes(await readCrds(root)) },
  { path: 'docs/reference/api.md', content: async () => apiReference(await readCrds(root)) },
  { path: 'docs/reference/reasons.md', content: async () => reasonsReference() },
  { path: 'docs/reference/policy-schema.md', content: async () => policySchemaReference() },
  { path: 'docs/reference/settings.md', content: async () => settingsReference() },
  { path: 'docs/reference/metrics.md', content: metricsReference },
  ...dashboards,
  { path: 'charts/taskbound/README.md', content: () => chartReadme(root) },
  ...manifests.map((source) => ({
    path: templatePath(source),
    content: async () => chartTemplate(source, readFileSync(`${root}${source}`, 'utf8')),
  })),
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
