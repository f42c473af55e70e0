// Preloaded before the operator: its wall clock stands ahead by TASKBOUND_TEST_CLOCK_AHEAD seconds, and jumps 60 s at each SIGUSR2.
// The monotonic clock and the timers stay as they are, as on a machine whose clock is set.

const real = Date.now
let ahead = Number(process.env['TASKBOUND_TEST_CLOCK_AHEAD'] ?? 0) * 1000

Date.now = () => real() + ahead
process.on('SIGUSR2', () => {
  ahead += 60_000
})
