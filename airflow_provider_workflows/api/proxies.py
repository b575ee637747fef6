"""Which proxy the environment names for a host, and which hosts it names to be reached without one."""

from __future__ import annotations

import base64
import ipaddress
import urllib.request
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

from airflow_provider_workflows.api.errors import InvalidInput


def proxy_for(url: str) -> str | None:
    """Return the proxy that the usual environment variables name for ``url``, if any.

    Where they name nothing, macOS and Windows are asked for their settings.

    :raises InvalidInput: if it is not the URL of an HTTP proxy
    """
    parts = urlsplit(url)
    host, named = parts.hostname or "", urllib.request.getproxies_environment()
    proxy = _first(named, parts.scheme)
    if proxy is not None:
        if is_without_proxy(host, parts.port or _PORTS.get(parts.scheme), named.get("no", "")):
            return None
    else:
        proxy = _first(urllib.request.getproxies(), parts.scheme)
        if proxy is None or urllib.request.proxy_bypass(host):
            return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        address = urlsplit(proxy)
        usable = bool(address.hostname) and address.port != 0 and not any(map(str.isspace, proxy))
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput("the environment names a proxy for this host that is not a URL")
    if address.scheme not in ("http", "https"):
        raise InvalidInput(
            f"the environment names a {address.scheme} proxy for this host, and only http and https proxies are "
            "supported; name the host in NO_PROXY to do without it"
        )
    return proxy


def proxy_and_headers(proxy: str | None) -> tuple[str | None, dict[str, str] | None]:
    """Return the proxy without its user, and the header that names the user (RFC 7617)."""
    if proxy is None:
        return None, None
    parts = urlsplit(proxy)
    user, at, address = parts.netloc.rpartition("@")
    if not at:
        return proxy, None
    name, _, password = user.partition(":")
    credentials = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    return urlunsplit(parts._replace(netloc=address)), {"Proxy-Authorization": f"Basic {credentials}"}


_PORTS = {"http": 80, "https": 443}


def _first(proxies: Mapping[str, str], scheme: str) -> str | None:
    return proxies.get(scheme) or proxies.get("all") or None


def is_without_proxy(host: str, port: int | None, no_proxy: str) -> bool:
    """Return whether ``NO_PROXY`` names a host.

    Its entries are separated by commas or white space: ``*``; a name, which stands for all names below it as well
    (also as ``.example.org`` and ``*.example.org``); an IP address or a network (``10.0.0.0/8``, ``fd00::/8``). A
    port may follow. Names in any case, with or without the dot at the end, and addresses in any spelling, are the
    same.

    :param host: the host's name or IP address, without brackets
    :param port: its port
    :param no_proxy: the value of ``NO_PROXY``
    """
    name, address = _name(host), _address(host)
    for entry in no_proxy.replace(",", " ").split():
        if entry == "*":
            return True
        named, named_port = _host_and_port(entry)
        if named_port is not None and named_port != port:
            continue
        if address is not None:
            if _holds(named, address):
                return True
        elif (suffix := _name(named.removeprefix("*").removeprefix("."))) and (
            name == suffix or name.endswith(f".{suffix}")
        ):
            return True
    return False


def _name(text: str) -> str:
    return text.lower().removesuffix(".")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    # ::ffff:10.0.0.1 is 10.0.0.1.
    return getattr(address, "ipv4_mapped", None) or address


def _host_and_port(entry: str) -> tuple[str, int | None]:
    """Return an entry without its port, and the port; an IPv6 address has one only behind brackets."""
    host, colon, port = entry.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (host.endswith("]") or ":" not in host):
        return host.strip("[]"), int(port)
    return entry, None


def _holds(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if _address(entry) == address:
        return True
    base, slash, length = entry.partition("/")
    try:
        return bool(slash) and address in ipaddress.ip_network(
            f"{base.strip('[]')}/{length.strip(']')}", strict=False
        )
    except ValueError:
        return False
