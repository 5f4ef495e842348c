#!/usr/bin/env python3
"""Writes v26.txt, the part of Meta's Marketing API that the simulator validates requests against.

    pip download facebook_business==26.0.3 --no-deps && unzip facebook_business-26.0.3-*.whl
    python3 derive.py facebook_business/adobjects > v26.txt

The classes of Meta's official SDK are generated from Meta's own specification; they are parsed here, never executed.
Facts missing in the SDK (required parameters, missing enum values) are listed below with their sources.
"""

import ast
import re
import sys
from pathlib import Path

CLASSES = """Ad AdAccount AdAccountDsaRecommendations AdActivity AdCreative AdImage AdLabel AdPreview AdReportRun
    AdSet AdVideo AdsInsights AdsPixel AssignedUser Business BusinessUser Campaign CustomAudience CustomConversion HighDemandPeriod MinimumBudget Page User VideoThumbnail""".split()

# Classes of which only some edges are included. All GET edges of an account are included: those that are not simulated
# return empty lists.
EDGES = {
    "AdAccount POST": """adcreatives adimages adlabels ads adsets advideos assigned_users async_batch_requests
        asyncadrequestsets campaigns customaudiences customconversions insights subscribed_apps video_ads""".split(),
    "AdAccount DELETE": "adimages advideos assigned_users campaigns subscribed_apps".split(),
    "AdVideo": ["thumbnails"],
    "AdsPixel": ["stats"],
    "Business": ["client_ad_accounts", "owned_ad_accounts", "owned_pages"],
    "Page": [],
    "BusinessUser": [],
    "CustomAudience": [],
    "User": ["accounts", "adaccounts", "assigned_ad_accounts", "business_users", "businesses", "permissions"],
}
# Classes that advertising clients only read.
READ = ["AdsPixel", "AssignedUser", "Business", "BusinessUser", "CustomAudience", "Page", "User"]

# Required parameters. Source: Meta's published specification of v25; none is published for v26.
REQUIRED = {
    "Ad POST adlabels": "adlabels",
    "Ad GET previews": "ad_format",
    "AdAccount GET adcreativesbylabels": "ad_label_ids",
    "AdAccount DELETE adimages": "hash",
    "AdAccount POST adlabels": "name",
    "AdAccount POST ads": "creative name",
    "AdAccount GET adsbylabels": "ad_label_ids",
    "AdAccount POST adsets": "name",
    "AdAccount GET adsetsbylabels": "ad_label_ids",
    "AdAccount DELETE advideos": "video_id",
    "AdAccount GET assigned_users": "business",
    "AdAccount POST async_batch_requests": "adbatch name",
    "AdAccount POST asyncadrequestsets": "ad_specs name",
    "AdAccount POST campaigns": "special_ad_categories",
    "AdAccount DELETE campaigns": "delete_strategy",
    "AdAccount GET campaignsbylabels": "ad_label_ids",
    "AdAccount POST customconversions": "name",
    "AdAccount POST video_ads": "upload_phase",
    "AdAccount GET delivery_estimate": "optimization_goal targeting_spec",
    "AdAccount GET generatepreviews": "ad_format creative",
    "AdAccount GET ios_fourteen_campaign_limits": "app_id",
    "AdAccount GET matched_search_applications": "app_store query_term",
    "AdAccount GET message_delivery_estimate": "promoted_object targeting_spec",
    "AdAccount GET reachestimate": "targeting_spec",
    "AdAccount GET targetingsearch": "q",
    "AdAccount GET targetingsentencelines": "targeting_spec",
    "AdCreative POST adlabels": "adlabels",
    "AdCreative GET previews": "ad_format",
    "AdLabel POST": "name",
    "AdSet DELETE adlabels": "adlabels",
    "AdSet POST adlabels": "adlabels",
    "AdSet POST budget_schedules": "budget_value budget_value_type time_end time_start",
    "AdVideo POST thumbnails": "source",
    "Campaign POST adlabels": "adlabels",
    "Campaign POST budget_schedules": "budget_value budget_value_type time_end time_start",
}

# Enum values that the API accepts according to its documentation (September 2026), but that the SDK lacks.
MORE_VALUES = {
    "destination_type": ["PHONE_CALL", "LEAD_FROM_MESSENGER", "LEAD_FROM_IG_DIRECT"],
    "optimization_goal": ["TWO_SECOND_CONTINUOUS_VIDEO_VIEWS"],
}
# Fields that working clients read (Airbyte's source-facebook-marketing 6.1.9), although the SDK has them as parameters
# only or not at all.
MORE_FIELDS = {"AdImage": ["filename"], "AssignedUser": ["tasks"]}
# Parameters whose enum consists of numbers in the SDK, while the API accepts names.
FREE_TEXT = ["regional_regulated_categories"]


