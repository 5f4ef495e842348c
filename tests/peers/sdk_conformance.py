"""sdk_conformance.py SIM_SERVER: a scenario with Meta's own SDK, unmodified, against the simulator.

Run it in target/peers/sdk. Changed from outside: the host, for which the SDK has FacebookSession.GRAPH, and the host
of video uploads, which it writes into each call. Every step asserts on the simulator's state; the steps are one
scenario, in order. Exit status 1 when a step fails."""

import logging
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from pathlib import Path
from typing import Any

from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adcreative import AdCreative
from facebook_business.adobjects.adimage import AdImage
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.adsinsights import AdsInsights
from facebook_business.adobjects.advideo import AdVideo
from facebook_business.adobjects.campaign import Campaign
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from rows import AccountData, differences
from request_check import check_request
from simulator import Sim, full_days

ADS = 130


class LocalApi(FacebookAdsApi):
    """Redirects video chunks, which the SDK sends to a hard-coded host, to the one host here."""

    def call(self, method, path, params=None, headers=None, files=None, url_override=None, api_version=None):
        return super().call(method, path, params, headers, files, None, api_version)


class Scenario:
    """The state that the steps share."""

    def __init__(self, sim: Sim, folder: Path) -> None:
        self.sim, self.folder = sim, folder
        self.api = self.login(sim.info["token"])
        FacebookAdsApi.set_default_api(self.api)
        self.account = AdAccount(sim.info["account"])

    def login(self, token: str, secret: str | None = None) -> LocalApi:
        """Logs in; with a secret the SDK proves every call (appsecret_proof)."""
        info = self.sim.info
        return LocalApi(FacebookSession(info["app_id"], secret or info["app_secret"], token))

    def it_sees_who_is_there(self) -> None:
        accounts = User("me").get_ad_accounts(fields=["account_id", "currency", "timezone_name"])
        mine = next(account for account in accounts if account["id"] == self.account.get_id())
        assert mine["currency"] == self.sim.info["currency"], mine
        assert mine["timezone_name"] == self.sim.info["timezone"], mine

    def it_creates_from_top_to_bottom(self) -> None:
        self.campaign = self.account.create_campaign(
            params={
                "name": "SDK | Autumn",
                "objective": Campaign.Objective.outcome_traffic,
                "status": Campaign.Status.paused,
                "special_ad_categories": [],
                "is_adset_budget_sharing_enabled": False,
            }
        )
        self.adset = self.account.create_ad_set(
            params={
                "name": "SDK | Broad",
                "campaign_id": self.campaign["id"],
                "daily_budget": 20_000,
                "billing_event": AdSet.BillingEvent.impressions,
                "optimization_goal": AdSet.OptimizationGoal.link_clicks,
                "bid_strategy": AdSet.BidStrategy.lowest_cost_without_cap,
                "targeting": {
                    "geo_locations": {"countries": ["US"]},
                    "age_min": 25,
                    "targeting_automation": {"advantage_audience": 0},
                },
                "status": AdSet.Status.paused,
            }
        )
        self.creative = self.account.create_ad_creative(
            params={"name": "SDK | Post", "object_story_id": f"{self.sim.info['page']}_700000000000001"}
        )
        self.ad = self.account.create_ad(
            params={
                "name": "SDK | Ad",
                "adset_id": self.adset["id"],
                "creative": {"creative_id": self.creative["id"]},
                "status": Ad.Status.paused,
            }
        )
        stored = self.sim.node(self.ad["id"])
        assert stored["name"] == "SDK | Ad" and stored["campaign_id"] == self.campaign["id"], stored
        assert self.sim.node(self.adset["id"])["daily_budget"] == "20000"

    def it_reads_back_what_it_created(self) -> None:
        read = AdSet(self.adset["id"]).api_get(
            fields=["name", "campaign_id", "daily_budget", "targeting", "status"]
        )
        assert (read["name"], read["campaign_id"]) == ("SDK | Broad", self.campaign["id"]), read
        assert (read["daily_budget"], read["status"]) == ("20000", "PAUSED"), read
        assert read["targeting"]["geo_locations"]["countries"] == ["US"], read
        creative = AdCreative(self.creative["id"]).api_get(fields=["name", "effective_object_story_id"])
        assert creative["effective_object_story_id"].startswith(self.sim.info["page"]), creative

    def it_reads_nested_fields(self) -> None:
        nested = "adsets.limit(5){id,name,ads.limit(5){id,name,creative{id}}}"
        # The SDK could not read them from a single node: it would put the ad sets into the campaign's own object.
        trees = self.account.get_campaigns(fields=["name", nested])
        [adset] = next(tree["adsets"] for tree in trees if tree["id"] == self.campaign["id"])
        [ad] = adset["ads"]
        assert (adset["id"], adset["name"]) == (self.adset["id"], "SDK | Broad"), adset
        assert (ad["id"], ad["creative"]["id"]) == (self.ad["id"], self.creative["id"]), ad

    def it_updates(self) -> None:
        AdSet(self.adset["id"]).api_update(params={"daily_budget": 30_000, "name": "SDK | Broader"})
        Campaign(self.campaign["id"]).api_update(params={"status": Campaign.Status.active})
        stored = self.sim.node(self.adset["id"])
        assert (stored["daily_budget"], stored["name"]) == ("30000", "SDK | Broader"), stored
        assert self.sim.node(self.campaign["id"])["status"] == "ACTIVE"

    def it_pages_with_cursors(self) -> None:
        listed = [ad["id"] for ad in self.sim.listing("ads", "id")]
        before = self.sim.calls()
        paged = [ad["id"] for ad in self.account.get_ads(fields=["name"], params={"limit": 9})]
        assert paged == listed and len(set(paged)) == len(paged) > 100, (len(paged), len(listed))
        assert self.sim.calls() - before >= len(listed) / 9, "pages of nine"

    def it_filters(self) -> None:
        paused = self.account.get_ads(
            fields=["effective_status"], params={"effective_status": [Ad.EffectiveStatus.paused]}
        )
        assert {ad["effective_status"] for ad in paused} == {"PAUSED"}
        named = [{"field": "name", "operator": "CONTAIN", "value": "SDK | "}]
        [found] = self.account.get_campaigns(fields=["name"], params={"filtering": named})
        assert found["id"] == self.campaign["id"], found

    def it_only_validates(self) -> None:
        params = {
            "name": "SDK | Never",
            "objective": "OUTCOME_TRAFFIC",
            "special_ad_categories": [],
            "daily_budget": 20_000,
        }
        params |= {
            "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
            "execution_options": [Campaign.ExecutionOptions.validate_only],
        }
        self.account.create_campaign(params=params)
        error = expect_error(lambda: self.account.create_campaign(params=params | {"daily_budget": 1}))
        assert error.api_error_code() == 100 and error.api_error_subcode(), error
        assert "SDK | Never" not in {
            campaign["name"] for campaign in self.account.get_campaigns(fields=["name"])
        }

    def it_reads_in_batches_of_fifty(self) -> None:
        ids = [ad["id"] for ad in self.account.get_ads(params={"limit": 500})][:120]
        read: dict[str, Any] = {}
        before = self.sim.calls()
        for start in range(0, len(ids), 50):
            batch = self.api.new_batch()
            for id in ids[start : start + 50]:
                Ad(id).api_get(
                    fields=["name"],
                    batch=batch,
                    success=lambda response: read.update({response.json()["id"]: response.json()}),
                )
            while batch is not None:  # Items without an response come back as a batch of their own.
                batch = batch.execute()
        assert list(read) == ids and read[ids[7]]["name"] == self.sim.node(ids[7])["name"]
        assert self.sim.calls() - before >= 3

    def a_batch_of_more_is_refused(self) -> None:
        batch = self.api.new_batch()
        for _ in range(51):
            self.campaign.api_get(batch=batch)
        assert expect_error(batch.execute).api_error_type() == "GraphBatchException"

    def one_item_of_a_batch_fails_alone(self) -> None:
        responses: list[tuple[str, Any]] = []
        batch = self.api.new_batch()
        calls = [
            (Ad(self.ad["id"]), ["name"]),
            (Ad("1"), ["name"]),
            (self.campaign, ["nonsense"]),
            (self.campaign, ["id"]),
        ]
        for node, fields in calls:
            node.api_get(
                fields=fields,
                batch=batch,
                success=lambda response: responses.append(("read", response.json()["id"])),
                failure=lambda response: responses.append(("failed", response.error().api_error_code())),
            )
        assert batch.execute() is None
        assert responses == [
            ("read", self.ad["id"]),
            ("failed", 100),
            ("failed", 100),
            ("read", self.campaign["id"]),
        ], responses

    def a_batch_writes(self) -> None:
        batch = self.api.new_batch()
        for name in ("SDK | Batch 1", "SDK | Batch 2"):
            params = {
                "name": name,
                "adset_id": self.adset["id"],
                "creative": {"creative_id": self.creative["id"]},
                "status": "PAUSED",
            }
            self.account.create_ad(params=params, batch=batch)
        assert batch.execute() is None
        ads = {ad["name"] for ad in AdSet(self.adset["id"]).get_ads(fields=["name"])}
        assert ads == {"SDK | Ad", "SDK | Batch 1", "SDK | Batch 2"}, ads

    def it_uploads_an_image(self) -> None:
        path = self.folder / "square.png"
        path.write_bytes(png(64))
        image = AdImage(parent_id=self.account.get_id())
        image[AdImage.Field.filename] = str(path)
        image.remote_create()
        self.image = image["hash"]
        again = self.account.create_ad_image(params={"filename": str(path)})
        [known] = self.account.get_ad_images(fields=["hash", "width"], params={"hashes": [image["hash"]]})
        assert known["hash"] == image["hash"] and known["width"] == 64, known
        assert (
            again["images"]["square.png"]["hash"] == image["hash"]
            if "images" in again
            else again["hash"] == image["hash"]
        )

    def it_uploads_a_video_in_chunks(self) -> None:
        path = self.folder / "film.mp4"
        path.write_bytes(bytes(range(256)) * 12_000)
        video = AdVideo(parent_id=self.account.get_id())
        video[AdVideo.Field.filepath] = str(path)
        video.remote_create()
        until = time.monotonic() + 30
        while True:
            status = AdVideo(video["id"]).api_get(fields=["status", "title"])["status"]["video_status"]
            if status != "processing":
                break
            assert time.monotonic() < until, "the video stays in processing"
            time.sleep(0.2)
        assert status == "ready", status
        self.video = video["id"]
        assert AdVideo(self.video).get_thumbnails(fields=["uri"])[0]["uri"]

    def it_advertises_what_it_uploaded(self) -> None:
        page, link = self.sim.info["page"], "https://example.com/"
        pictured = {
            "page_id": page,
            "link_data": {"link": link, "image_hash": self.image, "message": "A square"},
        }
        creative = self.account.create_ad_creative(
            params={"name": "SDK | Image", "object_story_spec": pictured}
        )
        read = AdCreative(creative["id"]).api_get(fields=["object_story_spec", "effective_object_story_id"])
        assert read["object_story_spec"]["link_data"]["image_hash"] == self.image, read
        filmed = {"video_id": self.video, "call_to_action": {"type": "SHOP_NOW", "value": {"link": link}}}
        spec = {"page_id": page, "video_data": filmed}
        error = expect_error(lambda: self.account.create_ad_creative(params={"object_story_spec": spec}))
        assert error.api_error_subcode() == 1443226, "a video needs a thumbnail"
        filmed["image_hash"] = self.image
        self.account.create_ad_creative(params={"name": "SDK | Film", "object_story_spec": spec})

    def it_reads_insights(self) -> None:
        since, until = full_days(4)
        self.true = AccountData(("insights", row) for row in self.sim.rows(since, until))
        self.report = {
            "level": AdsInsights.Level.ad,
            "time_increment": 1,
            "time_range": {"since": str(since), "until": str(until)},
        }
        self.fields = (
            "campaign_id adset_id ad_id impressions clicks inline_link_clicks spend reach frequency actions "
            "action_values".split()
        )
        cursor = self.account.get_insights(fields=self.fields, params=self.report | {"limit": 50})
        self.compare(cursor)

    def it_runs_a_report(self) -> None:
        run = self.account.get_insights_async(fields=self.fields, params=dict(self.report))
        until = time.monotonic() + 60
        while (run := run.api_get())["async_status"] != "Job Completed" or run[
            "async_percent_completion"
        ] != 100:
            assert run["async_status"] in ("Job Not Started", "Job Started", "Job Running"), run
            assert time.monotonic() < until, "the report does not come"
            time.sleep(0.5)
        self.compare(run.get_result(params={"limit": 50}))

    def compare(self, cursor) -> None:
        wrong = differences(self.true, AccountData(("insights", row.export_all_data()) for row in cursor))
        assert self.true.rows and not wrong, wrong[:3]

    def it_breaks_numbers_down(self) -> None:
        breakdowns = {"breakdowns": ["age", "gender"], "limit": 500}
        sums: dict[tuple[str, str], int] = {}
        for part in self.account.get_insights(
            fields=["ad_id", "impressions"], params=self.report | breakdowns
        ):
            assert part["age"] and part["gender"] in ("female", "male", "unknown"), part
            key = (part["ad_id"], part["date_start"])
            sums[key] = sums.get(key, 0) + int(part["impressions"])
        assert sums == {key: int(row["impressions"]) for key, row in self.true.rows.items()}

    def it_copies(self) -> None:
        copied = Ad(self.ad["id"]).create_copy(params={"status_option": "PAUSED"}).export_all_data()
        twin = self.sim.node(copied["copied_ad_id"])
        assert twin["adset_id"] == self.adset["id"] and twin["status"] == "PAUSED", twin
        copied = (
            AdSet(self.adset["id"])
            .create_copy(params={"rename_options": {"rename_suffix": " again"}})
            .export_all_data()
        )
        self.copied_adset = copied["copied_adset_id"]
        twin = self.sim.node(self.copied_adset)
        assert twin["name"] == "SDK | Broader again" and twin["campaign_id"] == self.campaign["id"], twin

    def it_copies_with_all_that_is_in_it(self) -> None:
        params = {"deep_copy": True, "status_option": "PAUSED"}
        copied = AdSet(self.copied_adset).create_copy(params=params).export_all_data()
        assert self.sim.node(copied["copied_adset_id"])["campaign_id"] == self.campaign["id"], copied
        # Copies of four children and more require asynchronous requests.
        error = expect_error(lambda: Campaign(self.campaign["id"]).create_copy(params=params))
        assert error.api_error_subcode() == 1885194, error

    def it_schedules_a_budget(self) -> None:
        start = int(time.time()) // 3600 * 3600 + 86_400
        params = {"budget_value": 10_000, "budget_value_type": "ABSOLUTE"}
        params |= {"time_start": start, "time_end": start + 6 * 3600}
        made = AdSet(self.adset["id"]).create_budget_schedule(params=params)
        [read] = AdSet(self.adset["id"]).get_budget_schedules(fields=["budget_value", "time_start"])
        assert read["id"] == made["id"] and int(read["budget_value"]) == 10_000, read

    def errors_name_the_field(self) -> None:
        targeting = {
            "geo_locations": {"countries": ["DE"]},
            "targeting_automation": {"advantage_audience": 0},
        }
        params = {"name": "SDK | Germany", "campaign_id": self.campaign["id"], "daily_budget": 20_000}
        params |= {"billing_event": "IMPRESSIONS", "optimization_goal": "LINK_CLICKS", "targeting": targeting}
        params |= {"bid_strategy": "LOWEST_COST_WITHOUT_CAP", "status": "PAUSED"}
        error = expect_error(lambda: self.account.create_ad_set(params=params))
        assert error.api_error_subcode() == 3858079 and error.api_blame_field_specs(), error
        self.account.create_ad_set(params=params | {"dsa_payor": "Us", "dsa_beneficiary": "Us"})

    def it_deletes(self) -> None:
        Ad(self.ad["id"]).api_delete()
        assert Ad(self.ad["id"]).api_get(fields=["effective_status"])["effective_status"] == "DELETED"
        left = {ad["id"] for ad in AdSet(self.adset["id"]).get_ads()}
        assert left and self.ad["id"] not in left
        Campaign(self.campaign["id"]).api_delete()
        assert self.campaign["id"] not in {
            campaign["id"] for campaign in self.account.get_campaigns(params={"limit": 100})
        }

    def errors_have_types(self) -> None:
        account, adsets = self.account, self.sim.listing("adsets", "id,daily_budget,campaign_id")
        untouched = (
            one for one in adsets if "daily_budget" in one and one["campaign_id"] != self.campaign["id"]
        )
        adset = AdSet(next(untouched)["id"])
        error = expect_error(lambda: account.get_campaigns(fields=["nonsense"]))
        assert (error.http_status(), error.api_error_code()) == (
            400,
            100,
        ) and "nonsense" in error.api_error_message()
        error = expect_error(
            lambda: account.create_campaign(
                params={"name": "x", "objective": "FAME", "special_ad_categories": []}
            )
        )
        assert error.api_error_code() == 100 and not error.api_transient_error()
        error = expect_error(lambda: Campaign("123").api_get())
        assert (error.api_error_code(), error.api_error_subcode()) == (100, 33), error
        assert error.api_error_type() == "GraphMethodException"
        for budget in range(4):
            adset.api_update(params={"daily_budget": 40_000 + budget})
        error = expect_error(lambda: adset.api_update(params={"daily_budget": 50_000}))
        assert (error.api_error_code(), error.api_error_subcode()) == (613, 1487632), error

    def a_passing_failure_says_so(self) -> None:
        self.sim.fail("/ads", status=500, code=2)
        error = expect_error(lambda: self.account.get_ads())
        assert (error.http_status(), error.api_error_code(), error.api_transient_error()) == (500, 2, True), (
            error
        )
        assert len(self.account.get_ads(params={"limit": 5})) == 5

    def a_reader_may_not_write(self) -> None:
        reader = AdAccount(self.account.get_id(), api=self.login(self.sim.info["reading_token"]))
        assert reader.api_get(fields=["currency"])["currency"] == self.sim.info["currency"]
        params = {"name": "x", "objective": "OUTCOME_TRAFFIC", "special_ad_categories": []}
        error = expect_error(lambda: reader.create_campaign(params=params))
        assert error.api_error_code() in (10, 200, 294), error

    def a_wrong_proof_or_token_is_refused(self) -> None:
        stranger = AdAccount(self.account.get_id(), api=self.login(self.sim.info["token"], "another secret"))
        error = expect_error(lambda: stranger.api_get())
        assert error.api_error_code() == 100 and "appsecret_proof" in error.api_error_message(), error
        forger = AdAccount(self.account.get_id(), api=self.login("EAASnobody"))
        error = expect_error(lambda: forger.api_get())
        assert (error.api_error_code(), error.api_error_type()) == (190, "OAuthException"), error

    def it_sent_what_its_classes_know(self) -> None:
        # The request check finds the deliberate mistakes above, and nothing else.
        wrong = [violation for request in self.sim.requests() for violation in check_request(request)]
        nonsense = "Campaign has no field nonsense"
        assert wrong == [nonsense, nonsense, "objective may not be FAME"], wrong


