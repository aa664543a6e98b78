// As its README says under "Usage with Node.js's cluster module": that is prom-client's.
import client from '@platformatic/prom-client'
import { primaryServes } from './common.js'

primaryServes(client, client.AggregatorRegistry)
