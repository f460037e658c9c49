"""Where sessions may connect to, and what a request to the proxy says: pure."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perdure_runner.host.egress.heads import CHUNKED, BadRequest, Request, parse
from perdure_runner.host.egress.rules import Rules, plain_host

LISTED = ("api.example.com", "*.example.org:8443", "192.0.2.7", "[2001:db8::1]:80", "Mixed.Example.NET.")


@pytest.mark.parametrize(
    ("host", "port", "permitted"),
    [
        ("api.example.com", 443, True),
        ("API.example.com.", 80, True),
        ("api.example.com", 8443, False),
        ("xapi.example.com", 443, False),
        ("api.example.com.evil.test", 443, False),
        ("a.example.org", 8443, True),
        ("a.b.example.org", 8443, True),
        ("example.org", 8443, False),
        ("aexample.org", 8443, False),
        ("a.example.org", 443, False),
        ("192.0.2.7", 80, True),
        ("192.0.2.8", 80, False),
        ("[2001:DB8:0::1]", 80, True),
        ("2001:db8::1", 443, False),
        ("mixed.example.net", 443, True),
    ],
)
def test_names_and_ports(host: str, port: int, permitted: bool) -> None:
    plain = plain_host(host)
    assert plain is not None
    assert Rules.of(LISTED).permits(plain, port) is permitted


@pytest.mark.parametrize("host", ["", "a b", "a/b", "-é", "a..b", "[::g]", "a" * 64, "x." * 130, "a\n", "*"])
def test_what_is_no_host(host: str) -> None:
    assert plain_host(host) is None
    assert not Rules.of([host]).rules


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
        ),
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.0.192", "100.100.100.200", "168.63.129.16"),
        *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
    ],
)
def test_addresses_that_no_name_leads_to(address: str) -> None:
    assert not Rules.of(LISTED).reaches(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert Rules.of(LISTED).reaches(ipaddress.ip_address(address))


def test_an_operator_opens_internal_addresses() -> None:
    rules = Rules.of(LISTED, [ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/64")])
    reached = [rules.reaches(ipaddress.ip_address(text)) for text in ("10.1.2.3", "10.2.2.3", "fd00::5", "fd01::5")]
    assert reached == [True, False, True, False]


def test_a_tunnel() -> None:
    assert parse(b"CONNECT Example.COM:443 HTTP/1.1\r\nHost: other\r\n\r\n") == Request("example.com", 443)
    assert parse(b"CONNECT [::1]:80 HTTP/1.0\r\n\r\n").host == "::1"


def test_a_request_goes_on_with_the_name_that_was_judged_and_for_one_answer() -> None:
    request = parse(
        b"POST http://Example.com:8080/a/b?c=d HTTP/1.1\r\nHost: evil.test\r\nX: 1 \r\nConnection: keep-alive, X\r\n"
        b"Proxy-Authorization: secret\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n"
    )
    assert (request.host, request.port, request.length, request.tunnel) == ("example.com", 8080, 5, False)
    assert request.forward == (
        b"POST /a/b?c=d HTTP/1.1\r\nHost: Example.com:8080\r\nX: 1\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    )
    assert parse(b"PUT http://a HTTP/1.0\r\nTransfer-Encoding: Chunked\r\n\r\n").length == CHUNKED
    assert parse(b"GET http://a HTTP/1.0\r\n\r\n").forward == b"GET / HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1",
        b"GET https://a/ HTTP/1.1",
        b"GET ftp://a/ HTTP/1.1",
        b"GET http:///x HTTP/1.1",
        b"GET http://user:pw@a/ HTTP/1.1",
        b"GET http://a:99999/ HTTP/1.1",
        b"GET  http://a/ HTTP/1.1",
        b"GET http://a/ HTTP/2.0",
        b"GET http://a b/ HTTP/1.1",
        b"GET http://[::g]/ HTTP/1.1",
        b"CONNECT a HTTP/1.1",
        b"CONNECT a:0 HTTP/1.1",
        b"CONNECT a:65536 HTTP/1.1",
        b"CONNECT http://a:80 HTTP/1.1",
        b"CONNECT a@b:80 HTTP/1.1",
        b"GET http://a/ HTTP/1.1\r\nNo colon",
        b"GET http://a/ HTTP/1.1\r\nA: b\r\n folded",
        b"GET http://a/ HTTP/1.1\r\nA : b",
        b"GET http://a/ HTTP/1.1\r\nA: b\nInjected: c",
        b"GET http://a/ HTTP/1.1\r\nA: \x00",
        b"GET http://a/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
        b"GET http://a/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"GET http://a/ HTTP/1.1\r\nContent-Length: +1",
        b"GET http://a/ HTTP/1.1\r\nContent-Length: " + b"9" * 30,
        b"GET http://a/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
        b"",
    ],
)
def test_what_is_no_request_to_a_proxy(head: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(head + b"\r\n\r\n")


@given(st.binary(max_size=80), st.sampled_from([b"", b"CONNECT ", b"GET http://", b"GET http://a HTTP/1.1\r\n"]))
def test_no_bytes_are_anything_but_a_request_or_refused(data: bytes, start: bytes) -> None:
    try:
        request = parse(start + data + b"\r\n\r\n")
    except BadRequest:
        return
    assert plain_host(request.host) == request.host
    assert request.forward.count(b"\r\n\r\n") <= 1
