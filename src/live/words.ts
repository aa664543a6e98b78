/** A share as a person reads it: '4.2 %'. */
export function percent (share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`
}

/** A time as a person reads it: '320 ms', '4.2 s', '3 min'. */
export function seconds (time: number): string {
  if (time < 1) return `${Number((time * 1000).toPrecision(2))} ms`
  if (time < 120) return `${Number(time.toPrecision(2))} s`
  return time < 7200 ? `${Math.round(time / 60)} min` : `${Math.round(time / 3600)} h`
}

/** So many of something, whose count may be an average of several processes: '1 connection', '3 connections'. */
export function counted (count: number, what: string): string {
  const whole = Math.round(count)
  const [noun = '', ...rest] = what.split(' ')
  return [whole, whole === 1 ? noun : `${noun}s`, ...rest].join(' ')
}
