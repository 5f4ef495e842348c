"""Holds every figure of the product against Python's own sums over the simulated Meta's rows: queries, lists, insights, files
for spreadsheets, and what the console's pages show; every level, range and currency. Prints what was compared, and every
difference.

    python compare.py ADFLIGHT DATA [--account DIR | --accounts N] [--screens NODE_COMMAND...]"""

import csv
import io
import json
import re
import subprocess
import sys
import time
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from meta import MEASURES, SUMS, Meta, fetch, grouped, total

LEVELS = {"account": None, "campaign": "campaigns", "adset": "adsets", "ad": "ads"}
BREAKDOWNS = {
    "ad_day_placement": ("publisher_platform", "platform_position"),
    "ad_day_age_gender": ("age", "gender"),
    "ad_day_country": ("country",),
    "ad_day_device": ("device_platform",),
}
RATES = {"USD": "1", "EUR": "1.0873", "GBP": "1.2691", "JPY": "0.006712", "TWD": "0.031", "SGD": "0.7444"}


class Product:
    """The product as `adflight up` serves it, and the simulated Meta that it talks to."""

    def __init__(self, program: str, data: Path, options: list[str]) -> None:
        self.process = subprocess.Popen(
            [program, "up", "--port", "0", "--data", str(data), *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        said = {}
        for line in self.process.stdout:
            said |= {name: found[1] for name, text in (("url", "The console"), ("meta", "The simulated Meta")) if (found := re.match(f"{text}: (\\S+)", line))}
            if "as `post_id`" in line:
                break
        else:
            raise RuntimeError("adflight ended before it served")
        self.url, self.meta = said["url"], said["meta"]
        token = subprocess.run([program, "token", "--data", str(data)], capture_output=True, text=True, check=True)
        self.token = token.stdout.strip().splitlines()[-1]
        self.meta_token = fetch(f"{self.meta}/simulator/token", "", method="POST")["access_token"]

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        return fetch(f"{self.url}/v1/workspaces/demo/{path}", self.token, body, method)

    def text(self, path: str) -> str:
        import urllib.request
        request = urllib.request.Request(f"{self.url}/v1/workspaces/demo/{path}", headers={"authorization": f"Bearer {self.token}"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
            return response.read().decode("utf-8-sig")

    def pages(self, path: str, body: dict[str, Any] | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Returns every row of a list or query, and its first page."""
        rows, first, after = [], None, None
        while first is None or after:
            if body is None:
                page = self.ask(path + (f"&after={after}" if after else ""))
            else:
                page = self.ask(path, {**body, **({"after": after} if after else {})})
            first = first or page
            rows += page["data"]
            after = page.get("after")
        return rows, first

    def wait(self, account: str) -> None:
        """Waits until an account has all of its numbers."""
        for _ in range(3000):
            sync = self.ask(f"ad-accounts/{account}/sync")
            if sync.get("entities_synced_at") and sync["chunks"]["planned"] + sync["chunks"]["running"] == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"{account} is not measured")


class Report:
    """What was compared, by kind, and every difference."""

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()
        self.differences: list[str] = []

    def measures(self, kind: str, what: str, ours: dict[str, Any], theirs: dict[str, Decimal], names: tuple[str, ...] = MEASURES) -> None:
        for name in names:
            self.value(kind, f"{what}: {name}", ours.get(name), theirs.get(name))

    def value(self, kind: str, what: str, ours: Any, theirs: Any) -> None:
        self.compared[kind] += 1
        equal = ours == theirs if ours is None or theirs is None else Decimal(str(ours)) == Decimal(str(theirs))
        if not equal:
            self.differences.append(f"{kind}: {what}: we say {ours}, Meta's rows say {theirs}")

    def rows(self, kind: str, what: str, ours: list[tuple[Any, dict[str, Any]]], theirs: dict[Any, dict[str, Decimal]], names: tuple[str, ...] = MEASURES) -> None:
        """Compares rows by key. A row that Meta has not is one without delivery."""
        seen = set()
        for key, measures in ours:
            if key in seen:
                self.differences.append(f"{kind}: {what}: {key} is there twice")
            seen.add(key)
            if key in theirs:
                self.measures(kind, f"{what} of {key}", measures, theirs[key], names)
            elif any(Decimal(str(measures.get(name, 0))) for name in names):
                self.differences.append(f"{kind}: {what}: {key} has numbers that Meta has not: {measures}")
        for key in theirs.keys() - seen:
            self.differences.append(f"{kind}: {what}: {key} is missing")


def ranges(today: date) -> dict[str, tuple[date, date]]:
    """Returns the ranges that people ask for."""
    yesterday, month = today - timedelta(days=1), today.replace(day=1)
    monday = today - timedelta(days=today.weekday())
    return {
        "today": (today, today), "yesterday": (yesterday, yesterday), "last 7 days": (today - timedelta(days=7), yesterday),
        "last 30 days": (today - timedelta(days=30), yesterday), "last week": (monday - timedelta(days=7), monday - timedelta(days=1)),
        "this month": (month, today), "last month": ((month - timedelta(days=1)).replace(day=1), month - timedelta(days=1)),
        "when clocks changed": (date(today.year, 10, 24), date(today.year, 11, 2)), "all": (today - timedelta(days=80), today),
    }


def compare_account(product: Product, report: Report, account: dict[str, Any], today: date) -> Meta:
    meta = Meta(product.meta, product.meta_token, account["id"])
    first = today - timedelta(days=85)
    everything = meta.rows(first, today)
    digits = account["id"]
    halves = [MEASURES[:20], MEASURES[20:]]
    for name, (since, until) in ranges(today).items():
        rows = [(about, sums) for about, sums in everything if str(since) <= about["day"] <= str(until)]
        for level, edge in LEVELS.items():
            what = f"{account['currency']} {name} by {level}"
            own = grouped(rows, lambda about: about[level], meta.goal)
            whole = total([sums for _, sums in rows], {meta.goal(about["adset"]) for about, _ in rows})
            query = {"ad_accounts": [digits], "level": level, "range": {"since": str(since), "until": str(until)}, "limit": 500}
            for names in halves:
                found, answer = product.pages("query", {**query, "measures": list(names)})
                report.rows("queries", what, [(row.get("id", digits), row["measures"]) for row in found], own, names)
                if rows:
                    report.measures("totals of queries", what, answer["totals"]["measures"], whole, names)
            if edge:
                found, answer = product.pages(f"ad-accounts/{digits}/{edge}?since={since}&until={until}&limit=500")
                report.rows("lists", what, [(row["id"], row["measures"]) for row in found], own)
                if rows:
                    report.measures("totals of lists", what, answer["totals"]["measures"], whole)
                for row in found:
                    known = meta.objects[edge].get(row["id"])
                    if known and row.get("name") != known.get("name", row.get("name")):
                        report.differences.append(f"lists: {what}: {row['id']} is called {row.get('name')}, at Meta {known['name']}")
            base = f"ad-accounts/{digits}/insights?level={level}&since={since}&until={until}&limit=5000"
            found, _ = product.pages(base)
            report.rows("insights", what, [(row.get("id", digits), row["measures"]) for row in found], own)
            by_day = grouped(rows, lambda about: (about[level], about["day"]), meta.goal)
            found, _ = product.pages(f"{base}&increment=day")
            report.rows("insights by day", what, [((row.get("id", digits), row["date_start"]), row["measures"]) for row in found], by_day)
            if len(by_day) <= 30_000:
                lines = csv.DictReader(io.StringIO(product.text(f"ad-accounts/{digits}/insights.csv?level={level}&since={since}&until={until}&increment=day")))
                report.rows("CSV", what, [((line["id"], line["date_start"]), {name: line[name] for name in MEASURES if line.get(name)}) for line in lines], by_day)
    since, until = ranges(today)["last 30 days"]
    rows = [(about, sums) for about, sums in everything if str(since) <= about["day"] <= str(until)]
    before = [(about, sums) for about, sums in everything if str(since - timedelta(days=30)) <= about["day"] < str(since)]
    query = {"ad_accounts": [digits], "range": {"since": str(since), "until": str(until)}, "limit": 500, "measures": list(MEASURES[:20])}
    for dimension in ("day", "week", "month", "objective"):
        for level in ("account", "campaign"):
            found, _ = product.pages("query", {**query, "level": level, "dimensions": [dimension]})
            own = grouped(rows, lambda about: (about[level], about[dimension]), meta.goal)
            report.rows("dimensions", f"{account['currency']} {level} by {dimension}", [((row.get("id", digits), row["dimensions"].get(dimension, "")), row["measures"]) for row in found], own, MEASURES[:20])
    found, answer = product.pages("query", {**query, "level": "campaign", "compare": "previous_period"})
    own, then = (grouped(some, lambda about: about["campaign"], meta.goal) for some in (rows, before))
    for row in found:
        report.measures("comparisons", row["id"], {name: value for name, value in row.get("previous", {}).items() if row["id"] in then}, then.get(row["id"], {}), MEASURES[:20])
        for name, change in row.get("change", {}).items():
            new, old = own.get(row["id"], {}).get(name), then.get(row["id"], {}).get(name)
            if new is not None and old is not None:
                report.value("changes", f"{row['id']} {name}", change["absolute"], new - old)
    least = sorted(sums["spend"] for sums in own.values())[len(own) // 2] if own else Decimal(0)
    found, _ = product.pages("query", {**query, "level": "campaign", "filters": [{"field": "spend", "op": "gte", "value": str(least)}]})
    report.rows("filters", "spend", [(row["id"], row["measures"]) for row in found], {key: sums for key, sums in own.items() if sums["spend"] >= least}, MEASURES[:20])
    return meta


def compare_breakdowns(product: Product, report: Report, meta: Meta, today: date) -> None:
    since, until = today - timedelta(days=10), today - timedelta(days=2)
    product.ask(f"ad-accounts/{meta.account}/sync", {"since": str(since), "until": str(until), "datasets": list(BREAKDOWNS)})
    product.wait(meta.account)
    for dataset, names in BREAKDOWNS.items():
        rows = meta.rows(since, until, names)
        for level in ("account", "campaign"):
            query = {"ad_accounts": [meta.account], "level": level, "measures": list(SUMS[:4]), "dimensions": list(names), "limit": 500, "range": {"since": str(since), "until": str(until)}}
            found, _ = product.pages("query", query)
            key = lambda about: (about[level], *(about[name] for name in names))
            report.rows("breakdowns", f"{dataset} by {level}", [((row.get("id", meta.account), *(row["dimensions"][name] for name in names)), row["measures"]) for row in found], grouped(rows, key, meta.goal), SUMS[:4])


def compare_reach(product: Product, report: Report, meta: Meta, today: date) -> None:
    since, until = today - timedelta(days=12), today - timedelta(days=3)
    for level in ("account", "campaign"):
        product.ask(f"ad-accounts/{meta.account}/reach", {"level": level, "since": str(since), "until": str(until), "by": "all"})
        query = {"ad_accounts": [meta.account], "level": level, "measures": ["reach", "impressions"], "range": {"since": str(since), "until": str(until)}, "limit": 500}
        for _ in range(300):
            found, answer = product.pages("query", query)
            if answer["ad_accounts"][0]["reach"]["missing"] == []:
                break
            time.sleep(0.1)
        own = {row.get("campaign_id", meta.account): {"reach": Decimal(row["reach"])} for row in meta.insights(level, since, until, "campaign_id,reach" if level == "campaign" else "reach")}
        report.rows("reach", level, [(row.get("id", meta.account), {"reach": row["measures"]["reach"]}) for row in found if "reach" in row["measures"]], own, ("reach",))


def compare_converted(product: Product, report: Report, accounts: list[dict[str, Any]], metas: dict[str, Meta], today: date) -> None:
    """Several accounts in one answer, each amount converted with a stated rate."""
    since, until = today - timedelta(days=20), today - timedelta(days=2)
    rates = {currency: rate for currency, rate in RATES.items() if currency != "USD"}
    body = {"ad_accounts": list(metas), "level": "account", "measures": ["spend", "impressions", "purchase_value", "roas"], "range": {"since": str(since), "until": str(until)}, "convert": {"to": "USD", "rates": rates}, "limit": 500}
    found, answer = product.pages("query", body)
    sums: list[dict[str, Decimal]] = []
    own = {}
    for account in accounts:
        rate = Decimal(RATES[account["currency"]])
        plain = total([parts for _, parts in metas[account["id"]].rows(since, until)])
        money = {name: value * rate if name in ("spend", "purchase_value") else value for name, value in plain.items() if name in SUMS}
        sums.append(money)
        own[account["id"]] = total([money])
    names = ("spend", "impressions", "purchase_value", "roas")
    report.rows("converted", "account", [(row["ad_account"], row["measures"]) for row in found], own, names)
    report.measures("converted", "totals", answer["totals"]["measures"], total(sums), names)


def compare_screens(product: Product, report: Report, command: list[str], accounts: list[dict[str, Any]], metas: dict[str, Meta], today: dict[str, date]) -> None:
    """What the console's pages show: tiles, rows, and their totals, read from the page's own text."""
    shown = subprocess.run([*command, product.url, json.dumps([account["id"] for account in accounts])], capture_output=True, text=True)
    if shown.returncode != 0:
        raise RuntimeError(shown.stderr[-2000:])
    for page in json.loads(shown.stdout):
        meta = metas[page["account"]]
        until = today[page["account"]] - timedelta(days=1)
        rows = meta.rows(until - timedelta(days=page["days"] - 1), until)
        digits = 0 if page["currency"] in ("JPY", "TWD") else 2
        whole = total([sums for _, sums in rows], {meta.goal(about["adset"]) for about, _ in rows})
        own = grouped(rows, lambda about: about[page["level"]], meta.goal)
        for key, cells in [(None, page["tiles"]), *((row["id"], row["cells"]) for row in page["rows"])]:
            theirs = whole if key is None else own.get(key)
            for name, text in cells.items():
                if theirs is None or name not in MEASURES:
                    continue
                value = theirs.get(name)
                places = 2 if "%" in text or "×" in text or name in ("roas", "ctr") else digits
                if name in ("impressions", "clicks", "link_clicks", "purchases", "leads"):
                    places = 0
                factor = 100 if "%" in text else 1
                expected = None if value is None else (value * factor).quantize(Decimal(1).scaleb(-places), "ROUND_HALF_UP" if False else "ROUND_HALF_EVEN")
                number = re.sub(r"[^\d.\-]", "", text)
                seen = None if text.strip().startswith("—") or not number else Decimal(number)
                # A browser rounds a half away from zero.
                if expected is not None and seen is not None and abs(expected - seen) == Decimal(1).scaleb(-places) and (value * factor).quantize(Decimal(1).scaleb(-places), "ROUND_HALF_UP") == seen:
                    expected = seen
                report.value("screens", f"{page['page']} {page['currency']} {page['days']} days {key or 'tile'} {name} ({text})", seen, expected)


def main() -> int:
    program, data, *options = sys.argv[1:]
    screens = options[options.index("--screens") + 1:] if "--screens" in options else []
    options = options[: options.index("--screens")] if "--screens" in options else options
    product, report = Product(program, Path(data), options), Report()
    try:
        accounts = [account for account in product.ask("ad-accounts?limit=500")["data"] if not account["id"].startswith("act_10000000000000")]
        for account in accounts:
            product.ask(f"ad-accounts/{account['id']}/selection", {"selected": True}, "PUT")
        metas, days = {}, {}
        for account in accounts:
            product.wait(account["id"])
            listed = product.ask(f"ad-accounts/{account['id']}/campaigns?limit=1")
            # The day of the system, which a recording sets to another.
            days[account["id"]] = date.fromisoformat(listed["until"])
            metas[account["id"]] = compare_account(product, report, account, days[account["id"]])
        main_account = metas[accounts[0]["id"]]
        if "--account" not in options:
            compare_breakdowns(product, report, main_account, days[main_account.account])
            compare_reach(product, report, main_account, days[main_account.account])
        if len(accounts) > 1:
            compare_converted(product, report, accounts, metas, min(days.values()))
        if screens:
            compare_screens(product, report, screens, accounts, metas, days)
    finally:
        product.process.terminate()
        product.process.wait()
    for kind, count in sorted(report.compared.items()):
        print(f"   {kind:<20}{count:>9}")
    print(f"   {sum(report.compared.values())} figures of {len(accounts)} ad accounts, {len(report.differences)} differences")
    for difference in report.differences[:40]:
        print(f"   {difference}")
    return min(1, len(report.differences))


if __name__ == "__main__":
    sys.exit(main())
