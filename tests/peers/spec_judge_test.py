"""The specification judge notices what it is there for."""

import io
import json
import sys
import unittest

from spec_judge import judge


def findings(method: str, node: str, edge: str | None, **params: str) -> str:
    return "; ".join(judge({"method": method, "class": node, "edge": edge, "params": params}))


class SpecJudge(unittest.TestCase):
    def test_what_is_right_passes(self) -> None:
        with open(f"{__file__.rpartition('/')[0] or '.'}/requests.example.jsonl") as lines:
            for line in lines:
                self.assertEqual(judge(json.loads(line)), [], line)

    def test_wrong_nodes_and_edges(self) -> None:
        self.assertIn("no class Campain", findings("GET", "Campain", None))
        self.assertIn("no GET of campaings", findings("GET", "AdAccount", "campaings"))
        self.assertIn("no POST of itself", findings("POST", "AdReportRun", None))

    def test_wrong_parameters(self) -> None:
        self.assertIn("does not know the parameter dayly_budget", findings("POST", "Campaign", None, dayly_budget="1"))
        self.assertIn("daily_budget must be unsigned int", findings("POST", "Campaign", None, daily_budget="12.5"))
        self.assertIn("targeting: Targeting has no age_minimum", findings("POST", "AdSet", None, targeting='{"age_minimum":3}'))
        self.assertIn("ids was removed", findings("GET", "AdAccount", "ads", ids="1"))

    def test_wrong_enums(self) -> None:
        self.assertIn("objective may not be SALES", findings("POST", "AdAccount", "campaigns", objective="SALES"))
        self.assertIn("effective_status may not be ON", findings("GET", "AdAccount", "ads", effective_status='["ACTIVE","ON"]'))
        self.assertIn("level may not be ads", findings("POST", "AdAccount", "insights", level="ads"))
        self.assertIn("breakdowns may not be ages", findings("GET", "Ad", "insights", breakdowns='["ages"]'))
        self.assertIn("operator ISNT", findings("GET", "Ad", "insights", filtering='[{"field":"a","operator":"ISNT","value":1}]'))

    def test_wrong_fields(self) -> None:
        self.assertIn("Campaign has no field targeting", findings("GET", "AdAccount", "campaigns", fields="id,targeting"))
        self.assertIn("AdsInsights has no field cost", findings("GET", "Campaign", "insights", fields="cost"))
        self.assertIn("AdsInsights has no field cost", findings("POST", "AdAccount", "insights", fields='["cost"]'))
        nested = "adsets.limit(3){name,insights.date_preset(todayy){spend,spent}}"
        self.assertIn("date_preset may not be todayy", findings("GET", "Campaign", None, fields=nested))
        self.assertIn("AdsInsights has no field spent", findings("GET", "Campaign", None, fields=nested))
        self.assertIn("Campaign has no field execution_options", findings("GET", "Campaign", None, fields="execution_options"))


if __name__ == "__main__":
    log = io.StringIO()
    result = unittest.TextTestRunner(log).run(unittest.defaultTestLoader.loadTestsFromTestCase(SpecJudge))
    if not result.wasSuccessful():
        sys.exit(log.getvalue())
    print(f"specification judge: notices what it is there for, {result.testsRun} tests")
