// Every relative link of the documentation leads somewhere, and so does every anchor.

import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { expect, test } from '@jest/globals'

const root = resolve(import.meta.dirname, '../..')
const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...globSync('{docs,examples,charts}/**/*.md', { cwd: root })]

const anchorsOf = (file: string): readonly string[] =>
  [...readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

test.each(pages)('the links of %s', (page) => {
  const text = readFileSync(resolve(root, page), 'utf8').replace(/```[\s\S]*?```/g, '')
  const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return []
    const [path = '', anchor] = target.split('#')
    const file = path === '' ? resolve(root, page) : resolve(root, dirname(page), path)
    if (!existsSync(file)) return [target]
    return anchor === undefined || anchorsOf(file).includes(anchor) ? [] : [target]
  })
  expect(broken).toEqual([])
})

test('the documentation names no machine and no registry', () => {
  const found = pages.filter((page) => /\/work\/|\/root\/|registry\.npmjs|proxy\.golang/.test(readFileSync(resolve(root, page), 'utf8')))
  expect(found).toEqual([])
})
