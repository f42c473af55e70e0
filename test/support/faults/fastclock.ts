// Loaded before the operator (`--import`): its wall clock runs FASTCLOCK times as fast, so that what takes minutes is seen in seconds. The
// monotonic clock, by which it leads and fences, stays true. Replicas that are to agree are given the same FASTCLOCK_SINCE: the moment,
// in milliseconds, at which their clock showed the true time.

const speed = Number(process.env['FASTCLOCK'] ?? '1')
const real = Date.now.bind(Date)
const start = Number(process.env['FASTCLOCK_SINCE'] ?? real())
Date.now = () => start + Math.round((real() - start) * speed)

// Only what waits for a moment of the wall clock wakes as much sooner; it looks at the clock again, and too early costs nothing.
const timer = globalThis.setTimeout
globalThis.setTimeout = ((work: () => void, delay?: number) => {
  const byWallClock = new Error().stack?.includes('/src/kube/deadlines.ts') === true
  return timer(work, byWallClock && delay !== undefined ? delay / speed : delay)
}) as typeof setTimeout
