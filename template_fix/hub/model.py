"""A model by its name: a directory, or a repository on the Hub, whose tokenizer files are fetched into its cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError, folder_of, is_template_file, refuse_large
from template_fix.checkpoint.gguf import SUFFIX, is_gguf
from template_fix.disk.store import state
from template_fix.hub.client import looks_like_repo
from template_fix.hub.companions import Companions, sort_companions
from template_fix.hub.own_code import find_modules
from template_fix.hub.page import parse_page
from template_fix.hub.tokenizer_files import READ, belongs, is_read

if TYPE_CHECKING:
    from template_fix.hub.client import Remote


STDIN = "-"


@dataclass(frozen=True)
class Model:
    """A model's checkpoint, and the folder that its files lie in.

    ``remote`` is the repository and the commit that they come from, None of a directory, and of what the Hub's cache
    held while the user kept off the network. ``lent`` is the tokenizer that a template by itself was lent.
    """

    checkpoint: Checkpoint
    folder: Path
    remote: Remote | None = None
    lent: Checkpoint | None = None

    @property
    def tried(self) -> Checkpoint:
        """The checkpoint, and of a template by itself the tokenizer that it was lent."""
        if self.lent is None:
            return self.checkpoint
        whole = self.lent.with_templates(self.checkpoint.files)
        return replace(whole, name=self.checkpoint.name, store=self.checkpoint.store, revision=None)


def is_repo(name: str) -> bool:
    """Whether ``name`` is that of a repository, or of its page, and nothing on the disk is called so."""
    return looks_like_repo(parse_page(name)[0]) and not os.path.lexists(name)


def open_model(name: str, revision: str | None = None, tokens: str | None = None) -> Model:
    """Return the model of this name, or with its page at this address; ``-`` is a template that stdin holds.

    ``revision`` is a branch, tag or commit of a repository, and goes before the one in an address. ``tokens`` names the
    model that lends its tokenizer to a template by itself.

    Raises CheckpointError where it can't be read, and HubError where the Hub doesn't hand it out.
    """
    if tokens is not None:
        if name != STDIN and not is_template_file(Path(name)):
            raise CheckpointError(f"{name}: has a tokenizer of its own; only a template by itself is lent one")
        return replace(open_model(name, revision), lent=open_model(tokens).checkpoint)
    if not name:
        raise CheckpointError("the name of the model is empty; is a variable unset?")
    if name == STDIN and revision is None:
        return Model(Checkpoint.of_stream(name, "stdin.jinja", sys.stdin.buffer), Path())
    if not is_repo(name):
        if revision is not None:
            raise CheckpointError(f"{name}: is no repository on the Hub, so it has no revision {revision}")
        folder = folder_of(name)
        store = "" if is_gguf(folder) else _store(folder)
        return Model(replace(Checkpoint.read(name), store=store), folder)
    name, shown = parse_page(name)
    revision = revision or shown
    from template_fix.hub.client import look
    from template_fix.hub.errors import Absent, Offline, Unreachable

    try:
        return fetch_model(look(name, revision))
    except (Absent, Unreachable) as error:
        raise type(error)(f"{error} (nor is there a directory of that name)") from None
    except Offline:
        return _cached(name, revision)


def _store(folder: Path) -> str:
    with suppress(OSError):  # a store that can't be looked at is told of by whoever has to write there
        return state(folder)
    return ""


def fetch_model(remote: Remote) -> Model:
    """Return a repository's model. Raises as `open_model` does."""
    from template_fix.hub.client import fetch

    names = [name for name in remote.files if is_read(name)]
    if not names:
        gguf = sorted(name for name in remote.files if name.endswith(SUFFIX))
        advice = f"; download a file of it, such as {gguf[0]}, and name that" if gguf else ""
        raise CheckpointError(f"{remote.repo}: has no tokenizer files{advice}")
    for name in names:
        refuse_large(f"{remote.repo}/{name}", name, remote.files[name].size)
    folder = fetch(remote, names)
    others = frozenset(name for name in remote.files if name not in names and "/" not in name)
    checkpoint = replace(Checkpoint.read(folder, remote.repo), others=others, revision=remote.commit)
    return Model(checkpoint, folder, remote)


def _cached(name: str, revision: str | None) -> Model:
    from template_fix.hub.client import find_cached

    folder = find_cached(name, revision, READ)
    return Model(replace(Checkpoint.read(folder, name), revision=folder.name), folder)


def find_companions(model: Model) -> Companions:
    """Sort the files that weren't read into those that go along with a copy and those that don't.

    Of a repository only what is known to be a tokenizer's goes along, and is fetched. Raises as `open_model` does.
    """
    others = model.checkpoint.others
    if model.remote is None:
        return sort_companions(model.folder, others)
    copied = _needed(model)
    return Companions(copied, tuple(sorted(others - copied.keys())))


def tokenizer_files(model: Model) -> dict[str, bytes]:
    """Return all files of a model's tokenizer by their names, and no others. Raises as `open_model` does."""
    read = {name: text.encode() for name, text in model.checkpoint.files.items() if belongs(name)}
    return {**read, **_needed(model)}


def _needed(model: Model) -> dict[str, bytes]:
    """Return what a tokenizer needs of the files that weren't read."""
    vocabularies = sorted(filter(belongs, model.checkpoint.others))
    _fetch(model, vocabularies)
    code = find_modules(model.checkpoint, lambda name: _text(model, name))
    return sort_companions(model.folder, [*vocabularies, *code]).copied


def _text(model: Model, name: str) -> str:
    _fetch(model, [name])
    return sort_companions(model.folder, [name]).copied.get(name, b"").decode(errors="replace")


def _fetch(model: Model, names: Sequence[str]) -> None:
    if model.remote is not None and names:
        from template_fix.hub.client import fetch

        fetch(model.remote, names)
