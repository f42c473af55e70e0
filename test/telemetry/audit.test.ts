import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { expect, test } from '@jest/globals'
import { createAudit, openAuditFile } from '../../src/telemetry/audit.ts'
import { entry, makeClock, makeSink, silent } from './make.ts'

function make(open: () => Writable, mostBuffered?: number) {
  const clock = makeClock()
  let failures = 0
  const meter = { auditFailed: () => void failures++ }
  const limit = mostBuffered === undefined ? {} : { mostBuffered }
  return { clock, failures: () => failures, audit: createAudit({ open, clock, replica: 'pod-a', meter, log: silent, ...limit }) }
}

test('an entry is one line with its fields in a fixed order', async () => {
  const sink = makeSink()
  const { audit } = make(() => sink.stream)
  audit.audit(entry())
  await audit.flush()
  expect(sink.text()).toBe(
    `{"audit":"taskbound.dev/v1","time":"2026-03-01T10:00:00.123Z","replica":"pod-a","sequence":1,"kind":"issue",` +
      `"namespace":"payroll","task":"close-books","taskUid":"6f1c0d1e-0000-4000-8000-000000000001","agent":"payroll-clerk",` +
      `"action":"payroll.reconcile","requestedBy":"jane@corp.example","credential":"payroll-api","provider":"corp","attempt":1,` +
      `"reason":"Issued","message":"issued a token for \`https://payroll-api.corp.example\`","policies":["allow-payroll"],` +
      `"policyDigest":"sha256:${'a1'.repeat(32)}","expirationTime":"2026-03-01T10:10:00Z"}\n`,
  )
})

test('no text breaks out of its line, and none carries what looks like a credential', async () => {
  const sink = makeSink()
  const { audit } = make(() => sink.stream)
  audit.audit(entry({ message: 'a\n{"audit":"forged"}\u2028 Bearer abcdefgh12', policies: ['p\n', `ghs_${'a1'.repeat(18)}`] }))
  await audit.flush()
  expect(sink.lines()).toHaveLength(1)
  expect(sink.lines()[0]).toMatchObject({ message: 'a\n{"audit":"forged"}\u2028 Bearer [redacted]', policies: ['p\n', '[token]'] })
})

test('a reader that stalls holds nobody up: beyond the bound entries are lost, counted, and seen as a gap', async () => {
  let release: () => void = () => undefined
  const written: string[] = []
  let stalled = true
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk))
      if (stalled) release = done
      else done()
    },
  })
  const { audit, failures } = make(() => stream, 2_000)
  for (let i = 0; i < 100; i++) audit.audit(entry())
  expect(failures()).toBeGreaterThan(90)
  expect(stream.writableLength).toBeLessThan(3_000)
  const flushed = audit.flush()
  stalled = false
  release()
  await flushed
  expect(written.length + failures()).toBe(100)
  audit.audit(entry())
  await audit.flush()
  expect(written.map((line) => JSON.parse(line).sequence).at(-1)).toBe(101)
})

test('the lines of one turn are one write in their order, and none waits for the next turn or for a flush that is called', async () => {
  const writes: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      writes.push(String(chunk))
      done()
    },
    writev(chunks, done) {
      writes.push(chunks.map(({ chunk }) => String(chunk)).join(''))
      done()
    },
  })
  const { audit } = make(() => stream)
  const sequences = () => writes.map((text) => text.trimEnd().split('\n')).map((lines) => lines.map((line) => JSON.parse(line).sequence))
  for (let i = 0; i < 3; i += 1) audit.audit(entry())
  expect(writes).toEqual([])
  await new Promise(setImmediate)
  expect(sequences()).toEqual([[1, 2, 3]])
  audit.audit(entry())
  await Promise.resolve()
  audit.audit(entry())
  const flushed = audit.flush()
  expect(sequences().slice(1)).toEqual([[4, 5]])
  // also what comes in the turn of a flush
  audit.audit(entry())
  await new Promise(setImmediate)
  expect(sequences().slice(2)).toEqual([[6]])
  await flushed
})

