/**
 * Starts to measure; the function it returns gives the seconds since.
 *
 * The clock is the `process.hrtime` of that moment, as in prom-client: the fake clocks of jest, vitest and sinon replace it. Where a fake clock was
 * installed, taken away or set back in between, the two readings are not of one clock, and the seconds are those that really passed.
 */
export function startClock (): () => number {
  const clock = process.hrtime
  const start = process.hrtime()
  // Seconds on a clock that none of them replaces, as they do `performance`.
  const began = process.uptime()
  return () => {
    if (process.hrtime === clock) {
      const [seconds, nanoseconds] = process.hrtime(start)
      const passed = seconds + nanoseconds / 1e9
      if (passed >= 0) return passed
    }
    return process.uptime() - began
  }
}