def expect_error(call) -> FacebookRequestError:
    """Returns the error with which a call is refused."""
    try:
        call()
    except FacebookRequestError as error:
        return error
    raise AssertionError("the call was not refused")


def png(side: int) -> bytes:
    """Returns a grey square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * side) * side))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def main(binary: str) -> int:
    # The SDK warns of nested fields, which its classes do not list, and of its own uploads, which are deprecated.
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    steps = [name for name, step in vars(Scenario).items() if name.split("_")[0] in ("it", "a", "one", "errors")]
    # Beside the virtual environment that runs this script: nothing is written outside target.
    folders = Path(sys.prefix).parent
    began, failed = time.monotonic(), 0
    with (
        Sim(binary, campaigns=10, adsets=30, ads=ADS, days=10) as sim,
        tempfile.TemporaryDirectory(dir=folders) as folder,
    ):
        FacebookSession.GRAPH = sim.info["url"]
        scenario = Scenario(sim, Path(folder))
        for step in steps:
            try:
                getattr(scenario, step)()
            except Exception:
                failed += 1
                print(
                    f"   official SDK: {step.replace('_', ' ')}: does not hold\n{traceback.format_exc(limit=-2)}"
                )
        calls = sim.calls()
    took = time.monotonic() - began
    print(
        f"official SDK 26.0.3: {len(steps) - failed} of {len(steps)} steps hold, {calls} calls, {took:.1f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
