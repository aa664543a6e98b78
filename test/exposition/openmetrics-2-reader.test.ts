import t from 'tap'
import { readOpenMetrics2 } from '../support/openmetrics-2.js'

// The tests of OpenMetrics 2.0 are as good as their reader: it must take what the specification allows, and refuse what it forbids.

const page = (...lines: string[]) => Buffer.from([...lines, '# EOF', ''].join('\n'))
const HISTOGRAM = '# TYPE walk histogram'
const SUMMARY = '# TYPE walk summary'
const COUNTER = '# TYPE walk_total counter'

t.test('the reader takes what the specification allows', async (t) => {
  const allowed: string[][] = [
    [],
    ['walk 1'],
    ['walk{} +Inf 1700000000.5'],
    ['walk{a="",b="\\"\\\\\\n}{"} nan'],
    [COUNTER, '# UNIT walk_total meters', '# HELP walk_total An \\"x\\" \\n \\\\ \r', 'walk_total 4.20072246e+06 1700000001 st@1700000000.123 # {} 0.67 1700000000 # {trace_id="x"} -Inf 1.7e9'],
    [HISTOGRAM, 'walk {count:3,sum:NaN,bucket:[-Inf:0,-1.5:1,1e+06:1,+Inf:3]} st@1'],
    [HISTOGRAM, 'walk {count:3,sum:-1,schema:-4,zero_threshold:0,zero_count:1,negative_spans:[-5:1,0:1],negative_buckets:[1,0],positive_spans:[3:1],positive_buckets:[1]}'],
    [HISTOGRAM, 'walk {count:2.5,sum:1,schema:8,zero_threshold:1e-4,zero_count:0.5,positive_spans:[3:2],positive_buckets:[1.5,.5],bucket:[1:2.5,+Inf:2.5]}'],
    [HISTOGRAM, 'walk {count:0,sum:0,schema:3,zero_threshold:1e-4,zero_count:0}'],
    [SUMMARY, 'walk {count:17,sum:3.2,quantile:[]} st@1'],
    [SUMMARY, 'walk {count:17,sum:3.2,quantile:[0.0:0,0.5:NaN,1:+Inf]}'],
    ['# TYPE a gauge', '# TYPE b_info info', 'b_info{version="1"} 1.0']
  ]
  for (const lines of allowed) t.doesNotThrow(() => readOpenMetrics2(page(...lines)), lines.join(' | '))
  const [family] = readOpenMetrics2(page(...allowed[6] ?? []))
  t.match(family?.samples[0]?.value, { native: { negative: new Map([[-5, 1]]), positive: new Map([[3, 1]]), float: false } })
})

t.test('the reader refuses what it forbids', async (t) => {
  const forbidden: string[][] = [
    ['walk'], ['walk  1'], ['walk 1 '], ['walk{a="b"}1'], ['walk{a="b",} 1'], ['walk{a="b" ,c="d"} 1'], ['walk{a="b",a="c"} 1'], ['walk{a-b="c"} 1'], ['walk{a="\\x"} 1'], ['1walk 1'], ['walk 0x1'], ['walk 1 soon'],
    ['# a comment'], ['# TYPE walk'], ['# TYPE walk thing'], ['# TYPE walk gauge', '# TYPE walk gauge'], ['# HELP walk a', '# TYPE walk gauge'], ['walk 1', '# TYPE walk gauge'], ['a 1', 'b 1', 'a 2'], ['a{x="1"} 1', 'a{x="1"} 2'], ['a{x=""} 1', 'a 2'],
    [COUNTER, 'walk_total NaN'], [COUNTER, 'walk_total -1'], [COUNTER, 'walk_total 1 # {a="b"} 1'], [COUNTER, 'walk_total 1 # {a="b"} 1 2 st@1'], [COUNTER, 'walk_total {count:1,sum:1,bucket:[+Inf:1]}'],
    ['# TYPE walk gauge', 'walk 1 st@1'], ['# TYPE walk gauge', 'walk 1 # {} 1 1'],
    [HISTOGRAM, 'walk 1'], [HISTOGRAM, 'walk_bucket{le="1"} 1'.replace('walk_bucket', 'walk')], [HISTOGRAM, 'walk {count:1,sum:1}'], [HISTOGRAM, 'walk {sum:1,count:1,bucket:[+Inf:1]}'], [HISTOGRAM, 'walk {count:1, sum:1,bucket:[+Inf:1]}'],
    [HISTOGRAM, 'walk {count:1,sum:1,bucket:[1:1]}'], [HISTOGRAM, 'walk {count:2,sum:1,bucket:[+Inf:1]}'], [HISTOGRAM, 'walk {count:1,sum:1,bucket:[2:0,1:1,+Inf:1]}'], [HISTOGRAM, 'walk {count:1,sum:1,bucket:[1:2,+Inf:1]}'], [HISTOGRAM, 'walk {count:-1,sum:1,bucket:[+Inf:-1]}'],
    [HISTOGRAM, 'walk{le="1"} {count:1,sum:1,bucket:[+Inf:1]}'], [HISTOGRAM, 'walk {count:1,sum:1,bucket:[+Inf:1],schema:3,zero_threshold:0,zero_count:1}'],
    [HISTOGRAM, 'walk {count:1,sum:1,schema:9,zero_threshold:0,zero_count:1}'], [HISTOGRAM, 'walk {count:1,sum:1,schema:3,zero_count:1,zero_threshold:0}'], [HISTOGRAM, 'walk {count:2,sum:1,schema:3,zero_threshold:0,zero_count:1}'],
    [HISTOGRAM, 'walk {count:2,sum:1,schema:3,zero_threshold:0,zero_count:1,positive_spans:[1:2],positive_buckets:[1]}'], [HISTOGRAM, 'walk {count:2,sum:1,schema:3,zero_threshold:0,zero_count:0,positive_spans:[1:1,-1:1],positive_buckets:[1,1]}'],
    [HISTOGRAM, 'walk {count:0,sum:1,schema:3,zero_threshold:0,zero_count:0,positive_spans:[],positive_buckets:[]}'],
    [SUMMARY, 'walk {count:1,sum:1}'], [SUMMARY, 'walk {count:1.5,sum:1,quantile:[]}'], [SUMMARY, 'walk {count:1,sum:-1,quantile:[]}'], [SUMMARY, 'walk {count:1,sum:1,quantile:[0.9:1,0.5:1]}'], [SUMMARY, 'walk {count:1,sum:1,quantile:[2:1]}'], [SUMMARY, 'walk{quantile="1"} {count:1,sum:1,quantile:[]}'],
    ['# TYPE walk info', 'walk 1']
  ]
  for (const lines of forbidden) t.throws(() => readOpenMetrics2(page(...lines)), Error, lines.join(' | '))
  t.throws(() => readOpenMetrics2(Buffer.from('walk 1\n')), 'without # EOF')
  t.throws(() => readOpenMetrics2(Buffer.from([0xff, 0x0a])), 'what is no UTF-8')
})
