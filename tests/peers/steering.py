"""The simulated Graph API that the judges and clients are run against, steered over a pipe (src/steered_sim.rs)."""

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
        self.where: dict[str, str] = self._answer()

    def __enter__(self) -> "Sim":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def calls(self) -> int:
        """Graph calls served so far."""
        return self._order(do="calls")

    def requests(self) -> list[dict[str, Any]]:
        """The calls to known objects since this was asked last, as spec_judge takes them."""
        return self._order(do="requests")

    def rows(self, since: date, until: date) -> list[dict[str, Any]]:
        """The ad-day rows of these days, both included, with all stored fields."""
        return self._order(do="rows", since=str(since), until=str(until))

    def node(self, id: str) -> dict[str, Any] | None:
        """An object as it is stored."""
        return self._order(do="node", id=id)

    def fail(self, path: str, status: int, code: int, subcode: int | None = None, times: int = 1) -> None:
        """The next calls whose path contains `path` fail."""
        self._order(do="fail", path=path, status=status, code=code, subcode=subcode, times=times)

    def listing(self, edge: str, fields: str, **params: str) -> list[dict[str, Any]]:
        """All pages of an edge of the ad account, asked for in plain HTTP."""
        query = urllib.parse.urlencode(
            {"fields": fields, "limit": "500", "access_token": self.where["token"], **params}
        )
        url, found = f"{self.where['url']}/v26.0/{self.where['account']}/{edge}?{query}", []
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while url:
            with opener.open(url) as answer:
                page = json.load(answer)
            found += page["data"]
            url = page.get("paging", {}).get("next")
        return found

    def _order(self, **order: Any) -> Any:
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator ended with {self._process.wait()}")
        return json.loads(line)


def full_days(count: int) -> tuple[date, date]:
    """The last `count` days before yesterday, both ends included: over in every time zone, and known in full."""
    until = date.today() - timedelta(days=2)
    return until - timedelta(days=count - 1), until
