"""Through the proxy to where no project may go: one that lists such hosts, in all their spellings."""

import socket

from probing import PATIENCE_S, answer, canaries, verdict

PROXY = ("127.0.0.1", 3128)
NAMES = (
    *("127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]"),
    *("127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "ok.test@127.0.0.1", "127.0.0.1%00.ok.test"),
)
FORMS = ("CONNECT {host}:{port} HTTP/1.1", "GET http://{host}:{port}/ HTTP/1.1", "GET / HTTP/1.1")


def main(event):
    port = event["ports"]["decoy"]
    found = canaries(answer(socket.AF_INET, ("127.0.0.1", port)) or b"")
    for name in NAMES:
        for form in FORMS:
            line = form.format(host=name, port=port)
            found += [f"{line}: {seen}" for seen in canaries(ask(f"{line}\r\nHost: {name}:{port}\r\n\r\n".encode()))]
    return verdict(found)


def ask(request):
    try:
        with socket.create_connection(PROXY, PATIENCE_S) as proxy:
            proxy.sendall(request)
            return b"".join(iter(lambda: proxy.recv(4096), b""))
    except OSError:
        return b""
