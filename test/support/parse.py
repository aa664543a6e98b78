"""Reads pages of metrics with prometheus_client's parsers: for each JSON line {"format", "page"}, the page in base64, a JSON line of its families."""
import base64
import json
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

# The parser of the text format gives counters the names that OpenMetrics has for them; these are the ones that stood there.
lines = []
parse_sample = parser._parse_sample


def remember(line):
    sample = parse_sample(line)
    lines.append(sample.name)
    return sample


parser._parse_sample = remember


def read(format, page):
    lines.clear()
    families = list((openmetrics if format == 'openmetrics' else parser).text_string_to_metric_families(page))
    names = iter(lines)
    return [{
        'name': family.name,
        'type': family.type,
        'unit': family.unit,
        'help': family.documentation,
        'samples': [{
            'name': sample.name if format == 'openmetrics' else next(names),
            'labels': sample.labels,
            'value': str(sample.value),
            'exemplar': sample.exemplar and {
                'labels': sample.exemplar.labels,
                'value': str(sample.exemplar.value),
                'timestamp': str(sample.exemplar.timestamp),
            },
        } for sample in family.samples],
    } for family in families]


print('ready', flush=True)
for request in sys.stdin:
    request = json.loads(request)
    try:
        answer = {'families': read(request['format'], base64.b64decode(request['page']).decode('utf-8'))}
    except Exception as error:
        answer = {'error': '%s: %s' % (type(error).__name__, error)}
    print(json.dumps(answer), flush=True)
