"""The simulated Graph API of the conformance tests and clients, controlled over a pipe (src/sim_server.rs)."""

import json
import subprocess
import urllib.parse
import urllib.request
from datetime import date, timedelta
from typing import Any


class Sim:
    """A running simulator: `with Sim(binary, ads=20) as sim`."""

    def __init__(self, binary: str, every_day: bool = False, **options: int) -> None:
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        flags += ["--every-day"] * every_day
        self._process = subprocess.Popen(
            [binary, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.info: dict[str, str] = self._read_response()

    def __enter__(self) -> "Sim":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def calls(self) -> int:
        """Returns the number of Graph calls served so far."""
        return self._command(do="calls")

    def requests(self) -> list[dict[str, Any]]:
        """Returns the calls to known objects since the last query, in the format of request_check."""
        return self._command(do="requests")

    def rows(self, since: date, until: date) -> list[dict[str, Any]]:
        """Returns the ad-day rows of these days, both included, with all stored fields."""
        return self._command(do="rows", since=str(since), until=str(until))

    def node(self, id: str) -> dict[str, Any] | None:
        """Returns an object as it is stored."""
        return self._command(do="node", id=id)

    def fail(self, path: str, status: int, code: int, subcode: int | None = None, times: int = 1) -> None:
        """Fails the next calls whose path contains `path`."""
        self._command(do="fail", path=path, status=status, code=code, subcode=subcode, times=times)

    def listing(self, edge: str, fields: str, **params: str) -> list[dict[str, Any]]:
        """Returns all pages of an edge of the ad account, read by plain HTTP."""
        query = urllib.parse.urlencode(
            {"fields": fields, "limit": "500", "access_token": self.info["token"], **params}
        )
        url, found = f"{self.info['url']}/v26.0/{self.info['account']}/{edge}?{query}", []
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while url:
            with opener.open(url) as response:
                page = json.load(response)
            found += page["data"]
            url = page.get("paging", {}).get("next")
        return found

    def _command(self, **command: Any) -> Any:
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._read_response()

    def _read_response(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator ended with {self._process.wait()}")
        return json.loads(line)


def full_days(count: int) -> tuple[date, date]:
    """Returns the last `count` days before yesterday, both ends included: over in every time zone, with final
    numbers."""
    until = date.today() - timedelta(days=2)
    return until - timedelta(days=count - 1), until
