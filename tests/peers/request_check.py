"""request_check.py FILE...: checks requests against Meta's own SDK (run it in target/peers/sdk).

A file holds one request per line: {"method": "GET|POST|DELETE", "class": "AdAccount", "edge": "campaigns" or null for
the node itself, "params": {name: value}}, values as on the wire (structured ones as JSON text). The class is the SDK's
name for the node, because an id does not show it. Prints the mistakes of each request; exit status 1 when there are any.

The SDK's generated classes are queried directly: with `pending=True` their methods return the request they would send,
with its parameters, their types, enums and the class of the response."""

import importlib
import inspect
import json
import re
import sys
from functools import cache
from typing import Any, Iterator

from facebook_business.api import FacebookAdsApi, FacebookRequest
from facebook_business.session import FacebookSession

API = FacebookAdsApi(FacebookSession(access_token="nobody"))
# Accepted by every call, but not listed in the SDK's classes; `filtering` and `order` by most edges.
GENERIC = {
    "access_token",
    "appsecret_proof",
    "fields",
    "limit",
    "after",
    "before",
    "summary",
    "filtering",
    "order",
    "locale",
}
# Removed in every version, although some classes still list them: the SDK does not prove that a parameter still works.
REMOVED = {"ids", "date_format", "metadata", "pretty", "debug"}
# Meta's documentation names these; its SDK does not (see DestinationType and OptimizationGoal in the ODAX tables) or by
# numbers only (regional_regulated_categories).
MISSING_IN_SDK = {
    "destination_type": {"PHONE_CALL", "LEAD_FROM_MESSENGER", "LEAD_FROM_IG_DIRECT"},
    "optimization_goal": {"TWO_SECOND_CONTINUOUS_VIDEO_VIEWS"},
    "regional_regulated_categories": {
        "TAIWAN_FINSERV",
        "AUSTRALIA_FINSERV",
        "INDIA_FINSERV",
        "TAIWAN_UNIVERSAL",
        "SINGAPORE_UNIVERSAL",
        "THAILAND_UNIVERSAL",
        "BRAZIL_REGULATION",
    },
}
# An edge of July 2026 (ads webhooks) that no SDK has yet, with the parameters that its page names.
NEW_EDGES = {
    ("AdAccount", "GET", "subscriptions"): set(),
    ("AdAccount", "POST", "subscriptions"): {"event_type", "filters", "field", "value", "operator", "status"},
}
# Keys of objects in parameters that are not fields of their class: a creative is also named by its id.
EXTRA_KEYS = {"AdCreative": {"creative_id"}}
# Classes whose objects are given by name: `scope` of a system user's token lists permissions.
NAME_PATTERNS = {"Permission": r"[a-z][a-z_]*"}
OPERATORS = (
    "EQUAL NOT_EQUAL GREATER_THAN GREATER_THAN_OR_EQUAL LESS_THAN LESS_THAN_OR_EQUAL IN_RANGE NOT_IN_RANGE CONTAIN "
    "NOT_CONTAIN STARTS_WITH IN NOT_IN ANY ALL NONE AFTER BEFORE ON_OR_AFTER ON_OR_BEFORE".split()
)


def check_request(request: dict[str, Any]) -> list[str]:
    """Returns the mistakes of a request."""
    node, edge, params = known_class(request["class"]), request.get("edge") or "", request["params"]
    if node is None:
        return [f"the SDK has no class {request['class']}"]
    new = NEW_EDGES.get((request["class"], request["method"], edge))
    if new is not None:
        return [f"{edge} has no parameter {name}" for name in params if name not in new]
    call = calls(node).get((request["method"], edge))
    if call is None:
        return [f"the SDK's {node.__name__} has no {request['method']} of {edge or 'itself'}"]
    violations = [violation for name, value in params.items() for violation in parameter(call, name, value)]
    if "fields" in params and (request["method"] == "GET" or edge == "insights"):
        # A report run is requested with the fields of its rows.
        rows = known_class("AdsInsights") if edge == "insights" else call._target_class
        fields = text(params["fields"])
        violations += selection(rows, ",".join(json.loads(fields)) if fields.startswith("[") else fields)
    return violations


@cache
def known_class(name: str) -> type | None:
    """Returns a generated class of the SDK."""
    try:
        return getattr(importlib.import_module(f"facebook_business.adobjects.{name.lower()}"), name, None)
    except ModuleNotFoundError:
        return None


@cache
def calls(node: type) -> dict[tuple[str, str], FacebookRequest]:
    """Returns what a class can send, by method and edge."""
    found = {}
    for _, method in inspect.getmembers(node, inspect.isfunction):
        arguments = inspect.signature(method).parameters
        if "pending" in arguments and "parent_id" not in arguments:
            request = method(node(fbid="1", api=API), params={}, pending=True)
            found[request._method, request._endpoint] = request
    return found


def parameter(call: FacebookRequest, name: str, value: Any) -> Iterator[str]:
    """Yields the mistakes of one parameter of a call."""
    checker = call._param_checker
    kind = checker.get_type(name)
    if name in REMOVED:
        yield f"{name} was removed from every version"
    elif name == "fields":
        pass  # Held to the class of the answer.
    elif name == "filtering":
        yield from filters(value)
    elif (
        kind == "list<string>"
        and (values := vars(call._target_class).get(name.title().replace("_", ""))) is not None
    ):
        # Some edges leave the type of a list open where others name the enum of the listed class.
        yield from mistyped(name, "list<enum>", value, {"enum": vars(values).values()})
    elif kind is None:
        if name not in GENERIC:
            yield f"{call._method} {call._endpoint or 'node'} does not know the parameter {name}"
    else:
        yield from mistyped(name, kind, value, checker._enum_data)


