/**
 * Starts a clock. The function that it returns gives the seconds since the start.
 *
 * The clock is the `process.hrtime` of the start, as in prom-client: the fake clocks of jest, vitest and sinon replace
 * that function. The end is read from the same function, even if a fake clock was installed or removed in between: the
 * times of two clocks cannot be compared. A fake clock that was set back gives 0.
 */
export function startClock (): () => number {
  const clock = process.hrtime
  const start = clock()
  return () => {
    const [seconds, nanoseconds] = clock(start)
    return Math.max(seconds + nanoseconds / 1e9, 0)
  }
}
