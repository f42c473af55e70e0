// The bundle runs by itself, away from the checkout, and the image is made of nothing else.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { helpText } from '../../src/config/settings.ts'
import { root } from '../generate.ts'
import { startCollector } from '../support/collector.ts'

const parent = mkdtempSync(join(tmpdir(), 'taskbound-bundle-'))
const folder = join(parent, 'dist')
afterAll(() => rmSync(parent, { recursive: true }))
const run = (args: readonly string[]) => spawnSync(process.execPath, args, { cwd: folder, env: {}, encoding: 'utf8' })

beforeAll(() => {
  const { status, stderr } = spawnSync(process.execPath, [`${root}scripts/bundle.ts`, folder], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
})

test('it needs nothing but Node: Cedar is loaded before the help is printed', () => {
  const { stdout, stderr } = run(['taskbound.mjs', '--help'])
  expect(stderr).toBe('')
  expect(stdout).toBe(helpText())
})

test('what a pod never needs is in a file that is not loaded there', () => {
  const main = readFileSync(join(folder, 'taskbound.mjs'), 'utf8')
  expect(main.length).toBeLessThan(2_000_000)
  expect(main).not.toContain('class CoreV1Api')
  // and it is there for who brings a kubeconfig
  const { stderr } = run(['taskbound.mjs', '--kubeconfig', '/nonexistent'])
  expect(stderr).toContain('the kubeconfig cannot be read')
})

test('what sends spans is in a file that is loaded where a collector is named, and sends them', async () => {
  const main = readFileSync(join(folder, 'taskbound.mjs'), 'utf8')
  expect(main).not.toContain('BatchSpanProcessor')
  const [file] = readdirSync(folder).filter((name) => /^tracing-.*\.mjs$/.test(name))
  const collector = await startCollector()
  const script = `
    import { createTracing } from './${file}'
    const tracing = createTracing({ url: '${collector.url}', version: '0', replica: 'r', namespace: 'n', log: console })
    await tracing.span('task.pass', {}, async () => undefined)
    await tracing.close()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: folder, env: {}, stdio: 'inherit' })
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(collector.spans().map(({ name }) => name)).toEqual(['task.pass'])
  await collector.close()
})

test('the build knows the commit that it was made of, or says that it does not', () => {
  const main = readFileSync(join(folder, 'taskbound.mjs'), 'utf8')
  expect(main).toMatch(/\brevision = .*"(?:[0-9a-f]{40}(?:-dirty)?|unknown)"/)
})

test('nothing of this machine is in it, and the licences of what is', () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.mjs'))) {
    expect(readFileSync(join(folder, name), 'utf8').includes(root)).toBe(false)
  }
  const licenses = readFileSync(join(folder, 'licenses.txt'), 'utf8')
  for (const name of [
    '@cedar-policy/cedar-wasm',
    '@kubernetes/client-node',
    'jose',
    'pg',
    'pino',
    'prom-client',
    '@opentelemetry/sdk-trace',
  ]) {
    expect(licenses).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+: [A-Z]`, 'm'))
  }
})

test('the Containerfile copies it, runs as a numeric user, and runs nothing while it is built', () => {
  const lines = readFileSync(`${root}Containerfile`, 'utf8').split('\n')
  const instructions = lines.filter((line) => /^[A-Z]+ /.test(line))
  const of = (word: string) => instructions.filter((line) => line.startsWith(`${word} `))
  expect([...of('RUN'), ...of('ADD'), ...of('ENV')]).toEqual([])
  expect(of('COPY')).toEqual(['COPY LICENSE dist/ /app/'])
  expect(of('USER')).toEqual(['USER 65532:65532'])
  expect(of('CMD')).toEqual(['CMD ["/app/taskbound.mjs"]'])
  expect(of('ARG')).toEqual([expect.stringMatching(/^ARG BASE=\S+\/nodejs24-\S+:nonroot$/)])
  expect(readFileSync(`${root}.containerignore`, 'utf8')).toBe('*\n!LICENSE\n!dist\n')
})
