"""Gives schemathesis the ids that exist in the system under test, so that it does not only meet 404.

Values that the description cannot restrict are narrowed to real ones: ids, the account's currency, cursors, secrets of
the simulated app. Everything else is as openapi.yaml says."""

import atexit
import base64
import collections
import copy
import hashlib
import hmac
import html.parser
import itertools
import json
import os
import threading
import urllib.parse

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

with open(os.environ["ADFLIGHT_SYSTEM"], encoding="utf-8") as file:
    SYSTEM = json.load(file)

# Fields of queries and bodies whose valid values depend on the account or on the day (2026-11-20 there).
SINCE = ["2026-10-20", "2026-11-02"]
UNTIL = ["2026-11-02", "2026-11-20"]
SCHEDULE_AT = ["2026-12-24T09:00:00", "2027-03-01T00:30"]
TIMEZONE = ["Asia/Singapore", "Europe/Berlin"]
# What bulk changes set.
NEW_NAME = {"name": {"suffix": "."}}


def existing_values(path, method, name):
    """Returns the values of a path parameter that exist."""
    if name == "id" and path.endswith(("{id}/adsets", "{id}/ads")):
        return [SYSTEM["grows"]["campaign" if path.endswith("adsets") else "adset"]]
    if name == "id" and path.endswith("{id}/budget"):
        return [SYSTEM["grows"]["campaign"]]
    if name == "id":
        kind = next(kind for kind in ("campaigns", "adsets", "ads") if f"/{kind}/" in path)
        # A deleted resource is gone for every other request, so deletions get their own.
        deletes = method == "delete" and "/schedules/" not in path
        return SYSTEM[kind][-3:] if deletes else SYSTEM[kind][:-3]
    if name == "ad_account" and path.endswith("/facts"):
        return ["import_shop"]
    if name == "ad_account" and path.endswith("/{ad_account}"):
        return ["import_gone"] if method == "delete" else ["import_shop", "import_other"]
    if name == "invitation" and path.endswith("/accept"):
        return [SYSTEM["own_invitation"]]
    if name == "member":
        return SYSTEM["member"][-1:] if method == "delete" else SYSTEM["member"][:-1]
    if path == "/v1/workspaces/{workspace}" and method == "delete" and "ADFLIGHT_FINAL_RUN" not in os.environ:
        return ["nothing-there"]
    if name == "connection" and method == "delete" and "ADFLIGHT_FINAL_RUN" not in os.environ:
        return ["meta-0"]  # Without its connection nothing could be tried any more: that comes last.
    value = SYSTEM.get(name, "nothing-there")
    return value if isinstance(value, list) else [value]


