const second = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const minute = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
const zone = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' })

/** The time of day in the viewer's time zone: '12:03:10'. */
export function timeOfDay (time: number): string {
  return second.format(time)
}

/** The time of day, with the date where it is not today's: '27 Nov 12:03:10'. */
export function moment (time: number, now: number): string {
  return day.format(time) === day.format(now) ? second.format(time) : `${day.format(time)} ${second.format(time)}`
}

/** The name of the viewer's time zone: 'CET'. */
export function zoneName (time: number): string {
  return zone.formatToParts(time).find(({ type }) => type === 'timeZoneName')?.value ?? ''
}

/** The texts of a time axis whose labels stand this many milliseconds apart. A new day shows its date. */
export function timeTicks (times: readonly number[], apart: number): string[] {
  return times.map((time) => {
    const text = apart < 60_000 ? second.format(time) : minute.format(time)
    return text === '00:00' ? day.format(time) : text
  })
}
