// The tutorial, word for word, on a whole node: all that it says is done and seen, but for making the image, which is there.

import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { blocksOf, createDocumented, type Documented } from '../e2e/support/documented.ts'
import { ensureHelm } from '../tools/helm/build.ts'
import { createRelease, type Release } from './support/release.ts'

const page = 'docs/tutorials/first-agent.md'
let release: Release
let docs: Documented

beforeAll(async () => {
  release = await createRelease()
  await release.remove()
  docs = await createDocumented({ tools: { helm: await ensureHelm(4, process.env) } })
}, 120_000)

afterAll(async () => {
  await docs?.close()
  await release?.close()
})

test('every block, from the first to the last', async () => {
  const begun = Date.now()
  const said: string[] = []
  for (const [i, { kind, text }] of (await blocksOf(page)).entries()) {
    if (kind === 'console') await docs.prints(text, `${page}, block ${i + 1}`)
    else if (!text.startsWith('npm ')) said.push(await docs.shell(text))
  }
  expect(said.join('')).toContain('the credential is here')
  const minutes = (Date.now() - begun) / 60_000
  console.log(`the tutorial took ${minutes.toFixed(1)} minutes, of which none were reading`)
  expect(minutes).toBeLessThan(10)
}, 600_000)
