import { connect } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { Material } from '../../src/lib/material.ts'
import type { LogField } from '../../src/ports/log.ts'
import { describeError, isError } from '../../src/telemetry/failure.ts'
import { createLog, type LogLevel, openLogStream } from '../../src/telemetry/log.ts'
import { makeClock, makeSink } from './make.ts'

// lower-case and short, so that no pattern of `redact` helps: the allow-list alone must hold it back
const canary = 'canary-7d3f'

const fakeFrames = `\n    at f (/app/${canary}.js:1:1)\n    at /app/${canary}.js:1:1\n    at y`

class OurError extends Error {
  override readonly name = 'OurError'
  readonly reason = 'WriteFailed'
  readonly status = 503
}

class TheirError extends Error {
  readonly config = { headers: { authorization: canary } }
  readonly options = { password: canary }
  readonly response = { status: 500, headers: { 'set-cookie': canary }, data: canary }
  readonly body = canary
  readonly code = 'ERR_BAD_RESPONSE'
  readonly statusCode = 500
}

function open(level: LogLevel = 'debug', base: Record<string, string> = { replica: 'a' }) {
  const sink = makeSink()
  return { ...sink, log: createLog({ level, clock: makeClock(), base, stream: sink.stream, safeErrors: [OurError] }) }
}

const thrown = (error: unknown): Error => error as Error

describe('an error under the lowest level shows nothing of a planted secret', () => {
  const cases: readonly (readonly [string, () => unknown])[] = [
    ['in the message', () => new Error(`refused ${canary}`)],
    ['in a message of many lines that look like frames', () => new Error(`x${fakeFrames}`)],
    ['in a message that was changed later', () => changedLater('y')],
    ['in a message that was emptied later', () => changedLater('')],
    ['in the cause', () => new Error('x', { cause: new Error(canary) })],
    ['in the cause of an error of our own', () => new OurError('no answer', { cause: new TheirError(canary) })],
    ['in config, headers, options, response and body', () => new TheirError(canary)],
    ['in an AggregateError', () => new AggregateError([new Error(canary)], canary)],
    ['in the name', () => Object.assign(new Error('x'), { name: canary })],
    ['in the code', () => Object.assign(new Error('x'), { code: canary })],
    ['in a code that Node uses, with a message that Node did not write', () => Object.assign(new Error(canary), { code: 'ECONNRESET' })],
    [
      'in a message under all signs of a system error',
      () => Object.assign(new Error(canary), { code: 'ECONNRESET', errno: -104, syscall: 'read' }),
    ],
    ['in the reason of an error that is not ours', () => Object.assign(new Error('x'), { reason: canary })],
    ['in the stack', () => Object.assign(new Error('x'), { stack: `Error: x\n${canary}\n  at ${canary}` })],
    [
      "in a Node error about an argument's type",
      () => captured(() => Buffer.from(Object.assign(() => undefined, { [canary]: 1 }) as never)),
    ],
    ['in a JSON syntax error', () => captured(() => JSON.parse(`{"a": ${canary}}`))],
    ['in an invalid URL', () => captured(() => new URL(canary))],
    ['in toJSON', () => Object.assign(new Error('x'), { toJSON: () => canary })],
    ['in something thrown that is no error', () => ({ message: canary })],
  ]
  test.each(cases)('%s', (_where, make) => {
    const { log, text } = open()
    for (const key of ['error', 'err', 'cause', 'req', 'res', 'msg']) log.debug('failed', { [key]: thrown(make()) })
    // the types forbid it; at run time it must not be copied property by property
    if (isError(make())) log.error('failed', make() as never)
    expect(text()).toContain('failed')
    expect(text()).not.toContain(canary)
    expect(JSON.stringify(describeError(make(), [OurError]))).not.toContain(canary)
  })
})

/** The text of a stack is made when it is first read. */
function changedLater(message: string): Error {
  const error = new Error(`x${fakeFrames}`)
  expect(error.stack).toContain(canary)
  return Object.assign(error, { message })
}

function captured(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

test('a field that the types forbid is named by its type', () => {
  const { log, text, lines } = open()
  const odd = { object: { canary }, list: [{ canary }], bytes: Buffer.from(canary), material: new Material(canary), fn: () => canary }
  log.info('odd', odd as unknown as Record<string, LogField>)
  expect(text()).not.toContain(canary)
  expect(lines()[0]).toMatchObject({ object: '[object]', list: ['[object]'], material: '[object]' })
})

test('what looks like a credential is taken out of every text, list, message and error of our own', () => {
  const { log, text, lines } = open()
  const token = `ghs_${canary.replaceAll('-', '')}xyz`
  log.info(`got ${token}`, { field: token, list: ['a', token], error: new OurError(`refused ${token}`) })
  expect(text()).not.toContain(token)
  expect(lines()[0]).toMatchObject({ msg: 'got [token]', field: '[token]', list: ['a', '[token]'], error: { message: 'refused [token]' } })
})

test('an error of our own keeps message, reason and status; every error keeps where it was thrown', () => {
  const { log, lines } = open()
  log.warn('failed', { error: new OurError('the provider did not answer') })
  expect(lines()[0].error).toMatchObject({
    name: 'OurError',
    message: 'the provider did not answer',
    reason: 'WriteFailed',
    status: 503,
  })
  for (const message of ['x', '', 'Error', 'two\nlines']) expect(describeError(new Error(message), []).stack).toBeDefined()
  const their = describeError(new TheirError('x'), [])
  expect(their).toMatchObject({ name: 'Error', code: 'ERR_BAD_RESPONSE', status: 500 })
  expect(their.stack?.[0]).toMatch(/test\/telemetry\/log\.test\.ts:\d+:\d+$/)
  expect(their.stack?.[0]).not.toContain(process.cwd())
})

test('a system error of Node keeps its message', async () => {
  const error = await new Promise<Error>((resolve) => connect(1, '127.0.0.1').on('error', resolve))
  expect(describeError(error, [])).toMatchObject({ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:1' })
})

test('an error whose properties throw does not break the line', () => {
  const { log, lines } = open()
  const hostile = Object.defineProperty(new Error('x'), 'code', {
    get: () => {
      throw new Error(canary)
    },
  })
  log.error('failed', { error: hostile, task: 'a/b' })
  expect(lines()[0]).toMatchObject({ msg: 'failed', task: 'a/b', error: { name: 'Error' } })
})

test('a line has the level by name, the time of the clock, the base fields, and no key twice', () => {
  const { log, text, lines } = open('info', { replica: 'a' })
  log.debug('not written')
  log.info('written', { task: 'payroll/close', count: 2, yes: true, none: undefined, replica: 'x', time: 'x', level: 'x', msg: 'x' })
  expect(lines()).toEqual([
    {
      level: 'info',
      time: '2026-03-01T10:00:00.123Z',
      replica: 'a',
      task: 'payroll/close',
      count: 2,
      yes: true,
      replica_: 'x',
      time_: 'x',
      level_: 'x',
      msg_: 'x',
      msg: 'written',
    },
  ])
  expect(text().match(/"time":/g)).toHaveLength(1)
})

test('a reader that went away breaks nothing', () => {
  const stream = openLogStream(99_999)
  expect(() => {
    stream.write('x\n')
    stream.flush()
  }).not.toThrow()
})
