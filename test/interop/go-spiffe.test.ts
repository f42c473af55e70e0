import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { audience, identity } from '../issuer/world.ts'
import { type InteropWorld, startWorld } from './world.ts'

let world: InteropWorld
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.issuer.server.stop())

/** Runs the Go program beside this file, which downloads and builds go-spiffe the first time. */
function verify(bundle: unknown, tokens: Readonly<Record<string, string>>): Record<string, string> {
  const input = JSON.stringify({ trustDomain: identity.trustDomain, audience, bundle, tokens })
  const run = spawnSync('go', ['run', '.'], { cwd: join(import.meta.dirname, 'go'), input, encoding: 'utf8', timeout: 280_000 })
  if (run.error !== undefined || run.status !== 0) throw new Error(`go is needed for this test: ${run.error?.message ?? run.stderr}`)
  return JSON.parse(run.stdout) as Record<string, string>
}

const bundle = async () => (await fetch(`${world.issuer.identity.url}/spiffe/bundle`)).json()

describe('go-spiffe', () => {
  test('accepts a JWT-SVID with our bundle and refuses every forgery', async () => {
    const forgeries = await world.forgeries('JWTSVID')
    const real = await world.sign('JWTSVID', world.claims.JWTSVID)
    expect(verify(await bundle(), { real, ...forgeries })).toEqual({
      real: 'spiffe://corp.example/ns/finance/agent/payroll-clerk/task/11111111-2222-4333-8444-555555555555',
      ...Object.fromEntries(Object.keys(forgeries).map((name) => [name, 'refused'])),
    })
  }, 300_000)
})
