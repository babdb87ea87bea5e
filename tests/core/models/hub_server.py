"""A small hub on the loopback interface: the endpoints that a download needs, and bad days.

Speaks what huggingface_hub asks: model info, the tree, HEAD and ranged GET of files.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server has, does, and was asked.

    Args:
        files: Content by name.
        repo_id: The one repository there is.
    """

    files: dict[str, bytes]
    repo_id: str
    url: str = ""
    cut_after_bytes: int | None = None
    """GET of a weight file ends the connection after this many bytes; None serves it whole."""
    cuts_left: int = 0
    claimed_size: int | None = None
    """What the info says of the weights' size; None is honest."""
    promised: list[dict[str, Any]] | None = None
    """What the hub says it has; None is the truth."""
    is_gated: bool = False
    gate: threading.Event | None = None
    """A GET of a weight file waits for this half way."""
    fetched: list[tuple[str, str]] = field(default_factory=list)
    """Name and Range of each GET of a file."""

    def entries(self) -> list[dict[str, Any]]:
        """Return the files as the hub describes them."""
        if self.promised is not None:
            return self.promised
        found = []
        for name, data in self.files.items():
            entry: dict[str, Any] = {
                "rfilename": name,
                "path": name,
                "type": "file",
                "size": len(data),
                "blobId": _git_id(data),
                "oid": _git_id(data),
            }
            if name.endswith(".safetensors"):
                size = self.claimed_size or len(data)
                entry["size"] = size
                entry["lfs"] = {
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "oid": hashlib.sha256(data).hexdigest(),
                    "size": size,
                    "pointerSize": 130,
                }
            found.append(entry)
        return found


def _git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\x00" % len(data) + data).hexdigest()


@contextmanager
def serve_hub(folder: Path, repo_id: str) -> Iterator[Hub]:
    """Serve the files of a folder as one repository, with some that nobody needs."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    files["README.md"] = b"# A model\n"
    files["pytorch_model.bin"] = b"pickled"
    files["onnx/model.safetensors"] = b"another form"
    hub = Hub(files, repo_id)
    server = _Server(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        if hub.gate is not None:
            hub.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that went away: that is what the tests make it do."""


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            api, files = f"/api/models/{hub.repo_id}", f"/{hub.repo_id}/resolve/"
            if hub.is_gated:
                self._error(403, "GatedRepo")
            elif path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
                self._json({"id": hub.repo_id, "sha": COMMIT, "siblings": hub.entries()})
            elif path.startswith(f"{api}/tree/"):
                self._json(hub.entries())
            elif path.startswith(f"{api}/revision/"):
                self._error(404, "RevisionNotFound")
            elif path.startswith(files):
                self._file(path.removeprefix(files).partition("/")[2], with_body=with_body)
            else:
                self._error(404, "RepoNotFound")

        def _error(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _json(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _file(self, name: str, *, with_body: bool) -> None:
            data = hub.files[name]
            is_weights = name.endswith(".safetensors")
            tag = hashlib.sha256(data).hexdigest() if is_weights else _git_id(data)
            asked = self.headers.get("Range", "")
            start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("ETag", f'"{tag}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            if not with_body:
                return
            hub.fetched.append((name, asked))
            self._body(data[start:], is_weights=is_weights)

        def _body(self, data: bytes, *, is_weights: bool) -> None:
            if is_weights and hub.cut_after_bytes is not None and hub.cuts_left > 0:
                hub.cuts_left -= 1
                self.wfile.write(data[: hub.cut_after_bytes])
                self.close_connection = True
                return
            if is_weights and hub.gate is not None:
                half = len(data) // 2
                self.wfile.write(data[:half])
                self.wfile.flush()
                hub.gate.wait()
                data = data[half:]
            self.wfile.write(data)

    return Handler
