"""Gives schemathesis what exists in the system under test, so that it does not only meet what is not there.

Values that the description cannot know are narrowed to real ones: ids, the account's currency, cursors, secrets of the
simulated app. Everything else is as openapi.yaml says.
"""

import copy
import hashlib
import hmac
import json
import os

import schemathesis

with open(os.environ["ADFLIGHT_SYSTEM"], encoding="utf-8") as file:
    SYSTEM = json.load(file)

# Fields of queries and bodies whose valid values depend on the account or on the day (2026-11-20 there).
SINCE = ["2026-10-20", "2026-11-02"]
UNTIL = ["2026-11-02", "2026-11-20"]
ACTIVATE_AT = ["2026-12-24T09:00:00", "2027-03-01T00:30"]
TIMEZONE = ["Asia/Singapore", "Europe/Berlin"]


def real(path, method, name):
    """The values of a path's parameter that name something."""
    if name == "id":
        kind = next(kind for kind in ("campaigns", "adsets", "ads") if f"/{kind}/" in path)
        # What is deleted is gone for everybody else.
        deletes = method == "delete" and not path.endswith("/schedule")
        return SYSTEM[kind][-3:] if deletes else SYSTEM[kind][:-3]
    if name == "connection" and method == "delete" and "ADFLIGHT_LAST" not in os.environ:
        return ["meta-0"]  # Without its connection nothing could be tried any more: that comes last.
    value = SYSTEM.get(name, "nothing-there")
    return value if isinstance(value, list) else [value]


def only(schema, values):
    schema.pop("pattern", None)
    schema.pop("$ref", None)
    schema["enum"] = values


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for path, methods in raw_schema["paths"].items():
        for method, operation in methods.items():
            # A list of whose cursors nothing is known is read from its beginning.
            cursor = SYSTEM["after"].get(operation["operationId"])
            parameters = [one for one in operation.get("parameters", []) if cursor or one["name"] != "after"]
            operation["parameters"] = parameters
            for parameter in parameters:
                schema, name = parameter["schema"], parameter["name"]
                if parameter["in"] == "path":
                    only(schema, real(path, method, name))
                elif name == "since":
                    only(schema, SINCE)
                elif name == "until":
                    only(schema, UNTIL)
                elif name == "after":
                    only(schema, [cursor])
                elif name == "hub.verify_token":
                    only(schema, [SYSTEM["verify_token"]])
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            example = {"launch": "launch_document", "add_rule": "rule_document"}.get(operation["operationId"])
            if example:
                body["examples"] = {"real": {"value": SYSTEM[example]}}
    schemas = raw_schema["components"]["schemas"]
    # A rule for every account may name any currency; one for a single account, only that account's.
    budget = copy.deepcopy(schemas["Budget"])
    for action in schemas["Action"]["oneOf"]:
        if "daily_budget" in action["properties"]:
            action["properties"]["daily_budget"] = budget
    only(schemas["Budget"]["properties"]["currency"], [SYSTEM["currency"]])
    only(schemas["NewSchedule"]["properties"]["activate_at"], ACTIVATE_AT)
    only(schemas["NewSchedule"]["properties"]["timezone"], TIMEZONE + [None])
    # An account may have no default for who speaks.
    page = SYSTEM["launch_document"]["ad"]["creative"]["post_id"].split("_")[0]
    schemas["LinkSpec"]["properties"]["page"] = {"type": "string", "enum": [page]}
    schemas["LinkSpec"]["required"].append("page")
    # What goes together among these: Meta has one pair of identities for Thailand and Brazil.
    for name in ("AdSetSpec", "LaunchDefaults", "LaunchDefaultsInput"):
        alone = ["TAIWAN_UNIVERSAL", "SINGAPORE_UNIVERSAL", "THAILAND_UNIVERSAL", "AUSTRALIA_FINSERV", "INDIA_FINSERV"]
        only(schemas[name]["properties"]["regional_identities"]["propertyNames"], alone)
    # The simulated app has no configuration of Facebook Login for Business.
    schemas["LoginRequest"]["properties"]["kind"] = {"const": "classic"}
    for name in schemas:
        if name.startswith("RuleSpec"):
            schemas[name]["properties"]["ad_account"] = {"type": "null"}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Signs webhooks as Meta does, unless the signature itself is what is to be wrong."""
    if case.operation.label == "POST /v1/webhooks/meta" and case.meta.generation.mode.is_positive:
        body = json.dumps(case.body).encode()
        signature = hmac.new(SYSTEM["app_secret"].encode(), body, hashlib.sha256).hexdigest()
        case.headers["X-Hub-Signature-256"] = f"sha256={signature}"
