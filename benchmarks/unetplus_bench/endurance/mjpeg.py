"""An IP camera in a process of its own: simulated frames as an MJPEG stream over HTTP.

Started as `python -m unetplus_bench.endurance.mjpeg PORT RATE SIDE`; it prints its port, and serves until it is
killed.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from unetplus_bench.endurance.pictures import draw_as_cameras

_PICTURES = 4


def serve(port: int, rate: float, side: int) -> None:
    """Serve for ever.

    Parameters
    ----------
    port
        On the loopback interface; 0 takes any that is free.
    rate
        Pictures a second, to each client.
    side
        Of a picture, px.
    """
    parts = []
    for content in draw_as_cameras(side, _PICTURES):
        head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(content)
        parts.append(head + content + b"\r\n")

    class Camera(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            begin, number = time.monotonic(), 0
            with suppress(ConnectionError):
                while True:
                    self.wfile.write(parts[number % len(parts)])
                    number += 1
                    time.sleep(max(0.0, begin + number / rate - time.monotonic()))

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", port), Camera)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
