"""Which hosts ``NO_PROXY`` names, however they are spelled."""

from __future__ import annotations

import base64

import pytest

from airflow_provider_workflows.api.proxies import is_without_proxy, proxy_and_headers, proxy_for


@pytest.mark.parametrize(
    ("host", "no_proxy"),
    [
        ("api.example.org", "api.example.org"),
        ("api.example.org", "API.Example.ORG"),
        ("API.example.org", "api.example.org"),
        ("api.example.org", "example.org"),
        ("api.example.org", ".example.org"),
        ("api.example.org", "*.example.org"),
        ("example.org", "*.example.org"),
        ("api.example.org", "example.org."),
        ("api.example.org.", "example.org"),
        ("api.example.org.", "*.example.org."),
        ("api.example.org", "other.org,example.org"),
        ("api.example.org", " other.org , example.org "),
        ("api.example.org", "other.org example.org"),
        ("api.example.org", "example.org:443"),
        ("api.example.org", "*"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3", "10.0.0.0/8"),
        ("10.1.2.3", "10.9.9.9/8"),
        ("10.1.2.3", "10.1.2.3:443"),
        ("10.1.2.3", "::ffff:10.1.2.3"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("fd00::1", "fd00::1"),
        ("fd00::1", "FD00:0:0:0:0:0:0:1"),
        ("fd00::1", "fd00:0000::0001"),
        ("fd00::1", "[fd00::1]"),
        ("fd00::1", "[fd00::1]:443"),
        ("fd00::1", "fd00::/8"),
        ("fd00::1", "fd00::1/8"),
        ("fd00::1", "[fd00::]/8"),
        ("fe80::1%eth0", "fe80::/10"),
        ("::1", "0:0:0:0:0:0:0:1"),
    ],
)
def test_a_host_that_is_named_is_reached_without_the_proxy(host: str, no_proxy: str) -> None:
    assert is_without_proxy(host, 443, no_proxy)


@pytest.mark.parametrize(
    ("host", "no_proxy"),
    [
        ("api.example.org", ""),
        ("api.example.org", "other.org"),
        ("notexample.org", "example.org"),
        ("example.org", "api.example.org"),
        ("example.org.evil.net", "example.org"),
        ("api.example.org", "example.org:8443"),
        ("api.example.org", "."),
        ("api.example.org", "*."),
        ("api.example.org", "10.0.0.0/8"),
        ("11.1.2.3", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3:8443"),
        ("10.1.2.3", "2.3"),
        ("10.1.2.3", "10.0.0.0/99"),
        ("fd00::1", "fd00::2"),
        ("fd00::1", "[fd00::1]:8443"),
        ("fe00::1", "fd00::/8"),
        ("fd00::1", "fd00::/999"),
        ("10.1.2.3", "fd00::/8"),
    ],
)
def test_a_host_that_is_not_named_is_reached_through_the_proxy(host: str, no_proxy: str) -> None:
    assert not is_without_proxy(host, 443, no_proxy)


@pytest.mark.parametrize(
    ("url", "no_proxy", "proxy"),
    [
        ("https://api.example.org", "", "http://proxy:3128"),
        ("https://api.example.org", "*.example.org", None),
        ("https://[fd00::1]:8443", "[fd00:0::1]:8443", None),
        ("https://[fd00::1]:8443", "[fd00:0::1]:443", "http://proxy:3128"),
        ("https://10.0.0.1", "10.0.0.0/8", None),
        ("http://api.example.org", "", "http://other:3128"),
    ],
)
def test_the_environment_is_read(
    monkeypatch: pytest.MonkeyPatch, url: str, no_proxy: str, proxy: str | None
) -> None:
    monkeypatch.setenv("https_proxy", "proxy:3128")
    monkeypatch.setenv("all_proxy", "http://other:3128")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", no_proxy)

    assert proxy_for(url) == proxy


@pytest.mark.parametrize(
    ("user", "credentials"),
    [
        ("ada:lovelace", "ada:lovelace"),
        ("ada:%3A%40%C5%82", "ada::@ł"),
        ("a%C5%82", "ał:"),
        ("ada:ł", "ada:ł"),
    ],
)
def test_the_user_of_a_proxy_may_have_any_name(user: str, credentials: str) -> None:
    encoded = base64.b64encode(credentials.encode()).decode()

    assert proxy_and_headers(f"http://{user}@proxy:3128") == (
        "http://proxy:3128",
        {"Proxy-Authorization": f"Basic {encoded}"},
    )
