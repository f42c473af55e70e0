// Makes and loads the images that the tests on the node use: the operator's, one with the agent and the resource server, and what stands for
// those that the examples name.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { loadImage } from '../../cluster/node/containers.ts'
import { buildOperator, makeBusybox, makeNodeImage } from '../../cluster/node/images.ts'

const root = resolve(import.meta.dirname, '../../..')
export const operatorImage = { registry: 'registry.example.com', repository: 'platform/taskbound', tag: '0.1.0' } as const
export const agentImage = 'taskbound.dev/test/agent:1'
export const shellImage = 'docker.io/library/busybox:1.37'
const nodeImage = 'docker.io/library/node:24-alpine'

export async function loadImages(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'taskbound-images-'))
  try {
    const { registry, repository, tag } = operatorImage
    await loadImage(await buildOperator(folder, `${registry}/${repository}:${tag}`))
    await loadImage(await makeBusybox(folder, shellImage))
    await loadImage(await makeAgent(folder))
    await loadImage(await makeNode(folder))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function makeAgent(folder: string): Promise<string> {
  const entries = { agent: 'test/node/agent/agent.ts', 'resource-server': 'examples/resource-server/main.ts' }
  await build({
    absWorkingDir: root,
    entryPoints: entries,
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  })
  const file = join(folder, 'agent.tar')
  const files = Object.fromEntries(Object.keys(entries).map((name) => [`/app/${name}.mjs`, join(folder, `${name}.mjs`)]))
  await makeNodeImage(file, agentImage, files)
  return file
}

async function makeNode(folder: string): Promise<string> {
  const file = join(folder, 'node.tar')
  await makeNodeImage(file, nodeImage, { '/usr/local/bin/node': join(root, 'node_modules/node/bin/node') })
  return file
}