def mistyped(where: str, kind: str, value: Any, enums: dict[str, Any]) -> Iterator[str]:
    """Yields why a value does not have its type."""
    if nested := re.fullmatch(r"list<(.*)>", kind):
        values = parsed(value)
        if isinstance(values, str):
            values = values.split(",")  # Graph takes lists of plain words that way, too.
        if not isinstance(values, list):
            yield f"{where} must be a list, not {text(value)}"
            return
        for item in values:
            yield from mistyped(where, nested[1], item, enums)
    elif kind in enums:
        allowed = {item for item in enums[kind] if isinstance(item, str)} | MISSING_IN_SDK.get(where, set())
        if text(value) not in allowed:
            yield f"{where} may not be {text(value)}"
    elif kind in ("int", "unsigned int", "float", "bool"):
        pattern = {"int": r"-?\d+", "unsigned int": r"\d+", "float": r"-?\d+(\.\d+)?", "bool": "true|false"}[
            kind
        ]
        if not re.fullmatch(pattern, text(value)):
            yield f"{where} must be {kind}, not {text(value)}"
    elif kind in ("map", "Object", "list") or kind.startswith("map<"):
        if not isinstance(parsed(value), (dict, list)):
            yield f"{where} must be a JSON object or array, not {text(value)}"
    elif kind in NAME_PATTERNS and isinstance(value, str):
        if not re.fullmatch(NAME_PATTERNS[kind], value):
            yield f"{where} must be a name, not {value}"
    elif (inner := known_class(kind)) is not None:
        yield from contents(where, inner, parsed(value))


def contents(where: str, kind: type, value: Any) -> Iterator[str]:
    """Yields the mistakes of an object inside a parameter."""
    if not isinstance(value, dict):
        yield f"{where} must be a JSON object, not {text(value)}"
        return
    types = kind._field_types
    enums = {name: list(values) for name, values in kind._get_field_enum_info().items()}
    for key, inner in value.items():
        if key in types:
            yield from mistyped(f"{where}.{key}", types[key], inner, enums)
        elif key not in EXTRA_KEYS.get(kind.__name__, ()):
            yield f"{where}: {kind.__name__} has no {key}"


def filters(value: Any) -> Iterator[str]:
    """Yields the mistakes of `filtering`."""
    for entry in parsed(value) if isinstance(parsed(value), list) else [None]:
        if not isinstance(entry, dict) or set(entry) != {"field", "operator", "value"}:
            yield 'filtering must be a list of {"field", "operator", "value"}'
        elif entry["operator"] not in OPERATORS:
            yield f"filtering does not know the operator {entry['operator']}"


@cache
def readable(kind: type) -> frozenset[str]:
    """Returns the readable fields of a class. Field names them in alphabetical order; those that can only be written
    follow, in alphabetical order again."""
    names = [name for key, name in vars(kind.Field).items() if not key.startswith("_")]
    end = next((i for i in range(1, len(names)) if names[i] < names[i - 1]), len(names))
    return frozenset(names[:end]) | {"id"}


def selection(kind: type, fields: str) -> Iterator[str]:
    """Yields the mistakes of a `fields` expression."""
    for name, modifiers, inner in items(fields):
        edge = calls(kind).get(("GET", name))
        if name in readable(kind):
            target = known_class(re.sub(r"^list<(.*)>$", r"\1", kind._field_types.get(name) or ""))
        elif edge is not None:
            target = edge._target_class
            for modifier, value in modifiers.items():
                yield from parameter(edge, modifier, value)
        else:
            yield f"{kind.__name__} has no field {name}"
            continue
        if inner is not None and target is not None:
            yield from selection(target, inner)


def items(fields: str) -> Iterator[tuple[str, dict[str, str], str | None]]:
    """Yields the parts of a `fields` expression: name, .modifier(value)s, {inner}."""
    at = 0
    while at < len(fields):
        name = re.compile(r"\s*(\w+)").match(fields, at)
        if name is None:
            raise ValueError(f"fields cannot be read at {fields[at:]!r}")
        at, modifiers, inner = name.end(), {}, None
        while modifier := re.compile(r"\.(\w+)\(").match(fields, at):
            end = closing(fields, modifier.end() - 1)
            modifiers[modifier[1]] = fields[modifier.end() : end]
            at = end + 1
        if fields[at : at + 1] == "{":
            end = closing(fields, at)
            inner, at = fields[at + 1 : end], end + 1
        yield name[1], modifiers, inner
        if fields[at : at + 1] not in (",", ""):
            raise ValueError(f"fields cannot be read at {fields[at:]!r}")
        at += 1


def closing(fields: str, at: int) -> int:
    """Returns where the bracket that opens at `at` closes."""
    depth = 0
    for place in range(at, len(fields)):
        depth += (fields[place] in "({[") - (fields[place] in ")}]")
        if depth == 0:
            return place
    raise ValueError(f"a bracket stays open in {fields!r}")


def parsed(value: Any) -> Any:
    """Returns a value parsed as JSON, or unchanged when it is none."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def text(value: Any) -> str:
    """Returns a value as on the wire."""
    return value if isinstance(value, str) else json.dumps(value)


def main(files: list[str]) -> int:
    wrong = total = 0
    for file in files:
        with open(file) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                total += 1
                try:
                    violations = check_request(json.loads(line))
                except (ValueError, KeyError) as error:
                    violations = [f"cannot be read: {error!r}"]
                for violation in violations:
                    print(f"{file}:{number}: {violation}")
                wrong += bool(violations)
    print(f"request check: {total} requests, {wrong} wrong")
    return 1 if wrong or not total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
