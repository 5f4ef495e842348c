"""The records of the clients in one shape, and their comparison with the simulator's data.

A row is one ad's day: {"ad_id", "adset_id", "campaign_id", "date", one entry per metric, "actions", "action_values"},
numbers as exact decimal strings, the two lists as maps from action type to value. An object is {"id", "name",
"effective_status", ids of its parents}."""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

IDS = ("ad_id", "adset_id", "campaign_id")
METRICS = ("impressions", "clicks", "inline_link_clicks", "spend", "reach", "frequency")
LISTS = ("actions", "action_values")
OBJECTS = {
    "campaigns": ("name", "effective_status"),
    "adsets": ("name", "effective_status", "campaign_id"),
    "ads": ("name", "effective_status", "campaign_id", "adset_id"),
}
# Airbyte's names of the streams that the others name after the edge.
ALIASES = {"ad_sets": "adsets", "ads_insights": "insights", "customdaily": "insights"}


def records(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the records in a client's output: Airbyte's and Singer's messages, and plain {"stream", "record"}
    lines."""
    for line in lines:
        try:
            message = json.loads(line, parse_float=Decimal)
        except ValueError:
            continue  # Some also log there.
        record = message.get("record")
        if record is not None:
            stream = message.get("stream") or record["stream"]
            yield ALIASES.get(stream, stream), record if "stream" in message else record["data"]


def row(record: dict[str, Any]) -> dict[str, Any]:
    """Returns an insights record as a row."""
    return {
        **{name: str(record[name]) for name in IDS},
        "date": (record.get("date") or record["date_start"])[:10],
        **{name: exact(record.get(name)) for name in METRICS},
        **{name: by_type(record.get(name)) for name in LISTS},
    }


def exact(value: Any) -> str:
    """Returns a number as text, the same for every notation; an absent one is zero."""
    return format(Decimal(str(value or 0)).normalize(), "f")


def by_type(actions: Any) -> dict[str, str]:
    """Returns a list of actions as a map. Action breakdowns split an action type into several entries: they are
    summed."""
    if isinstance(actions, dict):
        return {name: exact(value) for name, value in actions.items()}
    sums: dict[str, Decimal] = {}
    for action in actions or []:
        sums[action["action_type"]] = sums.get(action["action_type"], Decimal(0)) + Decimal(
            str(action["value"])
        )
    return {name: exact(value) for name, value in sums.items()}


class AccountData:
    """Everything a client read: rows by ad and day, objects by id."""

    def __init__(self, found: Iterable[tuple[str, dict[str, Any]]]) -> None:
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.objects: dict[str, dict[str, dict[str, str]]] = {stream: {} for stream in OBJECTS}
        self.repeated = 0
        for stream, record in found:
            if stream == "insights":
                one = row(record)
                key, held = (one["ad_id"], one["date"]), self.rows
            else:
                one = {name: str(record.get(name)) for name in OBJECTS[stream]}
                key, held = record["id"], self.objects[stream]
            self.repeated += key in held
            held[key] = one

    def count(self) -> int:
        """Returns the number of objects read."""
        return sum(len(objects) for objects in self.objects.values())


def differences(expected: AccountData, read: AccountData) -> list[str]:
    """Returns the differences between the data read and the expected data."""
    found = [f"{read.repeated} records came twice"] if read.repeated else []
    for name, true, seen in [("insights", expected.rows, read.rows)] + [
        (stream, expected.objects[stream], read.objects[stream]) for stream in OBJECTS
    ]:
        found += [f"{name}: {key} is missing" for key in sorted(true.keys() - seen.keys())]
        found += [f"{name}: {key} does not exist" for key in sorted(seen.keys() - true.keys())]
        found += [
            f"{name}: {key} {column} is {seen[key].get(column)!r}, not {value!r}"
            for key in sorted(true.keys() & seen.keys())
            for column, value in true[key].items()
            if seen[key].get(column) != value
        ]
    return found
