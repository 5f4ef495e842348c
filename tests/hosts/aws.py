"""Calls AWS's APIs for a test: a line of JSON in, a line of JSON out, until standard input ends.

{"endpoint": …, "account": …, "service": "sqs", "call": "get_queue_attributes", "parameters": {…}}
with "credentials": [access key, secret key, session token] for a caller other than the account's root,
is answered by {"response": {…}} or {"error": {"code": …, "message": …}}. A value {"zip": path} stands for the bytes of
a zip of that file, as Lambda takes bundles."""

import io
import json
import sys
import zipfile

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

SESSION = botocore.session.Session()
CLIENTS = {}


def client(endpoint, account, service, credentials):
    # An access key of twelve digits is the root of the account of that number.
    access_key, secret_key, token = credentials or (account, "test", None)
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
    # Not compressed, because it does not leave this machine.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        with open(path, "rb") as program:
            archive.writestr(entry, program.read())
    return packed.getvalue()


def decoded(given):
    if isinstance(given, dict) and given.keys() == {"zip"}:
        return bundle(given["zip"])
    return given


def handle(request):
    service = client(request["endpoint"], request["account"], request["service"], request.get("credentials"))
    parameters = {name: decoded(given) for name, given in request["parameters"].items()}
    try:
        result = getattr(service, request["call"])(**parameters)
    except ClientError as client_error:
        error = client_error.response["Error"]
        return {"error": {"code": error.get("Code", ""), "message": error.get("Message", "")}}
    result.pop("ResponseMetadata", None)
    return {"response": result}


def serialized(thing):
    # Dates, and bodies that are streams.
    return thing.read().decode() if hasattr(thing, "read") else str(thing)


for line in sys.stdin:
    print(json.dumps(handle(json.loads(line)), default=serialized), flush=True)
