"""What the simulated Meta knows, read by plain HTTP, and the sums over it as docs/api.md describes the measures. Nothing of
the product is used: its figures are held against these."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Callable, Iterable

Values = dict[str, Decimal]

# The action types under which a conversion may stand, best first: the first that is counted for an ad on a day is taken.
KEYS = {
    "leads": ("lead", "onsite_conversion.lead_grouped", "offsite_conversion.fb_pixel_lead"),
    "add_to_cart": ("omni_add_to_cart", "add_to_cart", "offsite_conversion.fb_pixel_add_to_cart"),
    "initiate_checkout": ("omni_initiated_checkout", "initiate_checkout", "offsite_conversion.fb_pixel_initiate_checkout"),
    "app_installs": ("omni_app_install", "mobile_app_install", "app_install"),
    "landing_page_views": ("landing_page_view", "omni_landing_page_view"),
    "video_views": ("video_view",),
}
PURCHASES = ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase")
SUMS = ("impressions", "clicks", "link_clicks", "spend", "purchases", "purchase_value", "results", *KEYS)
# Each ratio with what is above and below it, a factor, and its decimal places.
RATIOS = {
    "ctr": ("clicks", "impressions", 1, 8),
    "link_ctr": ("link_clicks", "impressions", 1, 8),
    "conversion_rate": ("purchases", "link_clicks", 1, 8),
    "cpc": ("spend", "clicks", 1, 6),
    "cost_per_link_click": ("spend", "link_clicks", 1, 6),
    "cpm": ("spend", "impressions", 1000, 6),
    "roas": ("purchase_value", "spend", 1, 6),
    "cost_per_purchase": ("spend", "purchases", 1, 6),
    "average_order_value": ("purchase_value", "purchases", 1, 6),
    "cost_per_lead": ("spend", "leads", 1, 6),
    "cost_per_install": ("spend", "app_installs", 1, 6),
    "cost_per_result": ("spend", "results", 1, 6),
}
MEASURES = (*SUMS, *RATIOS, "profit")
# What the ad set's goal counts; others have no results.
RESULTS = {"PURCHASE": "purchases", "LEAD": "leads", "ADD_TO_CART": "add_to_cart"}

# What is read of the objects of each level. Without these states Meta leaves out what is archived.
STATES = ("ACTIVE", "PAUSED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES")
EDGES = {
    "campaigns": ("id,name,objective", STATES),
    "adsets": ("id,name,campaign_id,optimization_goal,promoted_object", (*STATES, "CAMPAIGN_PAUSED")),
    "ads": ("id,name,campaign_id,adset_id", (*STATES, "CAMPAIGN_PAUSED", "ADSET_PAUSED", "PENDING_REVIEW", "DISAPPROVED")),
}

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
FIELDS = "ad_id,adset_id,campaign_id,impressions,clicks,inline_link_clicks,spend,actions,action_values"


def fetch(url: str, token: str, body: Any = None, method: str | None = None) -> Any:
    """Sends a request and returns its JSON; what is refused says why."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with OPENER.open(request) as response:
            text = response.read()
    except urllib.error.HTTPError as refused:
        raise RuntimeError(f"{url} answered {refused.code}: {refused.read().decode()}") from refused
    return json.loads(text, parse_float=Decimal) if text else None


