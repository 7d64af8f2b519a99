"""A Loa server over HTTP, as any official's program sees it. The only file that imports httpx."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

_PATIENCE_S: Final = 30.0
_AGAIN_S: Final = 0.2


class RemoteError(Exception):
    """The server did not do what it was asked to; the message says what it answered."""

    code = "server_refused"


class Remote:
    """A server's API, signed in."""

    def __init__(self, address: str, client: httpx.Client) -> None:
        self.address = address
        self._client = client

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, /, **query: str | int) -> Any:
        """Return the JSON of the answer.

        Raises:
            RemoteError: a refusal, or nobody answers.
        """
        try:
            answer = self._client.request(method, path, json=body, params=query)
        except httpx.TransportError as error:
            raise RemoteError(f"{self.address} does not answer: {error!r}") from error
        if answer.is_error:
            raise RemoteError(f"{method} {path}: {_reason(answer)}")
        return answer.json()

    def all(self, path: str) -> list[dict[str, Any]]:
        """Return every item of a paged list."""
        items: list[dict[str, Any]] = []
        query: dict[str, str | int] = {"limit": 1000}
        while True:
            page = self.ask("GET", path, **query)
            items += page["items"]
            if not page.get("next"):
                return items
            query["after"] = str(page["next"])

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what happens, kind and facts, for ever; a line that falls is taken up where it fell."""
        last = ""
        while True:
            # On a line of its own: whoever closes the client does not have to wait for this endless answer.
            headers = {**self._client.headers, **({"Last-Event-ID": last} if last else {})}
            try:
                with httpx.stream("GET", f"{self._client.base_url}events", headers=headers, timeout=60) as answer:
                    kind = ""
                    for line in answer.iter_lines():
                        field, _, value = line.partition(": ")
                        if field == "id":
                            last = value
                        elif field == "event":
                            kind = value
                        elif field == "data":
                            yield kind, json.loads(value)
            except httpx.TransportError:
                pass
            time.sleep(_AGAIN_S)  # a refusal, too, ends at once


@contextmanager
def signed_in(address: str, name: str, password: str) -> Iterator[Remote]:
    """Sign in to the server at ``address`` (``http://host:port``) for the length of a block.

    Raises:
        RemoteError: nobody answers, or name and password do not fit.
    """
    with httpx.Client(base_url=address.rstrip("/") + "/api/v1", timeout=_PATIENCE_S) as client:
        remote = Remote(address, client)
        token = remote.ask("POST", "/sessions", {"name": name, "password": password})["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield remote


def is_ready(address: str) -> bool:
    """Return whether the server at ``address`` says that it is ready."""
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("detail", answer.text))
    except ValueError:
        return f"{answer.status_code} {answer.text[:200]}"