def restrict(schema, values):
    schema.pop("pattern", None)
    schema.pop("$ref", None)
    schema["enum"] = values


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for path, methods in raw_schema["paths"].items():
        for method, operation in methods.items():
            # A cursor belongs to the parameters of its list: before_call sets them together.
            parameters = [one for one in operation.get("parameters", []) if one["name"] != "after"]
            operation["parameters"] = parameters
            for parameter in parameters:
                schema, name = parameter["schema"], parameter["name"]
                if parameter["in"] == "path":
                    restrict(schema, existing_values(path, method, name))
                elif name == "since":
                    restrict(schema, SINCE)
                elif name == "until":
                    restrict(schema, UNTIL)
                elif name == "dry_run":
                    # What is wrong with a document is the result of a dry run, and no error.
                    restrict(schema, [False])
                elif name == "kind":
                    restrict(schema, ["video"])
                elif name == "ad":
                    restrict(schema, ["ad", "ad_sets[0].ads[0]"])
                elif name == "first":
                    restrict(schema, [0])
                elif name == "wait":
                    restrict(schema, [0, 1])
                elif name in ("campaign_id", "adset_id"):
                    restrict(schema, SYSTEM[f"{name[:-3]}s"][:-3])
                elif name == "hub.verify_token":
                    restrict(schema, [SYSTEM["verify_token"]])
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if operation["operationId"] == "request_sync":
                # Days are in order, have begun and are at most 37 months old.
                range_of = raw_schema["components"]["schemas"]["SyncRequest"]
                for name, days in (("since", SINCE), ("until", UNTIL)):
                    range_of["properties"][name] = {"enum": [*days, None]}
                day = {"type": "string"}
                until = {"properties": {"until": day}, "required": ["until"]}
                since = {"properties": {"since": day}, "required": ["since"]}
                datasets = {"properties": {"datasets": {"type": "array"}}, "required": ["datasets"]}
                range_of["anyOf"] = [since, {"not": {"anyOf": [until, datasets]}}]
            if operation["operationId"] == "request_reach":
                periods = raw_schema["components"]["schemas"]["ReachRequest"]["properties"]
                periods["since"], periods["until"] = {"enum": SINCE}, {"enum": [*UNTIL, None]}
            for answer in operation["responses"].values():
                # A new workspace has no ad account.
                answer.get("links", {}).pop("run_query", None)
            example = {"launch_campaign": "launch_document", "create_rule": "rule_document"}.get(operation["operationId"])
            if example:
                body["examples"] = {"real": {"value": SYSTEM[example]}}
    schemas = raw_schema["components"]["schemas"]
    restrict_query(schemas)
    restrict_launch(schemas)
    # Launches send documents of every kind; a preview reads the same ones.
    preview = raw_schema["paths"]["/v1/workspaces/{workspace}/ad-accounts/{ad_account}/previews"]["post"]
    preview["requestBody"]["content"]["application/json"]["schema"] = {"enum": [SYSTEM["launch_document"]]}
    restrict_changes(raw_schema)
    # Ad sets must be of the campaign.
    del schemas["Duplicate"]["properties"]["ad_sets"]
    # An image has 4 MB at most.
    schemas["FileSpec"]["properties"]["bytes"]["maximum"] = 4 << 20
    # One of the measures of a row stands for all: each is a number like the others, and its cases are many.
    row = schemas["FactRow"]["properties"]
    for name in ("purchase_value", "leads", "landing_page_views", "add_to_cart", "initiate_checkout", "app_installs",
                 "video_views", "thruplays", "action_values", "adset_name", "campaign_name"):
        del row[name]
    # An imported ad account keeps its currency and time zone.
    for name, value in IMPORTED.items():
        restrict(schemas["ImportedAccount"]["properties"][name], [value])
    # A rule for every account may name any currency; one for a single account, only that account's.
    budget = copy.deepcopy(schemas["Budget"])
    for action in schemas["Action"]["oneOf"]:
        if "daily_budget" in action["properties"]:
            action["properties"]["daily_budget"] = budget
    restrict(schemas["Budget"]["properties"]["currency"], [SYSTEM["currency"]])
    restrict(schemas["NewSchedule"]["properties"]["at"], SCHEDULE_AT)
    del schemas["NewSchedule"]["properties"]["scope"]
    restrict(schemas["NewSchedule"]["properties"]["timezone"], TIMEZONE + [None])
    # Identities that are valid together: Meta has one pair for Thailand and Brazil.
    for name in ("AdSetSpec", "LaunchDefaults", "LaunchDefaultsInput"):
        alone = ["TAIWAN_UNIVERSAL", "SINGAPORE_UNIVERSAL", "THAILAND_UNIVERSAL", "AUSTRALIA_FINSERV", "INDIA_FINSERV"]
        restrict(schemas[name]["properties"]["regional_identities"]["propertyNames"], alone)
    # The simulated app has no configuration of Facebook Login for Business.
    schemas["LoginRequest"]["properties"]["kind"] = {"const": "classic"}
    # Of the origins that a laptop allows.
    schemas["LoginRequest"]["properties"]["return_url"] = {"enum": [None, "http://localhost:5173/back"]}
    for name in schemas:
        if name.startswith("RuleSpec"):
            schemas[name]["properties"]["ad_account"] = {"type": "null"}


