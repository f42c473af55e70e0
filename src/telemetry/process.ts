// Basics of this process under the names that Prometheus clients agree on. Linux only where /proc is read; absent elsewhere.

import { readdirSync, readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Clock } from '../ports/clock.ts'

const resolution = 10

export interface ProcessMetrics {
  /** Brings the figures up to date; called before a scrape. */
  refresh(): void
  /** Stops the timer that measures the event loop. */
  close(): void
}

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}

function mostFiles(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return limit === null ? undefined : Number(limit[1])
  } catch {
    return undefined
  }
}

export function createProcessMetrics(registry: Registry, clock: Clock): ProcessMetrics {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] })
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time spent, in seconds.',
    registers: [registry],
  })
  const resident = gauge('process_resident_memory_bytes', 'Resident memory, in bytes.')
  const files = gauge('process_open_fds', 'Open file descriptors.')
  const heapUsed = gauge('nodejs_heap_size_used_bytes', 'Heap in use, in bytes.')
  const heapTotal = gauge('nodejs_heap_size_total_bytes', 'Heap that V8 holds, in bytes.')
  const lag = {
    p50: gauge('nodejs_eventloop_lag_p50_seconds', 'Median delay of the event loop since the last scrape, in seconds.'),
    p99: gauge('nodejs_eventloop_lag_p99_seconds', '99th percentile of the delay of the event loop since the last scrape, in seconds.'),
    max: gauge('nodejs_eventloop_lag_max_seconds', 'Longest delay of the event loop since the last scrape, in seconds.'),
  }
  gauge('process_start_time_seconds', 'When the process started, in seconds since 1970.').set(
    Math.round(clock.now() / 1000 - process.uptime()),
  )
  const limit = mostFiles()
  if (limit !== undefined) gauge('process_max_fds', 'Most file descriptors that the process may open.').set(limit)

  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  // the histogram holds the time between two ticks of its timer, which is `resolution` when nothing is late
  const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - resolution / 1e3)
  let spent = 0
  return {
    refresh() {
      const { user, system } = process.cpuUsage()
      cpu.inc((user + system - spent) / 1e6)
      spent = user + system
      const memory = process.memoryUsage()
      resident.set(memory.rss)
      heapUsed.set(memory.heapUsed)
      heapTotal.set(memory.heapTotal)
      const open = openFiles()
      if (open !== undefined) files.set(open)
      lag.p50.set(late(delay.percentile(50)))
      lag.p99.set(late(delay.percentile(99)))
      lag.max.set(late(delay.max))
      delay.reset()
    },
    close() {
      delay.disable()
    },
  }
}
