// The layers: imports go only downward, siblings never import each other, and each outside thing has one home.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from '@jest/globals'

const src = resolve(import.meta.dirname, '../src')

/** From the bottom up. Rooms of one row are siblings: none may import another. */
const layers: readonly (readonly string[])[] = [
  ['lib'],
  ['api'],
  ['core'],
  ['ports'],
  ['outbound'],
  ['policy', 'providers', 'issuer', 'kube', 'telemetry'],
  ['runtime'],
  ['http'],
  ['config'],
  ['cli'],
  ['compose'],
  ['main.ts'],
]

/** What only some rooms may import: packages, and Node's own doors to the outside. */
const homes: Readonly<Record<string, readonly string[]>> = {
  '@kubernetes/client-node': ['kube'],
  '@cedar-policy/cedar-wasm/nodejs': ['policy'],
  jose: ['issuer', 'providers'],
  pg: ['providers'],
  '@opentelemetry/api': ['telemetry'],
  '@opentelemetry/sdk-trace': ['telemetry'],
  '@opentelemetry/exporter-trace-otlp-http': ['telemetry'],
  pino: ['telemetry'],
  'prom-client': ['telemetry'],
  'node:http2': ['kube'],
  'node:http': ['http', 'outbound'],
  'node:https': ['http', 'outbound'],
  'node:net': ['http', 'kube', 'issuer', 'outbound', 'config', 'compose', 'main.ts'],
  'node:dns': ['outbound'],
  'node:tls': ['http', 'kube', 'providers', 'outbound'],
  'node:fs': ['telemetry', 'config'],
  'node:fs/promises': ['kube'],
  'node:child_process': [],
}

interface Import {
  readonly file: string
  readonly target: string
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
const roomOf = (file: string): string => file.split('/')[0] ?? file
const rankOf = (room: string): number => layers.findIndex((rooms) => rooms.includes(room))

function importsOf(file: string): readonly Import[] {
  const text = readFileSync(join(src, file), 'utf8')
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]/g,
  )
  return [...found].map((match) => ({ file, target: match[1] ?? match[2] ?? match[3] ?? '' }))
}

const imports = files.flatMap(importsOf)
const inside = imports
  .filter(({ target }) => target.startsWith('.'))
  .map(({ file, target }) => ({ file, target: relative(src, resolve(src, dirname(file), target)) }))
const outside = imports.filter(({ target }) => !target.startsWith('.'))

describe('the layers of src', () => {
  test('every room has its place', () => {
    expect([...new Set(files.map(roomOf))].filter((room) => rankOf(room) < 0)).toEqual([])
  })

  test('imports go only downward, and never to a sibling', () => {
    const wrong = inside.filter(({ file, target }) => {
      const [from, to] = [roomOf(file), roomOf(target)]
      return from !== to && rankOf(to) >= rankOf(from)
    })
    expect(wrong.map(({ file, target }) => `src/${file} imports src/${target}`)).toEqual([])
  })

  test('one provider knows nothing of another', () => {
    const wrong = inside.filter(({ file, target }) => {
      const [room, from = ''] = file.split('/')
      const [other, to = ''] = target.split('/')
      return room === 'providers' && other === 'providers' && !from.endsWith('.ts') && from !== to
    })
    expect(wrong).toEqual([])
  })

  test.each(Object.entries(homes))('only its home imports %s', (name, rooms) => {
    const wrong = outside.filter(({ file, target }) => target === name && !rooms.includes(roomOf(file)))
    expect(wrong.map(({ file }) => `src/${file} imports ${name}`)).toEqual([])
  })

  test('the core and what is below it touch nothing outside', () => {
    const wrong = outside.filter(({ file, target }) => ['lib', 'api', 'core', 'ports'].includes(roomOf(file)) && target !== 'node:crypto')
    expect(wrong).toEqual([])
  })

  test('only the configuration reads flags and the environment, and only the edges read a clock', () => {
    const wrong = files.filter((file) => {
      const text = readFileSync(join(src, file), 'utf8')
      const room = roomOf(file)
      if (room !== 'config' && /process\.(env|argv)/.test(text)) return true
      return room !== 'config' && room !== 'telemetry' && /\bDate\.now\(|new Date\(\)|performance\.now\(|Math\.random\(/.test(text)
    })
    expect(wrong).toEqual([])
  })

  test('no file has grown past what one reader holds', () => {
    const long = files.filter((file) => file !== 'api/generated.ts' && readFileSync(join(src, file), 'utf8').split('\n').length > 320)
    expect(long).toEqual([])
  })
})