def restrict_changes(raw_schema):
    """Leaves out of changes what the level does not have, and what is valid only with certain values of before."""
    values = raw_schema["components"]["schemas"]["NewValues"]
    own = {"campaigns": ["spend_cap"], "adsets": ["end", "countries"], "ads": ["url_tags"]}
    for level, fields in own.items():
        operation = raw_schema["paths"][f"/v1/workspaces/{{workspace}}/ad-accounts/{{ad_account}}/{level}/{{id}}"]["patch"]
        kept = ["name", "status", "daily_budget", "lifetime_budget", *fields]
        schema = copy.deepcopy({**values, "properties": {field: values["properties"][field] for field in kept}})
        properties = schema["properties"]
        properties["name"] = {"type": "string", "minLength": 1, "maxLength": 40, "pattern": "^[A-Za-z]+$"}
        properties["daily_budget"] = properties["lifetime_budget"] = {"$ref": "#/components/schemas/Budget"}
        for field, real in (("end", ["2027-03-01T00:30", None]), ("countries", [["SG"], ["MY", "SG"]]),
                            ("url_tags", ["utm_source=meta", None])):
            if field in properties:
                properties[field] = {"enum": real}
        operation["requestBody"]["content"]["application/json"]["schema"] = schema
    # The same values for many objects are read by the same code.
    raw_schema["components"]["schemas"]["ChangeOfMany"]["properties"]["set"] = {"enum": [NEW_NAME]}


def restrict_launch(schemas):
    """Leaves out of launch documents what is valid only together with something else."""
    real = SYSTEM["launch_document"]
    for name, fields in {
        "LaunchSpec": ["ad_sets", "lifetime_budget", "bid_strategy", "budget_schedules"],
        "AdSetSpec": ["ads", "daily_budget", "lifetime_budget", "bid_amount", "min_roas", "start", "end", "day_parts", "budget_schedules",
                      "destination_type", "attribution", "audience", "placements"],
        "AdSpec": ["url_tags", "creative_features", "shop_destination"],
        "LinkSpec": ["display_link", "video", "thumbnail_url", "cards", "lead_form", "product_set", "instant_experience", "more_messages",
                     "more_headlines", "more_descriptions"],
    }.items():
        for field in fields:
            del schemas[name]["properties"][field]
    # What is added must suit what is there, and the budget stays on the campaign.
    for field in ("lifetime_budget", "bid_strategy", "ad_sets"):
        del schemas["NewBudgetLevel"]["properties"][field]
    schemas["NewBudgetLevel"]["required"] = ["daily_budget"]
    schemas["NewBudgetLevel"]["properties"]["daily_budget"] = {"enum": [real["daily_budget"]]}
    del schemas["NewAdSets"]["properties"]["bid_strategy"]
    schemas["NewAdSets"]["properties"]["ad_sets"] = {"enum": [[{**real["ad_set"], "ads": [real["ad"]]}]]}
    schemas["NewAds"]["properties"]["ads"] = {"enum": [[real["ad"]]]}
    creative = schemas["NewCreative"]["properties"]
    creative["creative"] = {"enum": [real["ad"]["creative"]]}
    for field in ("url_tags", "creative_features", "shop_destination", "destination_type"):
        del creative[field]
    launch = schemas["LaunchSpec"]
    for field, schema in (("daily_budget", "Budget"), ("ad_set", "AdSetSpec"), ("ad", "AdSpec")):
        launch["properties"][field] = {"$ref": f"#/components/schemas/{schema}"}
        launch["required"].append(field)
    launch["properties"]["objective"] = {"enum": [real["objective"]]}
    ad_set = schemas["AdSetSpec"]
    ad_set["properties"]["countries"]["minItems"] = 1
    for field in ("optimization_goal", "promoted_object"):
        ad_set["properties"][field] = {"enum": [real["ad_set"][field]]}
    ad_set.setdefault("required", []).extend(["countries", "optimization_goal", "promoted_object"])
    link = schemas["LinkSpec"]["properties"]["link"]
    link["type"] = "string"
    schemas["LinkSpec"]["required"].append("link")
    post = schemas["InstagramPostSpec"]
    page = {"type": "string", "enum": [real["ad"]["creative"]["post_id"].split("_")[0]]}
    # The account may have no default Page.
    for spec in (post, schemas["LinkSpec"]):
        spec["properties"]["page"] = page
        spec["required"].append("page")


