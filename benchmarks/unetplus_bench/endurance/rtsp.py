"""An IP camera in a process of its own: JPEG files as an RTSP stream, by GStreamer.

Started as `/usr/bin/python3 -I rtsp.py PORT RATE SIDE FOLDER`, because the bindings of GStreamer come with the system,
for its own Python; it prints its port, and serves until it is killed. Without arguments it prints what it lacks.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

PACKAGES = (
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
)
"""Of Debian and Ubuntu, which have what it needs."""

PATH = "/live"
"""Of its URL."""

_ELEMENTS = ("appsrc", "rtpjpegpay")
_SECOND = 1_000_000_000  # GStreamer counts in ns


def bindings() -> tuple[Any, Any, Any]:
    """Return the modules GLib, Gst and GstRtspServer.

    Raises
    ------
    ImportError, ValueError
        If they are not there.
    """
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    return GLib, Gst, GstRtspServer


def lacking() -> str:
    """Return what is not there that a camera needs; nothing where all is."""
    try:
        _, gst, _ = bindings()
    except (ImportError, ValueError) as error:
        return str(error)
    absent = [name for name in _ELEMENTS if gst.ElementFactory.find(name) is None]
    return f"GStreamer has no {', '.join(absent)}" if absent else ""


def serve(port: int, rate: int, side: int, folder: Path) -> None:
    """Serve for ever.

    Parameters
    ----------
    port
        On the loopback interface; 0 takes any that is free.
    rate
        Pictures a second.
    side
        Of a picture, px.
    folder
        With JPEG files of three channels, which are shown in turns.
    """
    glib, gst, rtsp = bindings()
    pictures = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    duration = _SECOND // rate

    def open_stream(_factory: Any, media: Any) -> None:
        numbers = itertools.count()

        def push(source: Any, _bytes: int) -> None:
            number = next(numbers)
            picture = gst.Buffer.new_wrapped(pictures[number % len(pictures)])
            picture.pts, picture.duration = number * duration, duration
            source.emit("push-buffer", picture)

        media.get_element().get_by_name("source").connect("need-data", push)

    server = rtsp.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    factory = rtsp.RTSPMediaFactory.new()
    pictures_are = f"image/jpeg,width={side},height={side},framerate={rate}/1"
    factory.set_launch(
        f"( appsrc name=source is-live=true format=time caps={pictures_are} ! rtpjpegpay name=pay0 pt=26 )"
    )
    factory.set_shared(True)
    factory.connect("media-configure", open_stream)
    server.get_mount_points().add_factory(PATH, factory)
    if not server.attach(None):
        raise SystemExit(f"port {port} is taken")
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    glib.MainLoop().run()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    else:
        sys.stdout.write(lacking())
