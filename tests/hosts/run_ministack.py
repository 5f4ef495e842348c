"""Runs MiniStack on a free port of 127.0.0.1 until standard input ends, which also happens when the test that started it
is killed. Prints {"port": …} on standard output once it is ready; its log goes to standard error.

Stock MiniStack accepts our template and silently ignores part of it. What it lacks is added here through private names
of one version, so that version is checked."""

import contextvars
import importlib.metadata
import itertools
import json
import os
import shutil
import signal
import socket
import socketserver
import sys
import threading
import time
import urllib.request

VERSION = "1.5.33"
STARTUP_TIMEOUT_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def settings(port):
    """Returns the environment, which MiniStack reads at import and passes to every Lambda process."""
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        # Lambda processes find the emulator through this variable, without any setting of their own.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        # Functions see the host name that the stack's outputs give as the API's address.
        "MINISTACK_HOST": "us-east-1.amazonaws.com",
        "LOG_LEVEL": "INFO",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }


class HttpApiBody:
    """SAM describes the routes of an HttpApi by an OpenAPI document in the property `Body`, which MiniStack does not
    read. It is read here as far as our template uses it: proxies to functions, and no authorizers."""

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
                self.checked(self.apigateway._create_route(
                    api_id, {"routeKey": key, "target": f"integrations/{integrations[uri]}"}))

    def integrate(self, api_id, integration):
        wanted = {
            "integrationType": integration["type"].upper(),
            "integrationMethod": integration["httpMethod"],
            "integrationUri": integration["uri"],
            "payloadFormatVersion": integration["payloadFormatVersion"],
        }
        return self.checked(self.apigateway._create_integration(api_id, wanted))["integrationId"]

    @staticmethod
    def checked(response):
        status, _, body = response
        if status >= 400:
            raise ValueError(body)
        return json.loads(body)


def serve_every_account(apigateway):
    """Serves the APIs of all accounts: a client without credentials would be in MiniStack's default account, which has
    none."""

    def owner(wanted):
        scopes = ((account, region) for (account, region, api_id), _ in apigateway._apis.all_items() if api_id == wanted)
        return next(scopes, None)

    apigateway.find_api_scope = owner


def parse_concurrency(handlers):
    """Parses concurrency limits: MiniStack leaves a number from a parameter as text, and its poller fails on that."""
    handler = handlers["AWS::Lambda::EventSourceMapping"]
    create = handler["create"]

    def with_number(logical_id, properties, stack):
        scaling = properties.get("ScalingConfig")
        if scaling:
            properties = {**properties, "ScalingConfig": {"MaximumConcurrency": int(scaling["MaximumConcurrency"])}}
        return create(logical_id, properties, stack)

    handler["create"] = with_number


def log_sent_messages(sqs, responses):
    """Logs every sent message with its account, because a message stays in its queue only for a moment and scenarios
    scan them for secrets afterwards."""
    send = sqs._act_send_message

    def logged_send(data, url):
        sqs.logger.info("Sent in %s: %s", responses.get_account_id(), json.dumps(data))
        return send(data, url)

    # A batch is sent message by message through the first of these.
    sqs._act_send_message = sqs._HANDLERS["SendMessage"] = logged_send


class Permissions:
    """Corrects the permissions that MiniStack checks where AWS checks others."""

    def __init__(self, iam_actions):
        self.action_of, self.resource_of = iam_actions.extract_iam_action, iam_actions.extract_resource_arn
        iam_actions.extract_iam_action, iam_actions.extract_resource_arn = self.action, self.resource

    def action(self, service, *request):
        action = self.action_of(service, *request)
        # AWS has no permissions for batches: whoever may send a message may send ten at once.
        if action and action.startswith("sqs:"):
            return action.removesuffix("Batch")
        return action

    def resource(self, service, method, path, headers, body, query, *scope):
        arn = self.resource_of(service, method, path, headers, body, query, *scope)
        # MiniStack puts every schedule into the group `default`, whatever group the call names.
        if service != "scheduler" or ":schedule/default/" not in arn:
            return arn
        named = json.loads(body).get("GroupName") if body else query.get("groupName")
        group = named[0] if isinstance(named, list) else named
        return arn.replace(":schedule/default/", f":schedule/{group or 'default'}/")


