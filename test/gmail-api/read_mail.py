"""Reads mail through gmailApi with google-api-python-client: what a subscriber in Python does.

Usage: read_mail.py ROOT_URL DISCOVERY_DOCUMENT USER_ID, with the ID token in the environment.
"""

import base64
import json
import os
import sys

import httplib2
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

root, document, user = sys.argv[1:]
with open(document, encoding="utf-8") as file:
    description = json.load(file)
description["rootUrl"] = root + "/"

credentials = Credentials(os.environ["ID_TOKEN"])
users = build_from_document(
    description, http=AuthorizedHttp(credentials, http=httplib2.Http())
).users()
messages = users.messages()

found = []
request = messages.list(userId=user, labelIds=["INBOX"], maxResults=1)
while request is not None:
    page = request.execute()
    found += page.get("messages", [])
    request = messages.list_next(request, page)

names = {label["id"]: label["name"] for label in users.labels().list(userId=user).execute()["labels"]}
for each in reversed(found):
    message = messages.get(userId=user, id=each["id"], format="full").execute()
    headers = {header["name"]: header["value"] for header in message["payload"]["headers"]}
    files = {}
    for part in message["payload"].get("parts", []):
        if part.get("filename"):
            identifier = part["body"]["attachmentId"]
            attachments = messages.attachments()
            body = attachments.get(userId=user, messageId=each["id"], id=identifier).execute()
            data = body["data"]
            files[part["filename"]] = base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)).decode()
    labels = sorted(names[label] for label in message["labelIds"])
    print(json.dumps({"subject": headers["Subject"], "labels": labels, "files": files}))

try:
    messages.get(userId=user, id="not-an-id").execute()
except HttpError as error:
    print(json.dumps({"status": int(error.resp.status), "message": error._get_reason()}))