class Source:
    """One SDK module: its classes' constants and its methods' requests."""

    def __init__(self, folder, name):
        path = folder / f"{name.lower()}.py"
        self.tree = next(n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef) and n.name == name)
        self.constants = {n.name: constants(n) for n in self.tree.body if isinstance(n, ast.ClassDef)}

    def fields(self):
        types = next((n.value for n in self.tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "_field_types"), None)
        types = ast.literal_eval(types) if types else {}
        names = self.constants["Field"]
        # Readable fields come first, sorted; write-only fields follow, sorted again.
        readable = next((i for i in range(1, len(names)) if names[i] < names[i - 1]), len(names))
        return {name: types.get(name, "string") for name in names[:readable] + MORE_FIELDS.get(self.tree.name, [])}

    def requests(self):
        """Yields (method, edge, returned class, {parameter: type}, {enum: values or (class, enum)})."""
        for method in self.tree.body:
            calls = [n for n in ast.walk(method) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "FacebookRequest"]
            if not isinstance(method, ast.FunctionDef) or not calls:
                continue
            local = {n.targets[0].id: n.value for n in method.body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)}
            given = {k.arg: k.value for k in calls[0].keywords}
            params = ast.literal_eval(local["param_types"])
            enums = {k.value: values(v) for k, v in zip(local["enums"].keys, local["enums"].values)}
            edge = given["endpoint"].value.strip("/")
            yield given["method"].value, edge, given["target_class"].id, params, enums


def constants(node):
    return [n.value.value for n in node.body if isinstance(n, ast.Assign) and isinstance(n.value, ast.Constant)]


def values(node):
    if isinstance(node, ast.List):
        return ast.literal_eval(node)
    # Campaign.Status.__dict__.values()
    enum = node.func.value.value
    return (enum.value.id, enum.attr)


class Enums:
    """Names of enums; equal lists of values share one name."""

    def __init__(self):
        self.names = {}

    def name(self, wanted, members):
        members = tuple(members) + tuple(v for v in MORE_VALUES.get(wanted, []) if v not in members)
        if members not in self.names:
            same = sum(re.sub(r"\d+$", "", name) == wanted for name in self.names.values())
            self.names[members] = f"{wanted}{same + 1 if same else ''}"
        return self.names[members]


def main(folder):
    sources, enums, text = {}, Enums(), []

    def source(name):
        return sources.setdefault(name, None) or sources.update({name: Source(folder, name)}) or sources[name]

    def kind(param, given, local):
        inner = re.sub(r"^list<(.*)>$", r"\1", given)
        if inner in local and param not in FREE_TEXT:
            members = local[inner]
            if isinstance(members, tuple):
                members = source(members[0]).constants[members[1]]
            short = "@" + enums.name(re.sub("_enum$", "", inner), members)
        else:
            short = "string" if inner in local else inner.replace("unsigned int", "uint").replace(" ", "")
        return f"list<{short}>" if inner != given else short

    for name in CLASSES:
        text.append(f"\nclass {name}")
        by_type = {}
        for field, given in source(name).fields().items():
            by_type.setdefault(given.replace("unsigned int", "uint").replace(" ", ""), []).append(field)
        text += [f"field {given} {' '.join(fields)}" for given, fields in sorted(by_type.items())]
        for method, edge, returned, params, local in sorted(source(name).requests(), key=lambda r: (r[1], r[0])):
            kept = EDGES.get(f"{name} {method}", EDGES.get(name, [edge]))
            if edge and edge not in kept or name in READ and method != "GET" and edge != "permissions":
                continue
            required = REQUIRED.get(f"{name} {method} {edge}".strip(), "").split()
            shown = [f"{p}{'*' if p in required else ''}:{kind(p, t, local)}" for p, t in sorted(params.items())]
            text.append(" ".join([method, edge or "-", returned, *shown]))
    lines = [f"enum {name} {' '.join(members)}" for members, name in sorted(enums.names.items(), key=lambda e: e[1])]
    print("# Written by derive.py from facebook_business 26.0.3. See spec.rs for the form of a line.\n")
    print("\n".join(lines + text))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
