"""run_airbyte.py JOB FOLDER: airbyte-source-facebook-marketing, unmodified from PyPI, pointed at the simulator.

JOB is a JSON object (url, token, account, since, until, fields). Only the host is changed, at run time. The streams are
campaigns, ad sets, ads, and a custom insights report per ad and day with the fields that our client requests too,
without action breakdowns."""

import json
import sys
from pathlib import Path

from facebook_business.session import FacebookSession

STATUSES = {
    "campaign_statuses": "ACTIVE ARCHIVED IN_PROCESS PAUSED WITH_ISSUES",
    "adset_statuses": "ACTIVE ARCHIVED CAMPAIGN_PAUSED IN_PROCESS PAUSED WITH_ISSUES",
    "ad_statuses": "ACTIVE ADSET_PAUSED ARCHIVED CAMPAIGN_PAUSED DISAPPROVED IN_PROCESS PAUSED PENDING_BILLING_INFO "
    "PENDING_REVIEW PREAPPROVED WITH_ISSUES",
}
STREAMS = ["campaigns", "ad_sets", "ads", "customdaily"]


def main(job: dict, folder: Path) -> None:
    config = {
        "account_ids": [job["account"].removeprefix("act_")],
        "credentials": {"auth_type": "Service", "access_token": job["token"]},
        "custom_insights": [
            {
                "name": "daily",
                "level": "ad",
                "fields": job["fields"],
                "start_date": f"{job['since']}T00:00:00Z",
                "end_date": f"{job['until']}T00:00:00Z",
            }
        ],
        "action_breakdowns_allow_empty": True,
        **{option: names.split() for option, names in STATUSES.items()},
    }
    catalog = {
        "streams": [
            {
                "stream": {
                    "name": name,
                    "json_schema": {},
                    "supported_sync_modes": ["full_refresh", "incremental"],
                },
                "sync_mode": "incremental",
                "destination_sync_mode": "append",
            }
            for name in STREAMS
        ]
    }
    files = {"config": folder / "config.json", "catalog": folder / "catalog.json"}
    files["config"].write_text(json.dumps(config))
    files["catalog"].write_text(json.dumps(catalog))

    FacebookSession.GRAPH = job["url"]
    from source_facebook_marketing.run import run

    sys.argv = ["source", "read", "--config", str(files["config"]), "--catalog", str(files["catalog"])]
    run()


main(json.loads(sys.argv[1]), Path(sys.argv[2]))
