"""run_sdk_loop.py JOB FOLDER: a typical quick script with the official SDK: GET, weeks, big pages.

JOB is a JSON object (url, token, account, since, until, fields). Prints one JSON object per line:
{"stream": "campaigns" | "adsets" | "ads" | "insights", "record": {...}}."""

import json
import sys
from datetime import date, timedelta

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

STATUSES = ["ACTIVE", "PAUSED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES", "CAMPAIGN_PAUSED", "ADSET_PAUSED"]


def show(stream: str, records) -> None:
    for record in records:
        print(json.dumps({"stream": stream, "record": record.export_all_data()}))


def main(job: dict) -> None:
    FacebookSession.GRAPH = job["url"]
    FacebookAdsApi.init(access_token=job["token"], crash_log=False)
    account = AdAccount(job["account"])
    common = ["id", "name", "status", "effective_status", "updated_time"]
    listed = {"limit": 500}
    show(
        "campaigns",
        account.get_campaigns(common + ["objective"], listed | {"effective_status": STATUSES[:5]}),
    )
    show("adsets", account.get_ad_sets(common + ["campaign_id"], listed | {"effective_status": STATUSES[:6]}))
    show(
        "ads", account.get_ads(common + ["campaign_id", "adset_id"], listed | {"effective_status": STATUSES})
    )
    day, until = date.fromisoformat(job["since"]), date.fromisoformat(job["until"])
    while day <= until:
        last = min(day + timedelta(days=6), until)
        params = {
            "level": "ad",
            "time_increment": 1,
            "limit": 500,
            "action_attribution_windows": ["1d_click", "7d_click", "28d_click", "1d_view", "1d_ev"],
            "time_range": {"since": str(day), "until": str(last)},
        }
        show("insights", account.get_insights(job["fields"], params))
        day = last + timedelta(days=1)


main(json.loads(sys.argv[1]))
