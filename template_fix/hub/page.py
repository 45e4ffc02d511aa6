"""The address of a model's page, as it is copied from a browser, in place of the model's name."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit

_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
# What a page that isn't a model's begins with.
_OTHERS = frozenset({"datasets", "spaces", "collections", "docs", "papers", "blog", "api", "models"})
_REVISION = re.compile(r"(?:tree|blob|resolve|commit)/(refs/(?:pr|convert)/[^/]+|[^/]+)")


def parse_page(name: str) -> tuple[str, str | None]:
    """Return the repository of the page at this address, and the revision in it or None; any other name as it is.

    Pages are known by the Hub's own hosts, and by that in HF_ENDPOINT.
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
