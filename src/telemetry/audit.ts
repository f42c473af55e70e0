// The audit stream: one JSON object a line, fields in a fixed order. It must never hold up an issue or a revocation: what the
// reader does not take is lost beyond a bound, counted, and seen in the stream itself as a gap in `sequence`. The lines of one turn of the
// event loop are handed over together at its end, so a crash loses those of its own turn at most.

import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { type Instant, minus, seconds } from '../lib/instant.ts'
import type { Clock } from '../ports/clock.ts'
import type { AuditEntry } from '../ports/journal.ts'
import type { Log } from '../ports/log.ts'
import type { Meter } from '../ports/meter.ts'
import { redact } from './redact.ts'

export interface AuditOptions {
  /** Opens the stream; called again, at most once a second, after it broke. */
  readonly open: () => Writable
  readonly clock: Clock
  /** name of this replica; a sequence is one replica's, from its start */
  readonly replica: string
  readonly meter: Pick<Meter, 'auditFailed'>
  readonly log: Log
  /** most bytes that wait for the reader, 8 MiB by default */
  readonly mostBuffered?: number
}

export interface AuditStream {
  audit(entry: AuditEntry): void
  /** Resolves once everything accepted is written or lost. A reader that stalls holds it up: the caller bounds it. */
  flush(): Promise<void>
}

/** Opens a file to append to, readable by its owner alone, or standard output. A pipe whose reader stalls blocks nobody. */
export function openAuditFile(path: string | undefined): Writable {
  // not a file stream over descriptor 1: that fails with EAGAIN where the pipe does not block, and may close the descriptor
  if (path === undefined) return process.stdout
  return createWriteStream(path, { flags: 'a', mode: 0o600 })
}

const text = (value: string | undefined): string | undefined => (value === undefined ? undefined : redact(value))

function line(entry: AuditEntry, head: { readonly time: Instant; readonly replica: string; readonly sequence: number }): string {
  const { subject } = entry
  const slash = subject.task.indexOf('/')
  // members that are undefined are left out; the order of the rest is the order here
  return `${JSON.stringify({
    audit: 'taskbound.dev/v1',
    time: new Date(head.time).toISOString(),
    replica: head.replica,
    sequence: head.sequence,
    kind: entry.kind,
    namespace: subject.task.slice(0, slash),
    task: subject.task.slice(slash + 1),
    taskUid: subject.taskUid,
    agent: text(subject.agent),
    action: text(subject.action),
    requestedBy: text(subject.requestedBy),
    credential: text(entry.credential),
    provider: text(entry.provider),
    attempt: entry.attempt,
    reason: entry.reason,
    message: redact(entry.message),
    policies: entry.policies?.map(redact),
    policyDigest: entry.policyDigest,
    expirationTime: entry.expirationTime,
  })}\n`
}

export function createAudit(options: AuditOptions): AuditStream {
  const { clock, replica, meter, log } = options
  const mostBuffered = options.mostBuffered ?? 8 * 1024 * 1024
  let sequence = 0
  let pending = 0
  let stream: Writable | undefined
  let openedAt: Instant | undefined
  let waiting: (() => void)[] = []
  let torn = false
  let held: Writable | undefined
  const watched = new WeakSet<Writable>()

  const broke = (failed: Writable, error: Error): void => {
    if (stream !== failed) return
    stream = undefined
    torn = true
    log.error('audit stream broke', { error })
  }
  const usable = (): Writable | undefined => {
    if (stream !== undefined && !stream.destroyed) return stream
    const now = clock.now()
    // also when the wall clock went back
    if (openedAt !== undefined && openedAt > minus(now, seconds(1)) && openedAt <= now) return undefined
    openedAt = now
    const opened = options.open()
    // standard output is the same object each time, and may be beyond help
    if (!watched.has(opened)) opened.on('error', (error: Error) => broke(opened, error))
    watched.add(opened)
    stream = opened.destroyed ? undefined : opened
    return stream
  }
  const settled = (): void => {
    pending -= 1
    if (pending > 0) return
    for (const wake of waiting) wake()
    waiting = []
  }

  // one system call a turn, not one a line: each wakes the reader, who takes the processor from us
  const hold = (target: Writable): void => {
    if (held === target) return
    held = target
    target.cork()
    setImmediate(release, target)
  }
  const release = (target: Writable): void => {
    if (held === target) held = undefined
    target.uncork()
  }

  return {
    audit(entry) {
      sequence += 1
      const target = usable()
      if (target === undefined || target.writableLength > mostBuffered) {
        meter.auditFailed()
        return
      }
      hold(target)
      pending += 1
      // a line that was written in part must not swallow the next one
      const start = torn ? '\n' : ''
      torn = false
      target.write(start + line(entry, { time: clock.now(), replica, sequence }), (error) => {
        if (error) meter.auditFailed()
        settled()
      })
    },
    flush() {
      if (held !== undefined) release(held)
      return pending === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))
    },
  }
}