def restrict_query(schemas):
    """Leaves out of queries what is valid only together with something else, or only in other ad accounts."""
    query = schemas["Query"]["properties"]
    # All of them together may have several currencies.
    query["ad_accounts"] = {"type": "array", "items": {"enum": [SYSTEM["ad_account"]]}, "minItems": 1, "maxItems": 100}
    query["convert"] = {"enum": [None, {"to": "USD", "rates": {SYSTEM["currency"]: "0.75"}}]}
    for name, days in (("since", SINCE), ("until", UNTIL)):
        schemas["Days"]["properties"][name] = {"enum": days}
    # Budgets and counts are known of entities and whole ranges, and changes only where something is compared.
    metrics = schemas["Measure"]["anyOf"][0]["enum"]
    query["measures"] = {"type": "array", "items": {"enum": metrics[:-3]}, "maxItems": 30}
    query["dimensions"] = {"type": "array", "items": {"enum": ["week"]}, "maxItems": 1}
    query["sparklines"] = {"enum": [None, []]}
    query["after"] = {"type": "null"}
    schemas["Query"].setdefault("required", []).append("ad_accounts")
    schemas["OrderBy"]["properties"]["by"] = {"enum": [*metrics[:-3], "name"]}
    schemas["OrderBy"]["properties"]["of"] = {"const": "value"}
    for filter_of in schemas["Filter"]["anyOf"]:
        field = filter_of["properties"]["field"].get("const")
        existing = {"account": [SYSTEM["ad_account"]], "campaign": SYSTEM["campaigns"][:-3],
                    "adset": SYSTEM["adsets"][:-3], "ad": SYSTEM["ads"][:-3]}.get(field)
        if filter_of["properties"]["field"].get("$ref", "").endswith("/Breakdown"):
            # Two of them may not be measured together.
            filter_of["properties"]["field"] = {"const": "country"}
        if existing:
            filter_of["properties"]["value"]["items"] = {"enum": existing}
            filter_of["properties"]["op"] = {"enum": ["in"]}


def signed_request(user):
    """Returns Meta's signed request that a person removed the app or wants their data deleted."""
    payload = {"algorithm": "HMAC-SHA256", "issued_at": 1795143600, "user_id": user}
    payload = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=")
    signature = hmac.new(SYSTEM["app_secret"].encode(), payload, hashlib.sha256).digest()
    return (base64.urlsafe_b64encode(signature).rstrip(b"=") + b"." + payload).decode()


IMPORTED = {"currency": SYSTEM["currency"], "timezone": "Europe/Berlin"}


def import_account(name):
    """Creates an imported ad account."""
    path = f"{SYSTEM['url']}/v1/workspaces/{SYSTEM['workspace']}/ad-accounts/{name}"
    account = {"name": "Shop", "source": "taboola", **IMPORTED}
    requests.put(path, json=account, headers={"Authorization": f"Bearer {SYSTEM['token']}"}, timeout=20)


import_account("import_shop")

# An unknown user, so that nobody's data is deleted.
STRANGER = signed_request("122100000000000099")
asked = requests.post(f"{SYSTEM['url']}/v1/auth/meta/data-deletion", data={"signed_request": STRANGER}, timeout=20)
SYSTEM["code"] = asked.json()["confirmation_code"]


def authorize():
    """Returns the `start_url` of a login."""
    path = f"{SYSTEM['url']}/v1/workspaces/{SYSTEM['workspace']}/connections/meta/authorize"
    return requests.post(path, headers={"Authorization": f"Bearer {SYSTEM['token']}"}, timeout=20).json()["start_url"]


def log_in():
    """Logs in at Meta and presses "Continue"; returns the query of the browser's callback, and its cookie."""
    started = requests.get(
        authorize(), headers={"Referer": "http://localhost:5173/"}, allow_redirects=False, timeout=20)
    dialog = urllib.parse.urlsplit(started.headers["location"])
    form = dict(urllib.parse.parse_qsl(dialog.query), decision="continue")
    decision = f"{dialog.scheme}://{dialog.netloc}/dialog/oauth/decision"
    back = requests.post(decision, data=form, allow_redirects=False, timeout=20).headers["location"]
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query)), cookie_of(started)


def cookie_of(response):
    return response.headers["set-cookie"].split(";")[0]


class Form(html.parser.HTMLParser):
    """Collects the fields of a page's form."""

    def __init__(self, page):
        super().__init__()
        self.fields = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "input" and "name" in attributes:
            self.fields.append((attributes["name"], attributes.get("value", "")))


