"""A shop with an HTTP counter: `python shop.py [PORT]` prints its URL; GET /ledger lists the requests it has seen."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PRICES = {"tea": 7, "two cups": 24, "honey": 9}
IDLE_S = 60


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ledger: list[str] = []
    seen_at = time.monotonic()

    def do_GET(self):
        self.answer({"requests": self.ledger})

    def do_POST(self):
        Shop.seen_at = time.monotonic()
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.ledger.append(f"{self.command} {self.path}" + (f" {body['item']}" if "item" in body else ""))
        if self.path == "/orders":
            self.answer({"order": sum(line == "POST /orders" for line in self.ledger)})
        elif self.path.endswith("/items"):
            self.answer({"price": PRICES[body["item"]]})
        else:
            self.answer({"amount": body["total"]})

    def answer(self, document):
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Shop)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while time.monotonic() - Shop.seen_at < IDLE_S:
        time.sleep(1)
