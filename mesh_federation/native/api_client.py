"""Requests to the API server of a cluster: single ones over kept connections, and lists that are followed."""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from mesh_federation.native.api_object import ApiObject

MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""What asks for a list without the content of its objects."""
TIMEOUT = 30
WATCH_SECONDS = 300
"""After which the server ends a watch, which goes on where it ended."""
IDLE_CONNECTIONS = 2
RETRY_SECONDS = 1.0
GONE = 410

Body = Mapping[str, object]


class ApiError(Exception):
    """A request that the API server refused; the text is the server's."""

    def __init__(self, status: int, request: str, message: str) -> None:
        """Say which request, and why."""
        super().__init__(f"{request}: {message} ({status})")
        self.status = status


@dataclass(frozen=True)
class Listing:
    """All objects that there are: the start of a watch, and again whenever changes may have been missed."""

    items: tuple[ApiObject, ...]


@dataclass(frozen=True)
class ObjectChange:
    """An object that is new or other than before (`deleted` is false), or gone."""

    item: ApiObject
    deleted: bool


def client_context(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """Return what a client shows an API server, and checks of it.

    Args:
        authority: path of the certificate with which the server is checked.
        certificate: path of the client's certificate.
        key: path of its key.

    Raises:
        OSError: a file is missing or is none of its kind.
    """
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    return context


class ApiClient:
    """A client for several threads."""

    def __init__(self, server: str, context: ssl.SSLContext) -> None:
        """Take the `https://` address of the server, and the certificates that both sides show."""
        address = urlsplit(server)
        self._host, self._port, self._context = address.hostname or "", address.port or 443, context
        self._idle: list[http.client.HTTPSConnection] = []
        self._lock = threading.Lock()

    def get(self, path: str, accept: str = JSON) -> ApiObject:
        """Read an object or a list. Raises ApiError, OSError."""
        return self._answer("GET", path, None, {"Accept": accept})

    def create(self, path: str, body: Body) -> ApiObject:
        """Create an object in the collection at a path. Raises ApiError, OSError."""
        return self._answer("POST", path, body, {"Content-Type": JSON})

    def patch(self, path: str, body: Body, kind: str = MERGE) -> ApiObject:
        """ObjectChange an object. Raises ApiError, OSError."""
        return self._answer("PATCH", path, body, {"Content-Type": kind})

    def delete(self, path: str, options: Body) -> None:
        """Delete an object. Raises ApiError, OSError."""
        self._answer("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", **options}, {"Content-Type": JSON})

    def follow(self, path: str, selector: str = "", accept: str = JSON) -> Iterator[Listing | ObjectChange]:
        """Yield the objects at a path and then every change, for ever; a lost connection is taken up again.

        Args:
            path: of the collection.
            selector: part of the query, such as `fieldSelector=...`.
            accept: the media type of lists; changes come in the same one.
        """
        while True:
            try:
                listing = self.get(f"{path}?{selector}", accept)
                yield Listing(tuple(ApiObject(item.values) for item in listing.children("items")))
                yield from self._changes(path, selector, accept, listing.child("metadata").text("resourceVersion"))
            except (ApiError, OSError, ValueError, http.client.HTTPException):
                time.sleep(RETRY_SECONDS)

    def _changes(self, path: str, selector: str, accept: str, version: str) -> Iterator[ObjectChange]:
        """Yield changes since a version, until the server no longer knows it."""
        while True:
            query = (
                f"{selector}&watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={version}"
            )
            connection = self._connection(WATCH_SECONDS + TIMEOUT)
            try:
                connection.request("GET", f"{path}?{query}", headers={"Accept": accept.replace("List;", ";")})
                answer = connection.getresponse()
                if answer.status != http.client.OK:
                    raise ApiError(answer.status, f"watch {path}", answer.read().decode(errors="replace"))
                while line := answer.readline():
                    event = ApiObject(json.loads(line))
                    item = ApiObject(event.child("object").values)
                    if event.text("type") == "ERROR":
                        if item.number("code") == GONE:
                            return
                        raise ApiError(item.number("code"), f"watch {path}", item.text("message"))
                    version = item.child("metadata").text("resourceVersion")
                    if event.text("type") != "BOOKMARK":
                        yield ObjectChange(item, event.text("type") == "DELETED")
            finally:
                connection.close()

    def _answer(self, method: str, path: str, body: Body | None, headers: Mapping[str, str]) -> ApiObject:
        text = None if body is None else json.dumps(body)
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            # The server may have closed it meanwhile. A request is sent again only if no byte of an answer came.
            with suppress(ConnectionError, ssl.SSLError):
                return self._exchange(kept, method, path, text, headers)
            kept.close()
        return self._exchange(self._connection(TIMEOUT), method, path, text, headers)

    def _exchange(
        self, connection: http.client.HTTPSConnection, method: str, path: str, text: str | None,
        headers: Mapping[str, str],
    ) -> ApiObject:  # fmt: skip
        try:
            connection.request(method, path, text, dict(headers))
            response = connection.getresponse()
            content = response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from None
        with self._lock:
            keep = len(self._idle) < IDLE_CONNECTIONS
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()
        try:
            answer = ApiObject(json.loads(content or b"{}"))
        except ValueError:
            raise ApiError(response.status, f"{method} {path}", content[:200].decode(errors="replace")) from None
        if response.status >= http.client.BAD_REQUEST:
            raise ApiError(response.status, f"{method} {path}", answer.text("message"))
        return answer

    def _connection(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, context=self._context, timeout=timeout)
