"""Runs MiniStack on a free port of 127.0.0.1 until standard input ends, which it also does when the test that
started us is killed. Says {"port": …} on standard output once it answers; its log goes to standard error.

Stock MiniStack accepts our template and leaves out part of it without a word. What it lacks is added here through
private names of one version, which is therefore checked.
"""

import contextvars
import importlib.metadata
import json
import os
import signal
import socket
import socketserver
import string
import sys
import threading
import time
import urllib.request

VERSION = "1.5.33"
READY_WITHIN_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def settings(port):
    """MiniStack reads its environment while it is imported, and hands all of it on to every Lambda process."""
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        # Lambda processes find their AWS here, with no word about it in their own configuration.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "LOG_LEVEL": "INFO",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }


class HttpApiBody:
    """SAM describes the routes of an HttpApi by an OpenAPI document in the property `Body`, which MiniStack does
    not read. It is read here as far as our template uses it: proxies to functions, and nothing that authorizes."""

    TYPE = "AWS::ApiGatewayV2::Api"
    INTEGRATION = "x-amazon-apigateway-integration"

    def __init__(self, apigateway, handlers):
        self.apigateway = apigateway
        handler = handlers[self.TYPE]
        self.create_api, self.update_api = handler["create"], handler["update"]
        handler["create"], handler["update"] = self.create, self.update

    def create(self, logical_id, properties, stack):
        api_id, attributes = self.create_api(logical_id, properties, stack)
        self.read(api_id, properties)
        return api_id, attributes

    def update(self, physical_id, old, new, stack, logical_id=None):
        api_id, attributes = self.update_api(physical_id, old, new, stack, logical_id)
        self.read(api_id, new)
        return api_id, attributes

    def read(self, api_id, properties):
        body = properties.get("Body") or {}
        cors = properties.get("CorsConfiguration") or body.get("x-amazon-apigateway-cors")
        if cors:
            # CloudFormation says AllowOrigins, the service itself allowOrigins.
            named = {name[0].lower() + name[1:]: value for name, value in cors.items()}
            self.apigateway._apis[api_id]["corsConfiguration"] = named
        self.apigateway._routes[api_id], self.apigateway._integrations[api_id] = {}, {}
        integrations = {}
        for path, methods in body.get("paths", {}).items():
            for method, operation in methods.items():
                if self.INTEGRATION not in operation:
                    continue
                if operation.get("security") or body.get("security"):
                    raise ValueError(f"{method} {path} has an authorizer, which this launcher does not know")
                uri = operation[self.INTEGRATION]["uri"]
                if uri not in integrations:
                    integrations[uri] = self.integrate(api_id, operation[self.INTEGRATION])
                verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                key = "$default" if path.strip("/") == "$default" else f"{verb} {path}"
                self.made(self.apigateway._create_route(
                    api_id, {"routeKey": key, "target": f"integrations/{integrations[uri]}"}))

    def integrate(self, api_id, integration):
        wanted = {
            "integrationType": integration["type"].upper(),
            "integrationMethod": integration["httpMethod"],
            "integrationUri": integration["uri"],
            "payloadFormatVersion": integration["payloadFormatVersion"],
        }
        return self.made(self.apigateway._create_integration(api_id, wanted))["integrationId"]

    @staticmethod
    def made(answer):
        status, _, body = answer
        if status >= 400:
            raise ValueError(body)
        return json.loads(body)


class SamParameters:
    """CloudFormation tells the SAM transform the values of parameters, lists as lists; MiniStack tells it nothing,
    and then a parameter in CorsConfiguration takes the place of the whole configuration."""

    def __init__(self, engine, handlers, sam):
        self.engine, self.values = engine, contextvars.ContextVar("parameters", default={})
        self.transforms, self.transform = engine._apply_transforms, sam.transform
        handlers._apply_transforms, sam.transform = self.note, self.tell

    def note(self, template, provided=None, previous=None):
        resolved = self.engine._resolve_parameters(template, provided or [], previous)
        self.values.set({
            name: parameter["Value"].split(",") if parameter["Type"] == "CommaDelimitedList" else parameter["Value"]
            for name, parameter in resolved.items()
        })
        return self.transforms(template, provided, previous)

    def tell(self, template, _nothing, policies):
        return self.transform(template, self.values.get(), policies)


class AlarmMath:
    """MiniStack refuses alarms over several metrics. Nothing here rings, so they are kept under the first one."""

    def __init__(self, provisioners):
        self.record = provisioners._cw_metric_alarm_record
        provisioners._cw_metric_alarm_record = self.keep

    def keep(self, name, properties):
        metrics = properties.get("Metrics")
        if metrics:
            first = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
            properties = {**properties, **first["Metric"], "Statistic": first["Stat"], "Period": first["Period"]}
            del properties["Metrics"]
        return self.record(name, properties)


class SecretAlphabet:
    """MiniStack generates secrets of all characters but ExcludeCharacters; the other exclusions are for AWS."""

    KINDS = {
        "ExcludeUppercase": string.ascii_uppercase,
        "ExcludeLowercase": string.ascii_lowercase,
        "ExcludeNumbers": string.digits,
        "ExcludePunctuation": string.punctuation,
    }

    def __init__(self, provisioners):
        self.generate = provisioners._sm_secret_string
        provisioners._sm_secret_string = self.exclude

    def exclude(self, properties):
        wanted = properties.get("GenerateSecretString") or {}
        excluded = [kind for name, kind in self.KINDS.items() if wanted.get(name)]
        if excluded:
            excluded.append(wanted.get("ExcludeCharacters", ""))
            wanted = {**wanted, "ExcludeCharacters": "".join(excluded)}
            properties = {**properties, "GenerateSecretString": wanted}
        return self.generate(properties)


def complete():
    from ministack.services import apigateway, scheduler
    from ministack.services.cloudformation import engine, handlers, provisioners
    from samtranslator.translator import transform

    HttpApiBody(apigateway, provisioners._RESOURCE_HANDLERS)
    SamParameters(engine, handlers, transform)
    AlarmMath(provisioners)
    SecretAlphabet(provisioners)
    # It looks for schedules that are due every ten seconds; stories should not wait that long.
    scheduler._SCHEDULE_TICK_INTERVAL = 1
    # The Runtime API writes its answers in small pieces, each of which would wait 40 ms for an acknowledgement.
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True


def announce(port, voice):
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            print(json.dumps({"port": port}), file=voice, flush=True)
            return
    os.kill(os.getpid(), signal.SIGTERM)


def end_with_input():
    while sys.stdin.readline():
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main():
    installed = importlib.metadata.version("ministack")
    if installed != VERSION:
        sys.exit(f"this launcher completes MiniStack {VERSION}, and found {installed}")
    # What MiniStack prints must not be taken for what we say.
    voice = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    port = free_port()
    os.environ.update(settings(port))
    complete()
    threading.Thread(target=announce, args=(port, voice), daemon=True).start()
    threading.Thread(target=end_with_input, daemon=True).start()
    sys.argv = sys.argv[:1]
    from ministack import app

    app.main()


if __name__ == "__main__":
    main()
