"""conformance_clients.py: each client reads one account; what it read is compared with the simulator's data, what it sent
is checked against the SDK's classes, its cost is measured. Run it in target/peers/sdk.

Prints one line per client, or with --table the costs side by side; exit status 1 when a client fails or differs."""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rows import OBJECTS, AccountData, differences, records
from request_check import check_request
from simulator import Sim, full_days

HERE = Path(__file__).parent
# The fields that our client requests; the other clients request the same as far as they can.
FIELDS = (
    "campaign_id adset_id ad_id impressions clicks inline_link_clicks spend reach frequency actions action_values "
    "attribution_setting"
)
STATUSES = {
    "campaigns": "ACTIVE PAUSED ARCHIVED IN_PROCESS WITH_ISSUES",
    "adsets": "ACTIVE PAUSED ARCHIVED IN_PROCESS WITH_ISSUES CAMPAIGN_PAUSED",
    "ads": "ACTIVE PAUSED ARCHIVED IN_PROCESS WITH_ISSUES CAMPAIGN_PAUSED ADSET_PAUSED DISAPPROVED PENDING_REVIEW",
}
# No client may hang: Airbyte sleeps 30 seconds whenever a report is not ready.
CLIENT_TIMEOUT_S = 600


@dataclass(frozen=True)
class Client:
    """A program that reads an ad account."""

    name: str
    command: list[str]
    # Whether it also reads archived objects.
    archived: bool = True


@dataclass(frozen=True)
class Result:
    """What a client did and what it cost."""

    client: Client
    read: AccountData
    wrong: list[str]
    calls: int
    cpu: float
    peak_mb: float
    wall: float

    def line(self) -> str:
        return (
            f"{self.client.name}: {len(self.read.rows)} rows and {self.read.count()} objects, {self.calls} calls, "
            f"{self.cpu:.2f} s CPU, {self.peak_mb:.0f} MB, {self.wall:.1f} s"
        )


def clients(peers: Path, ours: str) -> list[Client]:
    def python(venv: str, script: str) -> list[str]:
        return [str(peers / venv / "bin/python"), "-B", str(HERE / script)]

    return [
        Client("ours", [ours]),
        Client("official SDK 26.0.3, a plain loop", python("sdk", "run_sdk_loop.py")),
        Client("Airbyte source-facebook-marketing 6.1.9", python("airbyte", "run_airbyte.py")),
        Client("Singer tap-facebook 1.26.0", python("tap", "run_tap.py"), archived=False),
    ]


def run(client: Client, sim: Sim, job: dict, folder: Path) -> tuple[dict, int]:
    """Runs a client with `folder`/out as its output; returns its cost and its number of calls."""
    folder.mkdir(parents=True, exist_ok=True)
    began = sim.calls()
    command = [*client.command, json.dumps(job), str(folder)]
    measured = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            HERE / "measure.py",
            str(CLIENT_TIMEOUT_S),
            folder / "out",
            folder / "err",
            *command,
        ],
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
    )
    return json.loads(measured.stdout), sim.calls() - began


def run_and_check(client: Client, sim: Sim, job: dict, expected: AccountData, folder: Path) -> Result:
    cost, calls = run(client, sim, job, folder)
    status = cost.pop("status")
    with open(folder / "out") as lines:
        read = AccountData(records(lines))
    wrong = differences(expected, read) + [violation for request in sim.requests() for violation in check_request(request)]
    if status != 0:
        tail = (folder / "err").read_text()[-500:] or (folder / "out").read_text()[-500:]
        wrong.insert(0, f"ended with {status}: ...{tail}")
    return Result(client, read, wrong, calls, **cost)


def expected_objects(sim: Sim, archived: bool) -> list[tuple[str, dict]]:
    """Returns the account's objects, read by plain HTTP."""
    found = []
    for stream, columns in OBJECTS.items():
        params = {"effective_status": json.dumps(STATUSES[stream].split())} if archived else {}
        found += [(stream, node) for node in sim.listing(stream, ",".join(("id", *columns)), **params)]
    return found


def table(results: list[Result]) -> str:
    """Returns the costs side by side, each with its ratio to the first line's."""
    lines = [["", "calls", "", "CPU s", "", "peak MB", "", "wall s", "rows"]]
    first = results[0]
    for it in results:
        cells = [it.client.name]
        for mine, theirs, shown in [
            (first.calls, it.calls, f"{it.calls}"),
            (first.cpu, it.cpu, f"{it.cpu:.2f}"),
            (first.peak_mb, it.peak_mb, f"{it.peak_mb:.0f}"),
        ]:
            cells += [shown, f"{theirs / mine:.1f}x" if mine else ""]
        lines.append([*cells, f"{it.wall:.1f}", f"{len(it.read.rows)}"])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        )
        for line in lines
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sim", required=True, help="the sim-server binary")
    options.add_argument("--peers", type=Path, required=True, help="the folder of the venvs")
    options.add_argument("--ours", required=True, help="the graph-read binary")
    options.add_argument(
        "--ads", type=int, default=30, help="200 makes the account that the figures are about"
    )
    options.add_argument("--days", type=int, default=7)
    options.add_argument("--table", action="store_true")
    args = options.parse_args()

    size = {"campaigns": max(args.ads // 10, 1), "adsets": max(args.ads * 3 // 10, 1), "ads": args.ads}
    results = []
    # Reports are ready at once: Airbyte would sleep 30 seconds at a time, the tap 10, 20, 40 ... In the table every ad
    # delivers on every day, one row each, as other benchmarks count; otherwise some ads pause.
    with Sim(args.sim, every_day=args.table, **size, days=args.days + 5, report_polls=1) as sim:
        since, until = full_days(args.days)
        job = {**sim.info, "since": str(since), "until": str(until), "fields": FIELDS.split()}
        rows = [("insights", row) for row in sim.rows(since, until)]
        for number, client in enumerate(clients(args.peers, args.ours)):
            expected = AccountData(rows + expected_objects(sim, client.archived))
            result = run_and_check(client, sim, job, expected, args.peers / "out" / f"{number}")
            results.append(result)
            if not args.table:
                print(result.line(), flush=True)
            for wrong in result.wrong[:5]:
                print(f"   {client.name}: {wrong}")
            if len(result.wrong) > 5:
                print(f"   {client.name}: and {len(result.wrong) - 5} more")
    if args.table:
        held = ", ".join(f"{count} {name}" for name, count in size.items())
        print(f"{held}, {args.days} days, {len(rows)} ad-day rows, no delays:")
        print(table(results))
    return 1 if any(result.wrong for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
