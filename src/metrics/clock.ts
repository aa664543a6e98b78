/**
 * Starts to measure; the function it returns gives the seconds since.
 *
 * The clock is the `process.hrtime` of that moment, as in prom-client: the fake clocks of jest, vitest and sinon replace it. It is the clock at the end
 * too, whatever was installed or taken away in between, for two clocks have nothing in common. A fake clock that was set back gives 0.
 */
export function startClock (): () => number {
  const clock = process.hrtime
  const start = clock()
  return () => {
    const [seconds, nanoseconds] = clock(start)
    return Math.max(seconds + nanoseconds / 1e9, 0)
  }
}
