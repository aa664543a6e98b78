/** The collectors of prom-client's default metrics, one a file. prom-client has no types for them. */
declare module 'prom-client/lib/metrics/*.js' {
  const collect: (registry: object, config: { readonly prefix: string, readonly eventLoopMonitoringPrecision: number }) => void
  export default collect
}
