"""`python service.py PORT`: opens its port late, answers every new charge with 503 twice, and never charges a key twice."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service(BaseHTTPRequestHandler):
    asked: dict[str, int] = {}
    charges: dict[str, str] = {}
    seen_at = time.monotonic()

    def do_GET(self):
        self.answer(200, {"tea": 12})

    def do_POST(self):
        Service.seen_at = time.monotonic()
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = body["key"]
        self.asked[key] = self.asked.get(key, 0) + 1
        if self.asked[key] <= 2:
            self.answer(503, {})
        else:
            self.answer(200, {"charge": self.charges.setdefault(key, f"ch_{len(self.charges) + 1}")})

    def answer(self, status, document):
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    time.sleep(0.1)
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while time.monotonic() - Service.seen_at < 60:
        time.sleep(1)
