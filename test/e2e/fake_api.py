"""A server that answers as a test tells it to: what karezd never does, and what it must be asked for twice."""

import http.server
import json
import threading

from karez import free_port


class FakeApi:
    """Answers each request with what `script(method, path, headers, body)` returns: (status, headers, bytes)."""

    def __init__(self, script, tls=None):
        self.requests = []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fake.requests.append((self.command, self.path, dict(self.headers), body))
                status, headers, data = script(self.command, self.path, self.headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *args):
                pass

        self.port = free_port()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def say(value, status=200, **headers):
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


def refuse(status, code, detail, field=None):
    problem = {"type": "about:blank", "title": code, "status": status, "detail": detail,
               "code": code, "error": code}
    if field:
        problem["field"] = field
    return status, {"Content-Type": "application/problem+json"}, json.dumps(problem).encode()
