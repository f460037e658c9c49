"""Signatures of webhooks: examples that the services' own documentation gives, and each change of them."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.triggers import Signature
from perdure_server.web import senders
from perdure_server.web.signatures import verify
from perdure_server.web.webhook import Request

NOW_S = 1_531_420_618.0


def request(body: bytes, **headers: str) -> Request:
    named = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request("POST", "/webhooks/x", "/webhooks/x", b"", named, body)


def refused(signature: Signature, secret: str, asked: Request, now_s: float = NOW_S) -> str:
    with pytest.raises(PerdureError) as caught:
        verify(signature, secret, asked, now_s)
    assert caught.value.code == "P0225"
    assert not secret or secret not in caught.value.message
    return caught.value.message


def test_github() -> None:
    # The example of GitHub's documentation.
    sha = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    signature = Signature("github", "S")
    good = request(b"Hello, World!", x_hub_signature_256=sha)
    verify(signature, "It's a Secret to Everybody", good, NOW_S)
    refused(signature, "It's a secret to everybody", good)
    refused(signature, "It's a Secret to Everybody", request(b"Hello, World?", x_hub_signature_256=sha))
    refused(signature, "It's a Secret to Everybody", request(b"Hello, World!", x_hub_signature_256=sha[7:]))
    refused(signature, "It's a Secret to Everybody", request(b"Hello, World!", x_hub_signature_256="sha256=ÿ"))
    refused(signature, "It's a Secret to Everybody", request(b"Hello, World!"))
    refused(signature, "", good)


SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121"
    b".803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_SHA = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def test_slack() -> None:
    # The example of Slack's documentation.
    signature = Signature("slack", "S")
    good = request(SLACK_BODY, x_slack_signature=SLACK_SHA, x_slack_request_timestamp="1531420618")
    verify(signature, SLACK_SECRET, good, NOW_S + 299)
    assert "more than 300 s" in refused(signature, SLACK_SECRET, good, NOW_S + 301)
    refused(signature, SLACK_SECRET, good, NOW_S - 301)
    refused(
        signature,
        SLACK_SECRET,
        request(SLACK_BODY, x_slack_signature=SLACK_SHA, x_slack_request_timestamp="1531420619"),
    )
    for at in ("", "soon", "-1", "1" * 400, "\xb2"):
        named = {"x_slack_signature": SLACK_SHA, "x_slack_request_timestamp": at}
        refused(signature, SLACK_SECRET, request(SLACK_BODY, **named))


def test_stripe() -> None:
    signature = Signature("stripe", "S", tolerance_s=60)
    body = b'{"id": "evt_1"}'
    right = hmac.new(b"whsec", b"1531420618." + body, hashlib.sha256).hexdigest()
    verify(signature, "whsec", request(body, stripe_signature=f"t=1531420618,v1={right},v0=00"), NOW_S)
    verify(signature, "whsec", request(body, stripe_signature=f"t=1531420618,v1={'0' * 64},v1={right}"), NOW_S)
    refused(signature, "whsec", request(body, stripe_signature=f"t=1531420618,v0={right}"))
    refused(signature, "whsec", request(body, stripe_signature=f"v1={right}"))
    refused(signature, "whsec", request(body, stripe_signature=f"t=1531420618,v1={right}"), NOW_S + 61)
    refused(signature, "whsec", request(body + b" ", stripe_signature=f"t=1531420618,v1={right}"))


def test_discord() -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    signature = Signature("discord", "S")
    body, at = b'{"type":1}', "1531420618"
    good = request(body, x_signature_ed25519=key.sign(at.encode() + body).hex(), x_signature_timestamp=at)
    verify(signature, public, good, NOW_S)
    refused(signature, Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex(), good)
    refused(signature, "no key", good)
    refused(signature, public, request(body, x_signature_ed25519="zz", x_signature_timestamp=at))
    assert senders.reply("discord", good) == {"type": 1}
    assert senders.reply("discord", request(b'{"type":2}')) is None


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_generic(algorithm: str, encoding: str) -> None:
    signature = Signature("generic", "S", header="X-Sig", algorithm=algorithm, encoding=encoding, prefix="p=")
    digest = hmac.digest(b"k", b"body", algorithm)
    text = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    verify(signature, "k", request(b"body", x_sig=f"p={text}"), NOW_S)
    refused(signature, "k", request(b"body", x_sig=text))
    refused(signature, "k", request(b"bod", x_sig=f"p={text}"))
    refused(signature, "k", request(b"body", x_other=f"p={text}"))


def test_slack_asks_whether_the_address_is_ours() -> None:
    asked = request(b'{"type": "url_verification", "challenge": "abc"}')
    assert senders.reply("slack", asked) == {"challenge": "abc"}
    assert senders.reply("slack", request(b'{"type": "event_callback"}')) is None
    assert senders.reply("github", asked) is None
    half = request(rb'{"type": "url_verification", "challenge": "a\ud83d"}')
    assert senders.reply("slack", half) == {"challenge": "a?"}


def test_ids_of_events() -> None:
    assert senders.event_id("github", "", request(b"", x_github_delivery="d-1")) == "d-1"
    assert senders.event_id("github", "X-Id", request(b"", x_github_delivery="d-1", x_id="i")) == "i"
    assert senders.event_id("slack", "", request(b'{"event_id": "Ev1"}')) == "Ev1"
    assert senders.event_id("stripe", "", request(b'{"id": "evt_1"}')) == "evt_1"
    assert senders.event_id("stripe", "", request(rb'{"id": "a\ud83d"}')) == "a?"  # the journal can store it
    for body in (b"", b"[]", b'{"id": 5}', b'{"id": ""}', b'"x"'):
        assert senders.event_id("stripe", "", request(body)) is None
    assert senders.event_id("", "", request(b'{"id": "x"}')) is None
    assert len(senders.event_id("", "X-Id", request(b"", x_id="i" * 1000)) or "") == 256