test('a broken stream counts what it lost, is opened again after a second, and flush still ends', async () => {
  const sink = makeSink()
  let opened = 0
  const broken = () =>
    new Writable({
      write(_chunk, _encoding, done) {
        done(new Error('no space'))
      },
    })
  const { audit, failures, clock } = make(() => (++opened === 1 ? broken() : sink.stream))
  audit.audit(entry())
  await audit.flush()
  await new Promise(setImmediate)
  expect(failures()).toBe(1)
  audit.audit(entry())
  expect({ opened, failures: failures() }).toEqual({ opened: 1, failures: 2 })
  clock.move(1_000)
  audit.audit(entry())
  await audit.flush()
  expect({ opened, failures: failures() }).toEqual({ opened: 2, failures: 2 })
  // a line of its own, whatever part of the last one was written
  expect(sink.text().startsWith('\n{')).toBe(true)
  expect(sink.lines()[0]).toMatchObject({ sequence: 3 })
})

test('a file is appended to and readable by its owner alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'))
  const path = join(folder, 'audit.jsonl')
  try {
    for (let run = 0; run < 2; run++) {
      const { audit, failures } = make(() => openAuditFile(path))
      audit.audit(entry())
      audit.audit(entry({ kind: 'end' }))
      await audit.flush()
      expect(failures()).toBe(0)
    }
    expect(readFileSync(path, 'utf8').trim().split('\n')).toHaveLength(4)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a file that cannot be opened costs entries, each counted, and nothing else', async () => {
  const { audit, failures } = make(() => openAuditFile('/nowhere/at/all/audit.jsonl'))
  audit.audit(entry())
  await audit.flush()
  expect(failures()).toBe(1)
})

test.each([
  ['when the process has nothing left to do', '', 0],
  ['when a later turn crashes', "setImmediate(() => { throw new Error('crash') })", 1],
])('no line is lost %s', async (_name, then, code) => {
  const source = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)
  const script = `
    const { createAudit, openAuditFile } = await import(${source('telemetry/audit.ts')})
    const { systemClock: clock } = await import(${source('config/system.ts')})
    const log = { error: () => undefined }
    const audit = createAudit({ open: () => openAuditFile(undefined), clock, replica: 'a', meter: { auditFailed: () => undefined }, log })
    for (let i = 0; i < 20; i++) audit.audit(${JSON.stringify(entry())})
    ${then}
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  expect(await once(child, 'close')).toEqual([code, null])
  expect(text.trim().split('\n')).toHaveLength(20)
})

test('standard output as a pipe whose reader waits neither blocks the writer nor loses a line', async () => {
  const source = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)
  const script = `
    const { createAudit, openAuditFile } = await import(${source('telemetry/audit.ts')})
    const { createLog, openLogStream } = await import(${source('telemetry/log.ts')})
    const { systemClock: clock } = await import(${source('config/system.ts')})
    const log = createLog({ level: 'info', clock, base: {}, stream: openLogStream(2), safeErrors: [] })
    const meter = { auditFailed: () => log.error('lost') }
    const audit = createAudit({ open: () => openAuditFile(undefined), clock, replica: 'a', meter, log })
    const entry = ${JSON.stringify(entry())}
    for (let i = 0; i < 2000; i++) {
      audit.audit(entry)
      if (i % 100 === 0) await new Promise(setImmediate)
    }
    log.info('written')
    await audit.flush()
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close')
  try {
    // it says so while nobody has read more than a pipe holds of its 1 MB
    const [said] = await once(child.stderr.setEncoding('utf8'), 'data')
    expect(said).toContain('"msg":"written"')
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    await closed
    expect(child.exitCode).toBe(0)
    expect(
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).sequence),
    ).toEqual(Array.from({ length: 2_000 }, (_, i) => i + 1))
  } finally {
    child.kill('SIGKILL')
  }
})
