/** The clock of the process, unless this file was loaded under a fake one. */
const real = process.hrtime

/**
 * Starts to measure; the function it returns gives the seconds since.
 *
 * The clock is the `process.hrtime` of that moment, as in prom-client: the fake clocks of jest, vitest and sinon replace it. Where a fake clock was
 * installed, taken away or set back in between, the two readings are not of one clock, and the seconds are those that really passed.
 */
export function startClock (): () => number {
  const clock = process.hrtime
  const start = clock()
  const began = clock === real ? start : real()
  return () => {
    const seconds = process.hrtime === clock ? secondsOf(clock(start)) : -1
    return seconds >= 0 ? seconds : Math.max(secondsOf(real(began)), 0)
  }
}

function secondsOf ([seconds, nanoseconds]: [number, number]): number {
  return seconds + nanoseconds / 1e9
}
