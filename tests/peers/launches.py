"""launches.py FILE: reads launched campaigns with Meta's own SDK, and holds them against their launch documents.

Run it in target/peers/sdk. FILE has `graph_url`, `token` and `launches`, each with its `document` and the ids of what it has
become. The story of the launch documents writes it (tests/journeys, `every_objective_destination_and_format`). Exit status 1
when something is not as it was described."""

import json
import sys
import time
from typing import Any

from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adcreative import AdCreative
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.campaign import Campaign
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

CONVERSATIONS = ("MESSENGER", "WHATSAPP", "INSTAGRAM_DIRECT")
CREATIVE = ["object_story_spec", "object_story_id", "source_instagram_media_id", "instagram_user_id", "destination_spec",
            "product_set_id"]
AD_SET = ["name", "status", "campaign_id", "daily_budget", "optimization_goal", "destination_type", "targeting", "promoted_object"]


def campaign_expected(document: dict[str, Any]) -> dict[str, Any]:
    return {"name": document["name"], "objective": document["objective"], "status": "PAUSED"}


def ad_set_expected(document: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    ad_set = document["ad_set"]
    expected = {
        "name": document["name"],
        "status": "PAUSED",
        "campaign_id": ids["campaign_id"],
        "daily_budget": str(ad_set["daily_budget"]["amount"]),
        "optimization_goal": ad_set["optimization_goal"],
        "targeting": {"geo_locations": {"countries": ad_set["countries"]}, "targeting_automation": {"advantage_audience": 0}},
    }
    for field in ("destination_type", "promoted_object"):
        if ad_set.get(field) is not None:
            expected[field] = ad_set[field]
    return expected


def creative_expected(document: dict[str, Any]) -> dict[str, Any]:
    creative, destination = document["ad"]["creative"], document["ad_set"].get("destination_type")
    if "post_id" in creative:
        return {"object_story_id": creative["post_id"]}
    if post := creative.get("instagram_post"):
        return {"source_instagram_media_id": post["media"], "instagram_user_id": post["instagram_user"]}
    link = creative["link"]
    data: dict[str, Any] = {"message": link["message"]}
    if form := link.get("lead_form"):
        data["call_to_action"] = {"value": {"lead_gen_form_id": form}}
    elif destination in CONVERSATIONS:
        data["call_to_action"] = {"value": {"app_destination": destination}}
    elif "call_to_action" in link:
        data["call_to_action"] = {"type": link["call_to_action"]}
    experience = link.get("instant_experience")
    address = f"https://fb.com/canvas_doc/{experience}" if experience else link.get("link")
    if experience and "video" in link:
        data["call_to_action"] = {"type": link["call_to_action"], "value": {"link": address}}
    if "video" in link:
        kind, data["video_id"] = "video_data", link["video"]
        data |= {"title": link["headline"]} if "headline" in link else {}
    else:
        kind = "link_data"
        data |= {"link": address} if address else {}
        data |= {"image_hash": link["image"]} if "image" in link else {}
    if "cards" in link:
        data["child_attachments"] = [{"image_hash": card["image"]} for card in link["cards"]]
    products = {"product_set_id": link["product_set"]} if "product_set" in link else {}
    return {"object_story_spec": {"page_id": link["page"], kind: data}, **products}


def differences(expected: Any, read: Any, path: str) -> list[str]:
    """Returns where what was read lacks what is expected; it may have more."""
    if isinstance(expected, dict):
        found = read if isinstance(read, dict) else {}
        return [line for name, value in expected.items() for line in differences(value, found.get(name), f"{path}.{name}")]
    if isinstance(expected, list) and isinstance(read, list) and len(expected) == len(read):
        return [line for place, pair in enumerate(zip(expected, read)) for line in differences(*pair, f"{path}[{place}]")]
    return [] if str(expected) == str(read) else [f"{path} is {read!r} instead of {expected!r}"]


def read(of: Any, fields: list[str]) -> dict[str, Any]:
    return of.api_get(fields=fields).export_all_data()


def check(document: dict[str, Any], ids: dict[str, str]) -> list[str]:
    campaign = read(Campaign(ids["campaign_id"]), ["name", "objective", "status"])
    ad_set = read(AdSet(ids["adset_id"]), AD_SET)
    ad = read(Ad(ids["ad_id"]), ["name", "status", "adset_id", "creative"])
    creative = read(AdCreative(ad["creative"]["id"]), CREATIVE)
    expected_ad = {"name": document["name"], "status": "PAUSED", "adset_id": ids["adset_id"]}
    return [
        *differences(campaign_expected(document), campaign, "campaign"),
        *differences(ad_set_expected(document, ids), ad_set, "ad set"),
        *differences(expected_ad, ad, "ad"),
        *differences(creative_expected(document), creative, "creative"),
    ]


def main(path: str) -> int:
    with open(path, encoding="utf-8") as file:
        given = json.load(file)
    FacebookSession.GRAPH = given["graph_url"]
    FacebookAdsApi.set_default_api(FacebookAdsApi(FacebookSession(access_token=given["token"])))
    began, wrong = time.monotonic(), 0
    for launch in given["launches"]:
        for line in check(launch["document"], launch["ids"]):
            wrong += 1
            print(f"   {launch['document']['name']}: {line}")
    took = time.monotonic() - began
    print(f"official SDK: {len(given['launches'])} launches read back, {wrong} differences, {took:.1f} s")
    return 1 if wrong or not given["launches"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
