# As the README of prometheus_client says under "Multiprocess Mode": the processes count in files of one directory, and
# whoever is asked reads them all. Three processes work on one socket, one reads, and the one that forked them replaces them.
import http.server
import json
import os
import socket
import sys
import time

from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess

HOST = '127.0.0.1'
BLOCKED = 8.4
# Seconds before a worker that is gone is replaced.
PAUSE = 0.1


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args):
        pass


class Reader(Handler):
    def do_GET(self):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        self.answer(generate_latest(registry))


class Worker(Handler):
    def do_GET(self):
        if self.path == '/walk':
            self.server.walks.inc()
        self.answer(json.dumps({'pid': os.getpid()}).encode())
        self.server.then = {'/block': 'block', '/end': 'end'}.get(self.path)


def work(listening):
    server = http.server.HTTPServer((HOST, 0), Worker, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.walks = Counter('walks', 'Walks.')
    while True:
        server.then = None
        server.handle_request()
        if server.then == 'block':
            end = time.monotonic() + BLOCKED
            while time.monotonic() < end:
                pass
        elif server.then == 'end':
            sys.exit()


def fork(run):
    pid = os.fork()
    if pid == 0:
        run()
    return pid


listening = socket.create_server((HOST, int(os.environ['PORT'])), backlog=64)
fork(lambda: http.server.HTTPServer((HOST, int(os.environ['METRICS_PORT'])), Reader).serve_forever())
for _ in range(3):
    fork(lambda: work(listening))
while True:
    pid, _ = os.wait()
    multiprocess.mark_process_dead(pid)
    time.sleep(PAUSE)
    fork(lambda: work(listening))
