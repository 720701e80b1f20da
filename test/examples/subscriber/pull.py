#!/usr/bin/env python3
"""Prints what happens in connected mailboxes: a pull subscriber with nothing but Python's library.

    SUBSCRIPTION   projects/PROJECT/subscriptions/NAME, created with --enable-message-ordering
    GMAIL_API_URL  the address of the function gmailApi; without it, mail is not read

It runs as the service account of the machine, which needs roles/pubsub.subscriber and, to read mail,
roles/run.invoker on gmailApi. PUBSUB_EMULATOR_HOST and GCE_METADATA_HOST lead to emulators.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

SUBSCRIPTION = os.environ["SUBSCRIPTION"]
GMAIL_API_URL = os.environ.get("GMAIL_API_URL")
EMULATOR = os.environ.get("PUBSUB_EMULATOR_HOST")
PUBSUB = f"http://{EMULATOR}" if EMULATOR else "https://pubsub.googleapis.com"
METADATA = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
# Stop after so many events; for ever without it.
EVENTS_MAX = int(os.environ.get("EVENTS_MAX", "0"))
TIMEOUT_S = 90
PAUSE_S = 1
# A wrong name, or a missing right: trying again does not help.
PERMANENT = (400, 403, 404)
# Handled ids. A program with several instances keeps them in a database.
HANDLED_MAX = 100_000
handled = {}


def call(url, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        return response.read().decode()


def service_account(path):
    url = f"http://{METADATA}/computeMetadata/v1/instance/service-accounts/default/{path}"
    return call(url, headers={"metadata-flavor": "Google"})


def pubsub(verb, body):
    headers = {}
    if not EMULATOR:
        token = json.loads(service_account("token"))["access_token"]
        headers["authorization"] = f"Bearer {token}"
    return json.loads(call(f"{PUBSUB}/v1/{SUBSCRIPTION}:{verb}", body, headers))


def read_subject(user_id, message_id):
    """The subject of a message, or None where the message is gone or may not be read."""
    token = service_account("identity?" + urllib.parse.urlencode({"audience": GMAIL_API_URL}))
    query = urllib.parse.urlencode({"format": "metadata", "metadataHeaders": "Subject"})
    url = f"{GMAIL_API_URL}/gmail/v1/users/{user_id}/messages/{message_id}?{query}"
    try:
        message = json.loads(call(url, headers={"authorization": f"Bearer {token}"}))
    except urllib.error.HTTPError as error:
        if error.code in (403, 404, 409):
            return None
        raise
    headers = message.get("payload", {}).get("headers", [])
    return next((it["value"] for it in headers if it["name"].lower() == "subject"), "")


def handle(kind, data):
    line = {"type": kind, "mailbox": data["emailAddress"]}
    if kind == "mailbox.message.added":
        line["messageId"] = data["messageId"]
        if GMAIL_API_URL:
            line["subject"] = read_subject(data["userId"], data["messageId"])
    elif kind == "mailbox.gap":
        line["since"] = data["since"]
    elif "reauthorizeUrl" in data:
        line["reauthorizeUrl"] = data["reauthorizeUrl"]
    print(json.dumps(line), flush=True)


def receive(message):
    """Handles a message. False: it has to be delivered again."""
    attributes = message.get("attributes", {})
    event_id, kind = attributes.get("ce-id"), attributes.get("ce-type", "")
    if event_id in handled:
        return True
    try:
        data = json.loads(base64.b64decode(message.get("data", "")))
        handle(kind, data)
    except (ValueError, KeyError) as error:
        print(f"dropped a message that cannot be read: {error!r}", file=sys.stderr)
    except urllib.error.URLError as error:
        print(f"{event_id}: {error}", file=sys.stderr)
        return False
    # Noted after it was handled: a crash in between handles it again.
    handled[event_id] = True
    if len(handled) > HANDLED_MAX:
        del handled[next(iter(handled))]
    return True


def main():
    while not EVENTS_MAX or len(handled) < EVENTS_MAX:
        try:
            is_idle = not receive_some()
        except urllib.error.HTTPError as error:
            reason = f"Pub/Sub refuses: {error}\n{error.read().decode(errors='replace')}"
            if error.code in PERMANENT:
                sys.exit(reason)
            print(reason, file=sys.stderr)
            is_idle = True
        except (urllib.error.URLError, TimeoutError) as error:
            # What was not acknowledged comes again.
            print(f"cannot reach Pub/Sub: {error}", file=sys.stderr)
            is_idle = True
        if is_idle:
            time.sleep(PAUSE_S)


def receive_some():
    """Pulls and handles messages. True: all of them were handled, and there were some."""
    messages = pubsub("pull", {"maxMessages": 100}).get("receivedMessages", [])
    refused = set()
    done = []
    for received in messages:
        key = received["message"].get("orderingKey")
        # What follows a message that was not handled comes again, behind it.
        if key in refused:
            continue
        if receive(received["message"]):
            done.append(received["ackId"])
        else:
            refused.add(key)
    if done:
        pubsub("acknowledge", {"ackIds": done})
    return bool(messages) and not refused


if __name__ == "__main__":
    main()
