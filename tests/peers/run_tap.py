"""run_tap.py JOB FOLDER: tap-facebook, unmodified from PyPI, pointed at the simulator.

JOB is a JSON object (url, token, account, since, until, fields). Only the host is changed, at run time. The streams are
campaigns, ad sets, ads and ads_insights; of the latter's fields it selects those that our client requests too, as far
as the tap knows them."""

import json
import sys
from datetime import date, timedelta
from pathlib import Path

from facebook_business.session import FacebookSession

STREAMS = {"campaigns", "adsets", "ads", "ads_insights"}


def main(job: dict, folder: Path) -> None:
    FacebookSession.GRAPH = job["url"]
    import tap_facebook

    # The tap begins one day before its start date: the smallest buffer it accepts.
    start = date.fromisoformat(job["since"]) + timedelta(days=1)
    config = {
        "account_id": job["account"].removeprefix("act_"),
        "access_token": job["token"],
        "start_date": f"{start}T00:00:00Z",
        "end_date": f"{job['until']}T00:00:00Z",
        "insights_buffer_days": 1,
    }
    catalog = tap_facebook.discover_schemas()
    for stream in catalog["streams"]:
        chosen = stream["stream"] in STREAMS
        for entry in stream["metadata"]:
            field = entry["breadcrumb"][-1] if entry["breadcrumb"] else None
            insights = stream["stream"] == "ads_insights" and field is not None
            entry["metadata"]["selected"] = chosen and (not insights or field in job["fields"])
    files = {"config": folder / "config.json", "catalog": folder / "catalog.json"}
    files["config"].write_text(json.dumps(config))
    files["catalog"].write_text(json.dumps(catalog))
    sys.argv = ["tap-facebook", "--config", str(files["config"]), "--properties", str(files["catalog"])]
    tap_facebook.main()


main(json.loads(sys.argv[1]), Path(sys.argv[2]))
