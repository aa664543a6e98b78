// As its README says under "Usage with Node.js's cluster or Worker module", its Workers.md and its example/cluster.js:
// a worker that ends orderly says goodbye with shutdown().
import client from '@prometheus-io/client'
import { primaryServes } from './common.js'

primaryServes(client, client.ClusterRegistry, (registry) => registry.shutdown())
