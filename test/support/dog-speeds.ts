/** Metres per second of 10,000 dogs, which are lognormal, and the same each time. */
export const SPEEDS = lognormal(10_000, 0, 0.5)
/** Two more, which dog_speed has with exemplars. */
export const TRACED = { slow: 0.2, fast: 5 }
/** Speeds in a narrow range: all that dog_speed_lowered has at first. */
export const NARROW = SPEEDS.filter((value) => value > 0.9 && value < 1.1)
/** The classic buckets of dog_speed. */
export const BUCKETS = [0.25, 0.5, 1, 2, 4]

/** The speeds of dogs in histograms, one for each kind of native buckets. */
export interface DogSpeeds {
  /** Its native buckets become wider when it is given a value that is far from NARROW. */
  readonly lowered: Instrument
  /**
   * Observes SPEEDS in the other histograms: dog_speed_coarse gets their powers of 30, dog_balance their logarithms and
   * a zero, dog_nothing none.
   */
  observe (): void
}

interface Instrument {
  observe (value: number, exemplarLabels?: Record<string, string>): void
  labels (...values: string[]): Pick<Instrument, 'observe'>
  zero (): void
}

/** The Histogram of the sources, or of the package that was built from them. */
type Histogram = new (config: { name: string, help: string, labelNames?: string[], buckets: number[], native: object }) => Instrument

/** Makes the histograms, in prom-client's own registry. */
export function dogSpeeds (Histogram: Histogram): DogSpeeds {
  const speed = new Histogram({ name: 'dog_speed', help: 'Classic and native buckets.', labelNames: ['size'], buckets: BUCKETS, native: {} })
  const fine = new Histogram({ name: 'dog_speed_fine', help: 'Fine native buckets alone.', buckets: [], native: { growthFactor: 1.01, maxBuckets: 1000 } })
  const coarse = new Histogram({ name: 'dog_speed_coarse', help: 'The widest native buckets.', buckets: [], native: { growthFactor: 65536 } })
  const lowered = new Histogram({ name: 'dog_speed_lowered', help: 'Few native buckets, so that they become wider.', buckets: BUCKETS, native: { maxBuckets: 20 } })
  const balance = new Histogram({ name: 'dog_balance', help: 'Below, at and above zero.', buckets: [0, 1], native: { zeroThreshold: 0.01 } })
  const nothing = new Histogram({ name: 'dog_nothing', help: 'Nothing observed.', buckets: [], native: {} })
  for (const value of NARROW) lowered.observe(value)
  return {
    lowered,
    observe () {
      for (const value of SPEEDS) {
        speed.labels('m').observe(value)
        fine.observe(value)
        coarse.observe(value ** 30)
        balance.observe(Math.log(value))
      }
      speed.labels('m').observe(TRACED.slow, { trace_id: 'slow', span_id: 'tail' })
      speed.labels('m').observe(TRACED.fast, { trace_id: 'fast' })
      balance.observe(0)
      nothing.zero()
    }
  }
}

/** Values that look random and are the same each time: exp of mu + sigma times a normal one. */
function lognormal (size: number, mu: number, sigma: number): number[] {
  let state = 20_240_229
  const uniform = () => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 2 ** 32
  }
  // Box and Muller.
  return Array.from({ length: size }, () => Math.exp(mu + sigma * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())))
}
