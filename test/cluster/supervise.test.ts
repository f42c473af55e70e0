import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { eventually } from '../support/cluster.ts'
import { commandLine } from './processes.ts'
import { stopStanding, supervisorOf } from './standing.ts'
import { killGroup, startSupervisor } from './supervise.ts'

jest.setTimeout(15_000) // longer than anything here waits, so that what it waited for is the message

let folder = ''
const owners: ChildProcess[] = []
const supervisors: number[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskbound-test-'))
})
afterEach(async () => {
  for (const owner of owners.splice(0)) owner.kill('SIGKILL')
  for (const supervisor of supervisors.splice(0)) killGroup(supervisor) // what a failed test left
  await rm(folder, { recursive: true, force: true })
})

/** A process that owns a supervisor with one program, and then does what `then` says. Answers it with both process ids. */
async function owner(then: string): Promise<{ owner: ChildProcess; program: number; supervisor: number }> {
  const script = `
    import { startSupervisor } from ${JSON.stringify(join(import.meta.dirname, 'supervise.ts'))}
    const supervisor = await startSupervisor(${JSON.stringify(folder)}, false)
    const program = await supervisor.start('sleeper', 'sleep', ['1000'])
    process.stdout.write(JSON.stringify({ program, supervisor: supervisor.pid }))
    ${then}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  owners.push(child)
  const [line] = await once(child.stdout as NonNullable<typeof child.stdout>, 'data')
  const pids: { program: number; supervisor: number } = JSON.parse(String(line))
  supervisors.push(pids.supervisor)
  return { owner: child, ...pids }
}

const stay = 'setInterval(() => {}, 1000)'

async function nothingLeft(program: number): Promise<void> {
  await eventually(() => {
    expect(commandLine(program)).toBeUndefined()
    expect(existsSync(folder)).toBe(false)
  })
}

describe('what an owner started ends with it', () => {
  test.each(['SIGKILL', 'SIGINT', 'SIGTERM', 'SIGHUP'] as const)('when it is ended by %s', async (signal) => {
    const { owner: child, program } = await owner(stay)
    expect(commandLine(program)).toBe('sleep 1000')
    child.kill(signal)
    await nothingLeft(program)
  })

  test('when it throws', async () => {
    const { program } = await owner('throw new Error()')
    await nothingLeft(program)
  })

  test('when it forgets to stop it: a running program does not keep its owner alive', async () => {
    const { program } = await owner('')
    await nothingLeft(program)
  })

  test('when the supervisor itself is killed, and the owner goes on', async () => {
    const { program, supervisor } = await owner(stay)
    process.kill(supervisor, 'SIGKILL')
    await eventually(() => expect(commandLine(program)).toBeUndefined())
  })
})

test('a detached program outlives its owner until it is stopped by its folder', async () => {
  const { owner: child, program, supervisor } = await owner('await supervisor.detach()')
  if (child.exitCode === null) await once(child, 'exit')
  expect(await supervisorOf(folder)).toBe(supervisor)
  expect(commandLine(program)).toBe('sleep 1000')
  expect(await stopStanding(folder)).toBe(true)
  await nothingLeft(program)
  expect(await stopStanding(folder)).toBe(false)
})

test('a folder that names somebody else’s process is not believed', async () => {
  const { owner: child } = await owner(stay)
  const other = await mkdtemp(join(tmpdir(), 'taskbound-test-'))
  const supervisor = await startSupervisor(other, false)
  await writeFile(join(folder, 'supervisor.pid'), String(supervisor.pid))
  expect(await supervisorOf(other)).toBe(supervisor.pid)
  expect(await supervisorOf(folder)).toBeUndefined()
  child.kill('SIGKILL')
  await supervisor.stop()
})

test('stopping ends every program and removes the folder, twice without harm', async () => {
  const supervisor = await startSupervisor(folder, false)
  const programs = [await supervisor.start('one', 'sleep', ['1000']), await supervisor.start('two', 'sleep', ['1000'])]
  await supervisor.stop()
  await supervisor.stop()
  expect(programs.map(commandLine)).toEqual([undefined, undefined])
  expect(existsSync(folder)).toBe(false)
})

test('the folder stays when it is to be kept, with the output of each program', async () => {
  const supervisor = await startSupervisor(folder, true)
  await supervisor.start('speaker', 'sh', ['-c', 'echo heard'])
  await eventually(() => expect(supervisor.exitOf('speaker')).toBe(0))
  await supervisor.stop()
  expect(existsSync(join(folder, 'speaker.log'))).toBe(true)
})

test('a program that does not heed the signal is killed after its grace', async () => {
  const supervisor = await startSupervisor(folder, false)
  const program = await supervisor.start('deaf', 'sh', ['-c', 'trap "" TERM; echo deaf; while :; do sleep 0.05; done'])
  await eventually(async () => expect(await readFile(join(folder, 'deaf.log'), 'utf8')).toBe('deaf\n'))
  await supervisor.end('deaf', 'SIGTERM', 100)
  expect(commandLine(program)).toBeUndefined()
  expect(supervisor.exitOf('deaf')).toBe('SIGKILL')
  await supervisor.stop()
})

test('a program that is not there is an error that names it', async () => {
  const supervisor = await startSupervisor(folder, false)
  await expect(supervisor.start('none', join(folder, 'no-such-program'), [])).rejects.toThrow('no-such-program')
  await supervisor.stop()
})
