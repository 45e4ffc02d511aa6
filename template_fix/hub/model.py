"""Opens a model by name: a directory, or a repository on the Hub, whose tokenizer files are fetched into the cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError, folder_of, is_template_file, refuse_large
from template_fix.checkpoint.gguf import SUFFIX, is_gguf
from template_fix.disk.store import find_state
from template_fix.hub.tokenizer_files import READ, is_read, is_tokenizer_file

if TYPE_CHECKING:
    from template_fix.hub.client import Remote
    from template_fix.hub.companions import Companions


STDIN = "-"


class Model(NamedTuple):
    """A model's checkpoint, and the folder with its files.

    ``remote`` is the repository and commit from which they were fetched; it is None for a directory, and for files that
    were read from the Hub's cache offline. ``lent`` is another model's tokenizer for a template without one (--tokens).
    """

    checkpoint: Checkpoint
    folder: Path
    remote: Remote | None = None
    lent: Checkpoint | None = None

    @property
    def tried(self) -> Checkpoint:
        """The checkpoint; for a template without a tokenizer, together with the lent one."""
        if self.lent is None:
            return self.checkpoint
        whole = self.lent.with_templates(self.checkpoint.files)
        return replace(whole, name=self.checkpoint.name, store=self.checkpoint.store, revision=None)


def is_repo(name: str) -> bool:
    """Whether ``name`` is a repository's name or page, and no file or directory has this name."""
    if os.path.lexists(name):
        return False
    from template_fix.hub.client import looks_like_repo
    from template_fix.hub.page import parse_page

    return looks_like_repo(parse_page(name)[0])


def open_model(name: str, revision: str | None = None, tokens: str | None = None, *, whole: bool = True) -> Model:
    """Return the model with this name: a path, a repository, the address of its page, or ``-`` for stdin.

    ``revision`` is a branch, tag or commit of a repository, and overrides the one in an address. ``tokens`` names a
    model whose tokenizer is lent to a template without one. For ``whole``, see `Checkpoint.read`.

    Raises CheckpointError if it can't be read, and HubError if it can't be fetched.
    """
    if tokens is not None:
        if name != STDIN and not is_template_file(Path(name)):
            raise CheckpointError(f"{name}: has a tokenizer of its own; --tokens is for a template in its own file")
        return open_model(name, revision)._replace(lent=open_model(tokens).checkpoint)
    if not name:
        raise CheckpointError("the name of the model is empty; is a variable unset?")
    if name == STDIN and revision is None:
        return Model(Checkpoint.of_stream(name, "stdin.jinja", sys.stdin.buffer), Path())
    if not is_repo(name):
        if revision is not None:
            raise CheckpointError(
                f"{name}: is no repository on the Hub, so it has no revision {revision}; omit --revision"
            )
        folder = folder_of(name)
        store = "" if is_gguf(folder) else _store_state(folder)
        return Model(replace(Checkpoint.read(name, whole=whole), store=store), folder)
    from template_fix.hub.client import fetch_info
    from template_fix.hub.errors import Absent, Offline, Unreachable
    from template_fix.hub.page import parse_page

    name, shown = parse_page(name)
    revision = revision or shown

    try:
        return fetch_model(fetch_info(name, revision))
    except (Absent, Unreachable) as error:
        raise type(error)(f"{error} (nor is there a directory of that name)") from None
    except Offline:
        return _open_cached(name, revision)


def _store_state(folder: Path) -> str:
    with suppress(OSError):  # a store that can't be read is reported once files are written there
        return find_state(folder)
    return ""


def fetch_model(remote: Remote) -> Model:
    """Fetch a repository's tokenizer files and return the model. Raises as `open_model` does."""
    from template_fix.hub.client import fetch_files

    names = [name for name in remote.files if is_read(name)]
    if not names:
        gguf = sorted(name for name in remote.files if name.endswith(SUFFIX))
        advice = f"; download a file of it, such as {gguf[0]}, and name that" if gguf else ""
        raise CheckpointError(f"{remote.repo}: has no tokenizer files{advice}")
    for name in names:
        refuse_large(f"{remote.repo}/{name}", name, remote.files[name].size)
    folder = fetch_files(remote, names)
    others = frozenset(name for name in remote.files if name not in names and "/" not in name)
    checkpoint = replace(Checkpoint.read(folder, remote.repo), others=others, revision=remote.commit)
    return Model(checkpoint, folder, remote)


def _open_cached(name: str, revision: str | None) -> Model:
    from template_fix.hub.client import find_cached

    folder = find_cached(name, revision, READ)
    return Model(replace(Checkpoint.read(folder, name), revision=folder.name), folder)


def find_companions(model: Model) -> Companions:
    """Return which of the files that weren't read are copied with the tokenizer, and which are left out.

    Of a repository, only known files of a tokenizer are fetched and copied. Raises as `open_model` does.
    """
    from template_fix.hub.companions import Companions, sort_companions

    others = model.checkpoint.others
    if model.remote is None:
        return sort_companions(model.folder, others)
    copied = _read_unread_files(model)
    return Companions(copied, tuple(sorted(others - copied.keys())))


def read_tokenizer_files(model: Model) -> dict[str, bytes]:
    """Return exactly the files of a model's tokenizer, by name. Raises as `open_model` does."""
    read = {name: text.encode() for name, text in model.checkpoint.files.items() if is_tokenizer_file(name)}
    return {**read, **_read_unread_files(model)}


def _read_unread_files(model: Model) -> dict[str, bytes]:
    """Return the files that the tokenizer needs and that weren't read: vocabularies and Python modules."""
    from template_fix.hub.companions import sort_companions
    from template_fix.hub.own_code import find_modules

    vocabularies = sorted(filter(is_tokenizer_file, model.checkpoint.others))
    _fetch_files(model, vocabularies)
    code = find_modules(model.checkpoint, lambda name: _read_text(model, name))
    return sort_companions(model.folder, [*vocabularies, *code]).copied


def _read_text(model: Model, name: str) -> str:
    from template_fix.hub.companions import sort_companions

    _fetch_files(model, [name])
    return sort_companions(model.folder, [name]).copied.get(name, b"").decode(errors="replace")


def _fetch_files(model: Model, names: Sequence[str]) -> None:
    if model.remote is not None and names:
        from template_fix.hub.client import fetch_files

        fetch_files(model.remote, names)
