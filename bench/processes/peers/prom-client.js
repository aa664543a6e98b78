// As its README says under "Usage with Node.js's cluster module", and its example/cluster.js.
import client from 'prom-client'
import { primaryServes } from './common.js'

primaryServes(client, client.AggregatorRegistry)
