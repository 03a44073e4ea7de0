"""The plan of the house: which module may import which, found by reading the imports."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "skdropdual"

# Each room with those it stands on; within the package there are no other imports.
FLOOR = {"_sklearn", "_array", "_estimator", "exceptions"}
ROOMS = {
    "_sklearn": set(),
    "_array": set(),
    "_estimator": set(),
    "_sparse_net": set(),
    "exceptions": {"_sklearn"},
    "masks": FLOOR,
    "penalties": FLOOR | {"masks"},
    "duality": FLOOR | {"penalties"},
    "solvers": FLOOR | {"penalties", "masks", "duality"},
    "linear_model": FLOOR | {"penalties", "masks", "duality", "solvers"},
    "feature_selection": FLOOR,
    "neural_network": FLOOR | {"penalties", "masks", "duality", "_sparse_net", "__init__"},
    "inspection": FLOOR | {"duality", "linear_model", "solvers"},
    "__init__": {"duality", "feature_selection", "linear_model"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path):
    """Yield the absolute names of the modules that a file imports, lazily or not."""
    package = ("skdropdual", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package[: len(package) - node.level + 1] if node.level else ()
            parts += tuple(filter(None, [node.module]))
            # "from .. import masks" imports a room, "from .. import __version__" the package.
            yield from (".".join((*parts, alias.name)) for alias in node.names)


def room_of(name):
    """Return the room of a module of the package, None for other packages."""
    package, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    return None if package != "skdropdual" else room if room in ROOMS else "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    used = {room_of(name) for name in imported(path)} - {None, room}
    assert used <= ROOMS[room]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_one_file_imports_private_scikit_learn(path):
    private = {n for n in imported(path) if n.startswith("sklearn.") and "._" in n}
    assert path.name == "_sklearn.py" or private == set()
