"""Checks that the conformance tests detect the mistakes that they are for."""

import io
import json
import sys
import unittest
from pathlib import Path

from rows import AccountData, differences, records
from request_check import check_request


def violations(method: str, node: str, edge: str | None, **params: str) -> str:
    return "; ".join(check_request({"method": method, "class": node, "edge": edge, "params": params}))


class RequestCheck(unittest.TestCase):
    def test_valid_requests_pass(self) -> None:
        for line in (Path(__file__).parent / "requests.example.jsonl").read_text().splitlines():
            self.assertEqual(check_request(json.loads(line)), [], line)

    def test_wrong_nodes_and_edges(self) -> None:
        self.assertIn("no class Campain", violations("GET", "Campain", None))
        self.assertIn("no GET of campaings", violations("GET", "AdAccount", "campaings"))
        self.assertIn("no POST of itself", violations("POST", "AdReportRun", None))

    def test_wrong_parameters(self) -> None:
        self.assertIn(
            "does not know the parameter dayly_budget", violations("POST", "Campaign", None, dayly_budget="1")
        )
        self.assertIn(
            "daily_budget must be unsigned int", violations("POST", "Campaign", None, daily_budget="12.5")
        )
        self.assertIn(
            "targeting: Targeting has no age_minimum",
            violations("POST", "AdSet", None, targeting='{"age_minimum":3}'),
        )
        self.assertIn("ids was removed", violations("GET", "AdAccount", "ads", ids="1"))

    def test_wrong_enums(self) -> None:
        self.assertIn(
            "objective may not be SALES", violations("POST", "AdAccount", "campaigns", objective="SALES")
        )
        self.assertIn(
            "effective_status may not be ON",
            violations("GET", "AdAccount", "ads", effective_status='["ACTIVE","ON"]'),
        )
        self.assertEqual(violations("GET", "AdAccount", "ads", effective_status="ACTIVE,PAUSED"), "")
        self.assertIn(
            "effective_status may not be ON",
            violations("GET", "AdAccount", "ads", effective_status="ACTIVE,ON"),
        )
        self.assertIn(
            "effective_status must be a list", violations("GET", "AdAccount", "ads", effective_status="3")
        )
        self.assertIn("level may not be ads", violations("POST", "AdAccount", "insights", level="ads"))
        self.assertIn("breakdowns may not be ages", violations("GET", "Ad", "insights", breakdowns='["ages"]'))
        self.assertIn(
            "operator ISNT",
            violations("GET", "Ad", "insights", filtering='[{"field":"a","operator":"ISNT","value":1}]'),
        )

    def test_wrong_fields(self) -> None:
        self.assertIn(
            "Campaign has no field targeting",
            violations("GET", "AdAccount", "campaigns", fields="id,targeting"),
        )
        self.assertIn("AdsInsights has no field cost", violations("GET", "Campaign", "insights", fields="cost"))
        self.assertIn(
            "AdsInsights has no field cost", violations("POST", "AdAccount", "insights", fields='["cost"]')
        )
        nested = "adsets.limit(3){name,insights.date_preset(todayy){spend,spent}}"
        self.assertIn("date_preset may not be todayy", violations("GET", "Campaign", None, fields=nested))
        self.assertIn("AdsInsights has no field spent", violations("GET", "Campaign", None, fields=nested))
        self.assertIn(
            "Campaign has no field execution_options",
            violations("GET", "Campaign", None, fields="execution_options"),
        )


SEEN_BY_AIRBYTE = """{"type":"RECORD","record":{"stream":"customdaily","data":{"ad_id":"3","adset_id":"2","campaign_id":"1",
    "date_start":"2026-11-18","impressions":100,"spend":46.5,"actions":[{"action_type":"like","value":2.0,"1d_view":1}]}}}"""
SEEN_BY_SINGER = """{"type":"RECORD","stream":"ads_insights","record":{"ad_id":"3","adset_id":"2","campaign_id":"1",
    "date_start":"2026-11-18T00:00:00.000000Z","impressions":100,"spend":46.5,
    "actions":[{"action_type":"like","value":1},{"action_type":"like","value":1}]}}"""
SEEN_BY_US = """{"stream":"insights","record":{"ad_id":"3","adset_id":"2","campaign_id":"1","date":"2026-11-18","impressions":"100",
    "spend":"46.50","actions":{"like":"2"},"action_values":{}}}"""
AD = """{"stream":"ads","record":{"id":"3","name":"A","effective_status":"ACTIVE","campaign_id":"1","adset_id":"2"}}"""


def read(*lines: str) -> AccountData:
    return AccountData(records(line.replace("\n", "") for line in lines))


class Rows(unittest.TestCase):
    def test_equal_data_has_no_differences(self) -> None:
        for seen in (SEEN_BY_AIRBYTE, SEEN_BY_SINGER):
            self.assertEqual(differences(read(SEEN_BY_US, AD), read("a log line", AD, seen)), [])

    def test_every_difference_is_found(self) -> None:
        def found(*lines: str) -> str:
            return "; ".join(differences(read(SEEN_BY_US, AD), read(*lines)))

        self.assertIn("spend is '46.51', not '46.5'", found(SEEN_BY_US.replace("46.50", "46.51"), AD))
        self.assertIn("actions is {'like': '3'}", found(SEEN_BY_US.replace('like":"2', 'like":"3'), AD))
        self.assertIn("insights: ('3', '2026-11-18') is missing", found(AD))
        self.assertIn(
            "('3', '2026-11-19') does not exist", found(SEEN_BY_US.replace("-18", "-19"), SEEN_BY_US, AD)
        )
        self.assertIn("adset_id is '9', not '2'", found(SEEN_BY_US, AD.replace('"2"', '"9"')))
        self.assertIn("ads: 3 is missing", found(SEEN_BY_US))
        self.assertIn("1 records came twice", found(SEEN_BY_US, AD, AD))


if __name__ == "__main__":
    log = io.StringIO()
    result = unittest.TextTestRunner(log).run(
        unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    )
    if not result.wasSuccessful():
        sys.exit(log.getvalue())
    print(f"conformance tests: {result.testsRun} injected mistakes are detected")
