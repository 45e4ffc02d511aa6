"""The house: a module imports only from folders in front of its own, and heavy packages only where they are used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from configparser import ConfigParser
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "template_fix"
# In the order in which they may be imported; what lies in none of them is for all: values, or the doors of the house.
FOLDERS = (
    *("text", "bounds", "jinja", "conversations", "checkpoint", "disk", "contract", "trace", "tokens", "repair"),
    *("markers", "rules", "engine", "hub", "data", "report", "training", "share", "cli"),
)
DOORS = {"__init__", "__main__", "api"}
MOST_MODULES, MOST_LINES = 12, 350
# Where a package may be imported at all; the others only inside functions, and these nowhere else.
CONFINED = {
    "huggingface_hub": {"hub.client", "hub.session"},
    "transformers": {"tokens.installed", "training.callback"},
    "datasets": {"data.sources"},
    "pyarrow": {"data.sources"},
    "trl": {"training.answer_parsing"},
    "yaml": {"data.runs.config"},
}
DEFERRED = {"huggingface_hub", "transformers", "tokenizers", "rich", "datasets", "pyarrow", "torch", "trl", "yaml"}
# A subclass needs its base when it is defined; the module is only imported where it is asked for.
SUBCLASSES = {"training.callback": {"transformers"}}

FILES = sorted(PACKAGE.rglob("*.py"))
names = pytest.mark.parametrize("path", FILES, ids=[path.relative_to(PACKAGE).as_posix() for path in FILES])


def module(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def folder(name: str) -> int:
    """The place of a module's folder in the order; a value is where `text` is, a door behind all."""
    top = name.partition(".")[0]
    if top in FOLDERS:
        return FOLDERS.index(top)
    assert PACKAGE.joinpath(f"{top}.py").is_file(), f"put template_fix/{top} into FOLDERS"
    return len(FOLDERS) if top in DOORS else 0


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in the tree; ``from package import module`` names the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide the folder"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(name: str) -> str | None:
    """The module of the package that an import names, without the name that is taken out of it."""
    package, _, rest = name.partition(".")
    if package != PACKAGE.name or not rest:
        return None
    found = PACKAGE.joinpath(*rest.split("."))
    if found.is_dir() or found.with_suffix(".py").is_file():
        return rest
    return rest.rpartition(".")[0] or "__init__"


def used(path: Path) -> set[str]:
    """The modules of the package that a module imports anywhere."""
    found = {other for each in imported(ast.parse(path.read_text(encoding="utf-8"))) if (other := own(each))}
    return found - {module(path)}


def at_import(tree: ast.AST) -> Iterator[str]:
    """What is imported when the module is, and not later, inside a function, or only for a type checker."""
    for node in ast.iter_child_nodes(tree):
        typing = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from imported(node)
        elif not typing and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from at_import(node)


@names
def test_a_module_imports_only_from_its_own_folder_and_those_in_front(path: Path) -> None:
    name = module(path)
    # The command line and the pre-flight in a script use the functions that users have.
    through_a_door = {other for other in used(path) if other in DOORS and folder(name) >= FOLDERS.index("training")}
    assert not {other for other in used(path) - through_a_door if folder(other) > folder(name)}


def test_no_modules_import_each_other() -> None:
    TopologicalSorter(
        {module(path): used(path) - {"__init__"} for path in FILES if module(path) != "__init__"}
    ).prepare()


@names
def test_heavy_packages_are_imported_where_they_belong_and_only_when_needed(path: Path) -> None:
    name, tree = module(path), ast.parse(path.read_text(encoding="utf-8"))
    packages = {each.partition(".")[0] for each in imported(tree)}
    assert not {package for package, homes in CONFINED.items() if package in packages and name not in homes}
    assert not {each.partition(".")[0] for each in at_import(tree)} & (DEFERRED - SUBCLASSES.get(name, set()))


@names
def test_a_module_is_short_enough_to_be_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


ROOMS = [path.parent for path in FILES if path.name == "__init__.py" and path.parent != PACKAGE]


@pytest.mark.parametrize("room", ROOMS, ids=[room.relative_to(PACKAGE).as_posix() for room in ROOMS])
def test_a_folder_says_what_it_is_for_and_is_small_enough_to_be_looked_over(room: Path) -> None:
    assert ast.get_docstring(ast.parse(room.joinpath("__init__.py").read_text(encoding="utf-8")))
    assert len([path for path in room.glob("*.py") if path.stem != "__init__"]) <= MOST_MODULES


def test_an_install_takes_every_folder_and_every_file_along() -> None:
    setup = ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg")
    folders = {str(path.parent.relative_to(PACKAGE.parent)).replace("/", ".") for path in FILES}
    assert set(setup["options"]["packages"].split()) - {"template_fix.patches"} == folders
    data = {name: given.split(", ") for name, given in setup["options.package_data"].items()}
    patterns = [(PACKAGE.parent.joinpath(*name.split(".")), each) for name, all_of in data.items() for each in all_of]
    taken = {path for folder, pattern in patterns for path in folder.glob(pattern)}
    others = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
    assert not set(others) - taken
