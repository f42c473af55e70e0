// What the agent's pods run: it reads its credential as often as it can and tries it at a resource server, and tells what it saw, by HTTP.
// Must not keep a credential for longer than its file does.
//   arguments: FILE [URL of a resource server]
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Sighting {
  /** milliseconds since 1970 */
  readonly at: number
  /** `token`: another one than before; `none`: the file is gone; `dead`: what is in the file is past its time */
  readonly what: 'token' | 'none' | 'dead'
  /** of the token, shortened */
  readonly digest?: string
  readonly issued?: number
  readonly expires?: number
}

export interface Answer {
  readonly at: number
  readonly digest: string
  /** `200`, or another status of the resource server and what it said, or why there was none */
  readonly said: string
}

export interface Report {
  readonly sightings: readonly Sighting[]
  /** Each time that the answer was another one than before, and how many there were of each. */
  readonly answers: readonly Answer[]
  readonly counts: Readonly<Record<string, number>>
  /** times that the file was read, and the longest pause between two times, in milliseconds */
  readonly reads: number
  readonly longestPause: number
}

const [file = '', url] = process.argv.slice(2)
const sightings: Sighting[] = []
const answers: Answer[] = []
const counts: Record<string, number> = {}
const every = { readMs: 20, tryMs: 250 }
let reads = 0
let longestPause = 0

interface Read {
  readonly token: string
  readonly digest: string
  readonly issued: number
  readonly expires: number
}

function read(): Read | undefined {
  let token: string
  try {
    token = readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
  const { iat, exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { iat: number; exp: number }
  return { token, digest: createHash('sha256').update(token).digest('hex').slice(0, 12), issued: iat * 1000, expires: exp * 1000 }
}

async function watch(): Promise<never> {
  let last = ''
  for (let before = Date.now(); ; await sleep(every.readMs)) {
    const now = Date.now()
    longestPause = Math.max(longestPause, now - before)
    before = now
    reads += 1
    const found = read()
    const what = found === undefined ? 'none' : now >= found.expires ? 'dead' : 'token'
    const state = `${what} ${found?.digest}`
    if (state === last) continue
    last = state
    const { token: _, ...rest } = found ?? { token: '' }
    sightings.push({ at: now, what, ...rest })
    console.log(JSON.stringify(sightings.at(-1)))
  }
}

async function use(target: string): Promise<never> {
  for (;;) {
    const found = read()
    if (found !== undefined) {
      const reply = await fetch(target, { headers: { authorization: `Bearer ${found.token}` }, signal: AbortSignal.timeout(5_000) }).catch(
        (error: Error) => error,
      )
      const text = reply instanceof Error ? `${reply.message}: ${reply.cause}` : await reply.text().catch((error: Error) => error.message)
      const said = reply instanceof Error ? text : reply.status === 200 ? '200' : `${reply.status} ${text.trim()}`
      counts[said] = (counts[said] ?? 0) + 1
      const last = answers.at(-1)
      if (last?.said !== said || last.digest !== found.digest) answers.push({ at: Date.now(), digest: found.digest, said })
    }
    await sleep(every.tryMs)
  }
}

createServer((request, response) => {
  const report: Report = { sightings, answers, counts, reads, longestPause }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(report), () => {
    if (request.method === 'POST') process.exit(0)
  })
}).listen(8080)
process.on('SIGTERM', () => process.exit(0))
void watch()
if (url !== undefined) void use(url)
