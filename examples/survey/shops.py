"""Twenty shops in one HTTP server: each takes a moment to say its price; prints its URL, ends after a minute of silence."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TAKES_S = 0.1


class Shops(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen_at = time.monotonic()

    def do_GET(self):
        Shops.seen_at = time.monotonic()
        _, number, what = self.path.split("/")
        time.sleep(TAKES_S)
        self.answer({"shop": int(number), what: 100 + int(number) * 37 % 50})

    def do_POST(self):
        Shops.seen_at = time.monotonic()
        report = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.answer({"thanks_for": len(report)})

    def answer(self, document):
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Shops)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while time.monotonic() - Shops.seen_at < 60:
        time.sleep(1)
