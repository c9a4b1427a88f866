"""Show a published site on this machine only."""

from __future__ import annotations

import functools
import http.server
import json
import webbrowser
from collections.abc import Callable
from pathlib import Path

from geodata.schema import Finding, InputError

ADDRESS = "127.0.0.1"


def site_folder(folder: Path) -> Path:
    """The site of a run, of a country's latest run, or of the only country below ``folder``.

    Raises
    ------
    InputError : there is none, or more than one to choose from
    """
    latest = folder / "latest.json"
    run = folder / json.loads(latest.read_text("utf-8"))["path"] if latest.is_file() else folder
    for candidate in (run / "site", run):
        if (candidate / "index.html").is_file():
            return candidate
    countries = sorted(path.parent for path in folder.glob("*/latest.json"))
    if len(countries) == 1:
        return site_folder(countries[0])
    found = "no site" if not countries else f"sites of {', '.join(c.name for c in countries)}"
    raise InputError(Finding("error", "serve", str(folder), "site", found, "one published site: name its folder"))


def site_server(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server of the site, bound to the loopback address; port 0 picks a free one.

    Raises
    ------
    InputError : the port is taken
    """
    handler = functools.partial(_Quiet, directory=str(site_folder(folder)))
    try:
        return http.server.ThreadingHTTPServer((ADDRESS, port), handler)
    except OSError as error:
        finding = Finding("error", "serve", "command line", "--port", f"{port}: {error.strerror}", "a free port, or 0")
        raise InputError(finding) from None


def serve_site(folder: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve until interrupted, and open the reader's browser."""
    with site_server(folder, port) as server:
        url = f"http://{ADDRESS}:{server.server_port}/"
        say(f"The site is at {url} (Ctrl-C ends)")
        webbrowser.open(url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Closed.")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing for each request."""
