"""A small HTTP server with the faults of real ones, for download_test.cpp.

    file_server.py FOLDER PORT_FILE LOG_FILE

Serves FOLDER/NAME under /MODE/NAME, writes its port to PORT_FILE and one line "MODE NAME RANGE" a request to LOG_FILE,
and ends when its standard input does. Modes: range (honours Range), plain (ignores it), cut (honours Range, sends at
most 40,000 bytes, then hangs up), wrong (one byte changed), lie (says 206, sends from the beginning), stall (sends half,
then nothing), slow (15,000 bytes every quarter of a second), drip (10 bytes likewise), hang (never answers), endless
(goes on behind the file for ever), error (503), moved (redirects to range), file (redirects to a file: address);
anything else is 404.
"""
import http.server
import os
import re
import sys
import threading
import time

FOLDER, PORT_FILE, LOG_FILE = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def answer(self, code, headers, body=b"", length=None):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def send_pieces(self, body, mode):
        self.send_response(200)
        if mode != "endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        size = 15000 if mode == "slow" else 10
        try:
            if mode == "endless":
                self.wfile.write(body)
                while True:
                    self.wfile.write(b"more" * 1000)
            for begin in range(0, len(body), size):
                self.wfile.write(body[begin:begin + size])
                self.wfile.flush()
                time.sleep(0.25)
        except OSError:  # the other side has had enough
            pass
        self.close_connection = True

    def do_GET(self):
        _, mode, name = (self.path.split("/", 2) + ["", ""])[:3]
        requested = self.headers.get("Range", "-")
        with open(LOG_FILE, "a") as log:
            print(mode, name, requested, file=log)
        path = os.path.join(FOLDER, os.path.basename(name))
        if mode == "error":
            return self.answer(503, {}, b"busy")
        if mode == "moved":
            return self.answer(302, {"Location": "/range/" + name}, b"<html>moved</html>")
        if mode == "file":
            return self.answer(302, {"Location": "file://" + path})
        if mode == "hang":
            return time.sleep(30)
        known = ("range", "plain", "cut", "wrong", "lie", "stall", "slow", "drip", "endless")
        if mode not in known or not os.path.exists(path):
            return self.answer(404, {}, b"<html>there is no such file</html>")
        with open(path, "rb") as file:
            body = file.read()
        if mode == "wrong":
            body = body[:100] + bytes([body[100] ^ 1]) + body[101:]
        match = re.fullmatch(r"bytes=(\d+)-", requested)
        if mode == "plain" or not match:
            code, begin, headers = 200, 0, {}
        else:
            code, begin = 206, int(match[1])
            headers = {"Content-Range": f"bytes {begin}-{len(body) - 1}/{len(body)}"}
            if begin >= len(body):
                return self.answer(416, {"Content-Range": f"bytes */{len(body)}"}, b"nothing left")
        rest = body if mode == "lie" else body[begin:]
        if mode == "cut":
            return self.answer(code, headers, rest[:40000], len(rest))
        if mode in ("slow", "drip", "endless"):
            return self.send_pieces(rest, mode)
        if mode == "stall":
            self.answer(code, headers, rest[: len(rest) // 2], len(rest))
            self.wfile.flush()
            time.sleep(30)
            return None
        return self.answer(code, headers, rest)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(PORT_FILE + ".new", "w") as port_file:
    port_file.write(str(server.server_port))
os.rename(PORT_FILE + ".new", PORT_FILE)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
os._exit(0)
