"""Holds requests and their answers against the API clients that gcloud brings.

Lines of JSON on the standard input, each with method, path and answer; for each one goes out, as JSON,
what is wrong with it: a request that no API of that version has, or fields that its answer has not.
"""

import importlib
import json
import os
import re
import sys

sdk = sys.argv[1]
sys.path[:0] = [os.path.join(sdk, "lib"), os.path.join(sdk, "lib", "third_party")]

from apitools.base.py import encoding

APIS = {
    "cloudresourcemanager": "v3",
    "serviceusage": "v1",
    "cloudfunctions": "v2",
    "run": "v2",
    "pubsub": "v1",
    "cloudscheduler": "v1",
    "secretmanager": "v1",
    "cloudkms": "v1",
    "firestore": "v1",
    "logging": "v2",
    "artifactregistry": "v1",
    "cloudbilling": "v1",
    "cloudquotas": "v1",
    "orgpolicy": "v2",
}


def methods():
    """Every method of these APIs: how it is asked for, and the message that answers."""
    for api, version in APIS.items():
        module = f"googlecloudsdk.generated_clients.apis.{api}.{version}.{api}_{version}"
        client = importlib.import_module(module + "_client")
        messages = importlib.import_module(module + "_messages")
        for owner in vars(client).values():
            if not isinstance(owner, type) or not hasattr(owner, "MESSAGES_MODULE"):
                continue
            for service in vars(owner).values():
                for method in vars(service).values() if isinstance(service, type) else []:
                    config = getattr(method, "method_config", None)
                    if config is None:
                        continue
                    info = config()
                    path = info.flat_path or info.relative_path
                    yield info.http_method, pattern_of(path), getattr(messages, info.response_type_name)


def pattern_of(path):
    parts = re.split(r"\{[^}]+\}", path)
    return re.compile("/" + "[^/]+".join(re.escape(part) for part in parts) + "$")


def unknown_fields(message):
    yield from message.all_unrecognized_fields()
    for field in message.all_fields():
        value = getattr(message, field.name)
        for each in value if isinstance(value, list) else [value]:
            if hasattr(each, "all_unrecognized_fields"):
                yield from unknown_fields(each)


KNOWN = list(methods())

for line in sys.stdin:
    asked = json.loads(line)
    path = asked["path"].split("?")[0]
    fitting = [response for method, pattern, response in KNOWN if method == asked["method"] and pattern.match(path)]
    wrong = [] if fitting else ["no API has this request"]
    # A stream of answers is a list over REST.
    answers = asked["answer"] if isinstance(asked["answer"], list) else [asked["answer"]]
    if fitting and asked["status"] == 200:
        wrong = min(
            (
                [field for answer in answers for field in unknown_fields(encoding.DictToMessage(answer, response))]
                for response in fitting
            ),
            key=len,
        )
    print(json.dumps({"path": asked["path"], "wrong": [str(each) for each in wrong]}), flush=True)
