"""Asks ../person.js to do what a person does."""

import json
import os
import urllib.request
from urllib.parse import parse_qs, urlsplit


def ask(deed, **what):
    request = urllib.request.Request(
        f"{os.environ['PERSON']}/{deed}", data=json.dumps(what).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def signed_in(address, user):
    """The parameters that a sign-in brings back to the app."""
    back = ask("sign-in", address=address, **user)["address"]
    return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