class Meta:
    """An ad account at the simulated Meta."""

    def __init__(self, url: str, token: str, account: str) -> None:
        self.url, self.token, self.account = url, token, account
        listed = {edge: self._all(edge, fields, effective_status=json.dumps(states)) for edge, (fields, states) in EDGES.items()}
        self.objects = {edge: {one["id"]: one for one in found} for edge, found in listed.items()}

    def _all(self, edge: str, fields: str, **params: Any) -> list[dict[str, Any]]:
        params = {"fields": fields, "limit": "500", **params}
        url, found = f"{self.url}/v26.0/{self.account}/{edge}?{urllib.parse.urlencode(params)}", []
        while url:
            page = fetch(url, self.token)
            found += page["data"]
            url = page.get("paging", {}).get("next")
        return found

    def insights(self, level: str, since: date, until: date, fields: str, **params: str) -> list[dict[str, Any]]:
        """Returns rows of insights, as Meta has them."""
        days = json.dumps({"since": str(since), "until": str(until)})
        return self._all("insights", fields, level=level, time_range=days, **params)

    def rows(self, since: date, until: date, breakdowns: tuple[str, ...] = ()) -> list[tuple[dict[str, str], Values]]:
        """Returns each ad and day (and part of it): what it is about, and its sums."""
        found = self.insights("ad", since, until, FIELDS, time_increment="1", **({"breakdowns": ",".join(breakdowns)} if breakdowns else {}))
        return [(self._about(row, breakdowns), self._sums(row)) for row in found]

    def _about(self, row: dict[str, Any], breakdowns: tuple[str, ...]) -> dict[str, str]:
        day = date.fromisoformat(row["date_start"])
        campaign = self.objects["campaigns"].get(row["campaign_id"], {})
        return {
            "account": self.account, "campaign": row["campaign_id"], "adset": row["adset_id"], "ad": row["ad_id"],
            "day": str(day), "week": str(day - timedelta(days=day.weekday())), "month": str(day.replace(day=1)),
            "objective": campaign.get("objective", ""), **{name: str(row[name]) for name in breakdowns},
        }

    def _sums(self, row: dict[str, Any]) -> Values:
        # An action that Meta splits by its window has one row with its whole value.
        by_type = lambda name: {one["action_type"]: Decimal(str(one["value"])) for one in row.get(name) or [] if "value" in one}
        actions, values = by_type("actions"), by_type("action_values")
        sums = {"impressions": row.get("impressions", 0), "clicks": row.get("clicks", 0), "spend": row.get("spend", 0)}
        if "inline_link_clicks" in row:
            sums["link_clicks"] = row["inline_link_clicks"]
        valued = [key for key in PURCHASES if key in actions and values.get(key)]
        counted = [key for key in PURCHASES if key in actions]
        with_value = [key for key in PURCHASES if values.get(key)]
        for key in (valued or counted or with_value)[:1]:
            sums |= {name: found[key] for name, found in (("purchases", actions), ("purchase_value", values)) if key in found}
        for name, keys in KEYS.items():
            sums |= {name: actions[key] for key in keys[::-1] if key in actions}
        sums = {name: Decimal(str(value)) for name, value in sums.items()}
        goal = self.goal(row["adset_id"])
        if goal:
            # Where an ad set has a goal, Meta names it also for a day without any: those are no results, and not unknown.
            sums["results"] = sums.get(goal, Decimal(0))
        return sums

    def goal(self, adset: str) -> str | None:
        """Returns the measure that counts the results of an ad set."""
        known = self.objects["adsets"].get(adset, {})
        if known.get("optimization_goal") == "LINK_CLICKS":
            return "link_clicks"
        return RESULTS.get((known.get("promoted_object") or {}).get("custom_event_type"))


def total(parts: Iterable[Values], goals: set[str | None] = frozenset()) -> Values:
    """Adds sums and derives the ratios: what is known of no part is unknown, and so is a ratio to zero. Where the ad sets
    have different goals there are no results."""
    sums: Values = defaultdict(Decimal)
    for part in parts:
        for name, value in part.items():
            sums[name] += value
    if len(goals) != 1 or goals == {None}:
        sums.pop("results", None)
    measures = dict(sums)
    for name, (above, below, factor, places) in RATIOS.items():
        if above in sums and sums.get(below):
            measures[name] = (sums[above] * factor / sums[below]).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    if "purchase_value" in sums:
        measures["profit"] = sums["purchase_value"] - sums["spend"]
    return measures


def grouped(rows: list[tuple[dict[str, str], Values]], key: Callable[[dict[str, str]], Any], goal: Callable[[str], str | None]) -> dict[Any, Values]:
    """Groups rows and totals each group."""
    parts: dict[Any, list[Values]] = defaultdict(list)
    goals: dict[Any, set[str | None]] = defaultdict(set)
    for about, sums in rows:
        parts[key(about)].append(sums)
        goals[key(about)].add(goal(about["adset"]))
    return {name: total(found, goals[name]) for name, found in parts.items()}
