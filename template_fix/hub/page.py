"""Parses the address of a model's page, as it is copied from a browser."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit

_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
# The first part of the path of pages that aren't a model's.
_OTHERS = frozenset({"datasets", "spaces", "collections", "docs", "papers", "blog", "api", "models"})
_REVISION = re.compile(r"(?:tree|blob|resolve|commit)/(refs/(?:pr|convert)/[^/]+|[^/]+)")


def parse_page(name: str) -> tuple[str, str | None]:
    """Return the repository in the address of a page and its revision or None; any other name is returned unchanged.

    The hosts are the Hub's own and the one in HF_ENDPOINT.
    """
    try:
        url = urlsplit(name if "://" in name else f"https://{name}")
    except ValueError:
        return name, None
    user, _, rest = unquote(url.path).strip("/").partition("/")
    model, _, rest = rest.partition("/")
    hosts = {*_HOSTS, urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc.lower() or "hf.co"}
    if url.netloc.lower() not in hosts or user in _OTHERS or not model:
        return name, None
    revision = _REVISION.match(rest)
    return f"{user}/{model}", revision[1] if revision else None
