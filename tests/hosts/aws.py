"""Speaks AWS's own APIs for a test: a line of JSON in, a line of JSON out, until standard input ends.

{"endpoint": …, "account": …, "service": "sqs", "call": "get_queue_attributes", "with": {…}}
with "as": [access key, secret key, session token] where somebody else than the account's root asks,
is answered {"answer": {…}} or {"error": {"code": …, "message": …}}. A value {"zip": path} stands for the bytes of a zip
of that file, as Lambda takes bundles.
"""

import io
import json
import sys
import zipfile

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

SESSION = botocore.session.Session()
CLIENTS = {}


def client(endpoint, account, service, somebody):
    # An access key of twelve digits is the root of the account of that number.
    access_key, secret_key, token = somebody or (account, "test", None)
    key = endpoint, access_key, token, service
    if key not in CLIENTS:
        CLIENTS[key] = SESSION.create_client(
            service,
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=token,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
        )
    return CLIENTS[key]


def bundle(path):
    packed = io.BytesIO()
    # Not compressed: it travels no further than this machine.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        with open(path, "rb") as program:
            archive.writestr(entry, program.read())
    return packed.getvalue()


def value(given):
    if isinstance(given, dict) and given.keys() == {"zip"}:
        return bundle(given["zip"])
    return given


def answer(asked):
    service = client(asked["endpoint"], asked["account"], asked["service"], asked.get("as"))
    parameters = {name: value(given) for name, given in asked["with"].items()}
    try:
        got = getattr(service, asked["call"])(**parameters)
    except ClientError as refused:
        error = refused.response["Error"]
        return {"error": {"code": error.get("Code", ""), "message": error.get("Message", "")}}
    got.pop("ResponseMetadata", None)
    return {"answer": got}


def shown(thing):
    # Dates, and bodies that are streams.
    return thing.read().decode() if hasattr(thing, "read") else str(thing)


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line)), default=shown), flush=True)
