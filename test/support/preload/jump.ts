// Preloaded before the operator: its wall clock stands ahead by TASKBOUND_TEST_AHEAD milliseconds, and by TASKBOUND_TEST_JUMP more after each
// SIGUSR2, when whatever waits for a moment of the wall clock looks at it again. The monotonic clock, by which it leads and fences, stays.

const real = Date.now
const jump = Number(process.env['TASKBOUND_TEST_JUMP'] ?? '0')
let ahead = Number(process.env['TASKBOUND_TEST_AHEAD'] ?? '0')
Date.now = () => real() + ahead

const waiting = new Map<ReturnType<typeof setTimeout>, () => void>()
const timer = globalThis.setTimeout
const clear = globalThis.clearTimeout
globalThis.setTimeout = ((work: () => void, delay?: number) => {
  if (new Error().stack?.includes('/src/kube/deadlines.ts') !== true) return timer(work, delay)
  const made = timer(() => {
    waiting.delete(made)
    work()
  }, delay)
  waiting.set(made, work)
  return made
}) as typeof setTimeout
globalThis.clearTimeout = ((made: ReturnType<typeof setTimeout>) => {
  waiting.delete(made)
  clear(made)
}) as typeof clearTimeout

process.on('SIGUSR2', () => {
  ahead += jump
  for (const [made, work] of [...waiting]) {
    clear(made)
    waiting.delete(made)
    work()
  }
})