def choose_accounts():
    """Returns the secret of an account selection page, one of its ad accounts, and the cookie of its browser."""
    query, cookie = log_in()
    page = requests.get(
        f"{SYSTEM['url']}/v1/auth/meta/callback", params=query, headers={"Cookie": cookie}, timeout=20)
    fields = dict(Form(page.text).fields)
    return {"selection": fields["selection"], "ad_account": [fields["ad_account"]]}, cookie_of(page)


KEY = "Idempotency-Key"
WRITES = itertools.count()
EVERY_OTHER = collections.defaultdict(itertools.count)


def uses_real_data(case):
    """Returns whether to replace generated values with real ones: for every other request that should be accepted."""
    return case.meta.generation.mode.is_positive and next(EVERY_OTHER[case.operation.label]) % 2 == 0


@schemathesis.hook
def before_call(context, case, kwargs):
    """Signs as Meta does, logs in, and sets a fresh key on every write, unless that is what the case makes invalid."""
    headers = case.meta.components.get(ParameterLocation.HEADER)
    if KEY in case.headers and (headers is None or headers.mode.is_positive) and next(WRITES) % 8:
        # A used key could only show a conflict.
        case.headers[KEY] = f"{case.operation.definition.raw['operationId']}-{next(WRITES)}"
    if "If-Match" in case.headers and next(WRITES) % 8:
        # Any tag could only show that the version is old.
        del case.headers["If-Match"]
    operation = case.operation.definition.raw["operationId"]
    if operation in SYSTEM["next_page"] and uses_real_data(case):
        case.query = SYSTEM["next_page"][operation]
    if case.meta.generation.mode.is_positive and case.path_parameters.get("ad_account") != SYSTEM["ad_account"]:
        # Links lead to other ad accounts, too, which have none of these.
        for name in ("campaign_id", "adset_id"):
            case.query.pop(name, None)
    if case.meta.generation.mode.is_positive and "ids" in case.query:
        # Ids belong to a level.
        level = {"list_adsets": "adsets", "list_ads": "ads", "list_thumbnails": "ads"}.get(operation, "campaigns")
        case.query["ids"] = SYSTEM[level][:2]
        if "level" in case.query:
            case.query["level"] = "campaign"
    match operation:
        case "receive_webhook" if case.meta.generation.mode.is_positive:
            body = json.dumps(case.body).encode()
            signature = hmac.new(SYSTEM["app_secret"].encode(), body, hashlib.sha256).hexdigest()
            case.headers["X-Hub-Signature-256"] = f"sha256={signature}"
        case "create_bulk_change" if case.meta.generation.mode.is_positive:
            # Each object must exist, and may be named once.
            campaigns = {"level": "campaign", "ids": SYSTEM["campaigns"][:2], "set": NEW_NAME}
            case.body = {"changes": [campaigns]}
        case "deauthorize" | "delete_data" if uses_real_data(case):
            case.body = {"signed_request": STRANGER}
        case "request_sync" if uses_real_data(case):
            # An earlier request may have deselected it.
            selection = f"{SYSTEM['url']}/v1/workspaces/{SYSTEM['workspace']}/ad-accounts/{SYSTEM['ad_account']}/selection"
            requests.put(
                selection, json={"selected": True}, headers={"Authorization": f"Bearer {SYSTEM['token']}"}, timeout=20)
        case "delete_ad_account" if uses_real_data(case):
            import_account("import_gone")
        case "connect_system_user" if uses_real_data(case):
            case.body = {"token": SYSTEM["system_token"]}
        case "start_login" if uses_real_data(case):
            case.query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(authorize()).query))
        case "login_callback" if uses_real_data(case):
            case.query, case.headers["Cookie"] = log_in()
        case "submit_account_selection" if uses_real_data(case):
            case.body, case.headers["Cookie"] = choose_accounts()


STATUS_COUNTS = collections.defaultdict(collections.Counter)
STATUS_COUNTS_LOCK = threading.Lock()


@schemathesis.hook
def after_call(context, case, response):
    with STATUS_COUNTS_LOCK:
        STATUS_COUNTS[case.operation.definition.raw["operationId"]][response.status_code] += 1


@atexit.register
def write_status_counts():
    """Counts responses for `cargo xtask api`, which names the operations that never succeeded."""
    with open(os.environ["ADFLIGHT_STATUS_COUNTS"], "a", encoding="utf-8") as file:
        json.dump(STATUS_COUNTS, file)
        file.write("\n")