class Conditions:
    """Supplies the context keys of our statements' conditions: partition keys, and the service to which a role is
    passed. MiniStack's evaluator supports such conditions, but gets neither the keys of a DynamoDB call nor the context
    of a simulation."""

    LEADING_KEYS = "dynamodb:LeadingKeys"

    def __init__(self, iam_actions, iam_evaluator, iam):
        self.context_of = iam_actions.dynamodb_service_context
        iam_actions.dynamodb_service_context = self.dynamodb_context
        self.transaction_actions = iam_actions._DYNAMODB_TRANSACT_ITEM_ACTIONS
        self.assumed = contextvars.ContextVar("assumed", default={})
        self.evaluate, self.simulate = iam_evaluator.evaluate, iam._simulate_principal_policy
        iam_evaluator.evaluate = self.evaluate_with_context
        iam._simulate_principal_policy = iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = self.simulate_with_context

    def dynamodb_context(self, body):
        """Returns the keys of a call, those of a transaction by the action of their part: AWS evaluates each part
        separately. All parts of one action are evaluated together, which refuses more than AWS does, and nothing
        less."""
        request = json.loads(body or b"{}")
        keys = {}
        for item in request.get("TransactItems") or []:
            for member, part in item.items():
                keys.setdefault(self.transaction_actions[member], []).extend(self.partition_keys(part))
        keys = keys or self.partition_keys(request)
        return {**self.context_of(body), **({self.LEADING_KEYS: keys} if keys else {})}

    def partition_keys(self, part):
        keys = [item["pk"]["S"] for item in (part.get("Key"), part.get("Item")) if "S" in (item or {}).get("pk", {})]
        values = part.get("ExpressionAttributeValues") or {}
        if part.get("KeyConditionExpression") and ":pk" in values:
            keys.append(values[":pk"]["S"])
        return keys

    def simulate_with_context(self, request):
        def text(name):
            value = request.get(name)
            return value[0] if isinstance(value, list) else value

        assumed, entry = {}, "ContextEntries.member."
        for n in itertools.takewhile(lambda n: text(f"{entry}{n}.ContextKeyName"), itertools.count(1)):
            values, value = [], f"{entry}{n}.ContextKeyValues.member."
            for m in itertools.takewhile(lambda m: text(f"{value}{m}"), itertools.count(1)):
                values.append(text(f"{value}{m}"))
            is_list = (text(f"{entry}{n}.ContextKeyType") or "").endswith("List")
            assumed[text(f"{entry}{n}.ContextKeyName").lower()] = values if is_list else values[0]
        token = self.assumed.set(assumed)
        try:
            return self.simulate(request)
        finally:
            self.assumed.reset(token)

    def evaluate_with_context(self, context, *policies):
        context.service_context = {**context.service_context, **self.assumed.get()}
        keys = context.service_context.get(self.LEADING_KEYS.lower())
        if isinstance(keys, dict):
            context.service_context[self.LEADING_KEYS.lower()] = keys[context.action]
        return self.evaluate(context, *policies)


def patch_ministack():
    from ministack.core import iam_actions, iam_evaluator, lambda_runtime, responses
    from ministack.services import apigateway, iam, lambda_svc, scheduler, sqs
    from ministack.services.cloudformation import provisioners

    HttpApiBody(apigateway, provisioners._RESOURCE_HANDLERS)
    serve_every_account(apigateway)
    parse_concurrency(provisioners._RESOURCE_HANDLERS)
    Permissions(iam_actions)
    Conditions(iam_actions, iam_evaluator, iam)
    log_sent_messages(sqs, responses)
    # It checks for due schedules every ten seconds; scenarios should not wait that long.
    scheduler._SCHEDULE_TICK_INTERVAL = 1
    # After a crashed invocation it pauses the queue for a second; one scenario crashes dozens.
    lambda_svc._ESM_BACKOFF_SECONDS = 0.1
    # MiniStack collects a function's output for 50 ms after its response; later lines wait for the next invocation. On
    # a busy machine lines come later: (wait for the first line, silence that ends the output, maximum), in s.
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (1.0, 0.03, 2.0)
    # The Runtime API writes its responses in small pieces, each of which would wait 40 ms for an acknowledgement.
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True


def report_ready(port, output):
    deadline = time.monotonic() + STARTUP_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            print(json.dumps({"port": port}), file=output, flush=True)
            return
    os.kill(os.getpid(), signal.SIGTERM)


def exit_with_input():
    while sys.stdin.readline():
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main():
    installed = importlib.metadata.version("ministack")
    if installed != VERSION:
        sys.exit(f"this launcher completes MiniStack {VERSION}, and found {installed}")
    # What MiniStack prints must not mix with our JSON line.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    port = free_port()
    os.environ.update(settings(port))
    patch_ministack()
    threading.Thread(target=report_ready, args=(port, output), daemon=True).start()
    threading.Thread(target=exit_with_input, daemon=True).start()
    sys.argv = sys.argv[:1]
    from ministack import app

    try:
        app.main()
    finally:
        # The unpacked bundles, in a folder that was created for this process alone.
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)


if __name__ == "__main__":
    main()
