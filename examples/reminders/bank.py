"""A bank and a mailer in one small HTTP server: prints its URL, ends after a minute without requests."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Bank(BaseHTTPRequestHandler):
    reminders: set[int] = set()
    seen_at = time.monotonic()

    def do_GET(self):
        Bank.seen_at = time.monotonic()
        self.answer({"paid": len(self.reminders) >= 2})

    def do_POST(self):
        number = json.loads(self.rfile.read(int(self.headers["content-length"])))["number"]
        self.reminders.add(number)
        self.answer({"subject": ["A friendly reminder", "Have you seen our invoice?", "Please pay"][min(number, 3) - 1]})

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
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bank)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while time.monotonic() - Bank.seen_at < 60:
        time.sleep(1)
