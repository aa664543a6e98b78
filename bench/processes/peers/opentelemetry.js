// As the README of its exporter says: each process has an exporter with a port. Nothing adds them up, so each worker has its own.
import cluster from 'node:cluster'
import process from 'node:process'
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { answer, forkWorkers, HOST, METRICS_PORT, OWN_PORTS, PORT, serve } from './common.js'

if (cluster.isPrimary) {
  forkWorkers()
} else {
  const { PLACE, NODE_APP_INSTANCE } = process.env
  const exporters = [new PrometheusExporter({ host: HOST, port: OWN_PORTS[Number(PLACE ?? NODE_APP_INSTANCE)] })]
  // The README's: one port, whatever process this is.
  if (NODE_APP_INSTANCE !== undefined) exporters.push(new PrometheusExporter({ host: HOST, port: METRICS_PORT }))
  const walks = new MeterProvider({ readers: exporters }).getMeter('walks').createCounter('walks')
  serve(PORT, {
    '/walk': (url, response) => {
      walks.add(1)
      return answer(url, response)
    },
    any: answer
  })
}
