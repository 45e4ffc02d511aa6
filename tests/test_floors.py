"""The house: a module imports only from the floors below its own, and heavy packages only where they are used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "template_fix"

FLOORS = """
message
text finding lock options version align lines demo_model sandbox
outcome markdown jsontext literal jinja children excerpt signature
limits document
hub conversation
match fold render links portable sniffed
copies tags outputs
records probes
checkpoint rows
store
journal
endings beside belongings own_code loaders contract trace subject losses spelling
batch_check
batches
json_rows
data
survey labels watch
engines programs models vocabulary loadable proposers coverage judge mask
leak unflag candidates origin cutting
placement
search capture roles tagging
reaching
tokens proof
marking unmarking
generation
study
rules
token_repair resolved marker_repair serving
healing
repair
writing report show
account data_check report_data progress parsing
preflighting offer card
plan callback
sending
api
run pages
report_json sarif
report_push
tell
demo
cli_options
cli
__init__ __main__
"""
FLOOR = {name: number for number, line in enumerate(FLOORS.strip().splitlines()) for name in line.split()}

# Where a package may be imported at all; the others only inside functions, and these nowhere else.
CONFINED = {
    "huggingface_hub": {"hub"},
    "transformers": {"callback"},
    "datasets": {"data"},
    "pyarrow": {"data"},
    "trl": {"parsing"},
}
DEFERRED = {"huggingface_hub", "transformers", "tokenizers", "rich", "datasets", "pyarrow", "torch", "trl"}
# A subclass needs its base when it is defined; the module is only imported where it is asked for.
SUBCLASSES = {"callback": {"transformers"}}

FILES = sorted(PACKAGE.rglob("*.py"))
names = pytest.mark.parametrize("path", FILES, ids=[path.relative_to(PACKAGE).as_posix() for path in FILES])


def module(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def floor(name: str) -> int:
    """The floor of a module; those of a package all stand where the package does."""
    top = name.partition(".")[0]
    assert top in FLOOR, f"put template_fix/{top}.py on a floor in FLOORS"
    return FLOOR[top]


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in the tree; ``from package import module`` names the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide the floor"
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


def at_import(tree: ast.AST) -> Iterator[str]:
    """What is imported when the module is, and not later, inside a function, or only for a type checker."""
    for node in ast.iter_child_nodes(tree):
        typing = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from imported(node)
        elif not typing and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from at_import(node)


@names
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    name = module(path)
    used = {other for each in imported(ast.parse(path.read_text(encoding="utf-8"))) if (other := own(each))}
    others = {other for other in used if other.partition(".")[0] != name.partition(".")[0]}
    too_high = {other: floor(other) for other in others if floor(other) >= floor(name)}
    assert not too_high, f"{name} is on floor {floor(name)}"


@names
def test_heavy_packages_are_imported_where_they_belong_and_only_when_needed(path: Path) -> None:
    name, tree = module(path), ast.parse(path.read_text(encoding="utf-8"))
    packages = {each.partition(".")[0] for each in imported(tree)}
    assert not {package for package, homes in CONFINED.items() if package in packages and name not in homes}
    assert not {each.partition(".")[0] for each in at_import(tree)} & (DEFERRED - SUBCLASSES.get(name, set()))


def test_every_module_on_the_floors_exists() -> None:
    known = {module(path) for path in FILES}
    assert not set(FLOOR) - known
