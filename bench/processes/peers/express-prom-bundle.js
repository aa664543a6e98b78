// As its README says under "using with cluster".
import cluster from 'node:cluster'
import process from 'node:process'
import express from 'express'
import promBundle from 'express-prom-bundle'
import promClient from 'prom-client'
import { answer, forkWorkers, HOST, METRICS_PORT, PORT } from './common.js'

if (cluster.isPrimary) {
  forkWorkers()
  const metricsApp = express()
  metricsApp.use('/metrics', promBundle.clusterMetrics())
  metricsApp.listen(METRICS_PORT, HOST)
} else {
  // eslint-disable-next-line no-new
  new promClient.AggregatorRegistry()
  const app = express()
  const isUnderPm2 = process.env.pm_id !== undefined
  // Under PM2 the primary is PM2's, and only the workers can be asked.
  if (isUnderPm2) app.use('/cluster_metrics', promBundle.clusterMetrics())
  app.use(promBundle({ autoregister: isUnderPm2, includeMethod: true, includePath: true }))
  app.use(({ path }, response) => { response.send(answer(path, response)) })
  app.listen(PORT, HOST)
}
