"""The documentation is true: pages run, docstrings are complete, a penalty takes one file."""

import csv
import doctest
import importlib
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate
from problems import correlation_scale, regression_problem
from sklearn.datasets import load_iris

from skdropdual import AdaptiveDropoutRegressor, EffectivePenaltyRegressor, effective_penalty
from skdropdual.inspection import PenaltyDisplay
from skdropdual.penalties import list_penalties

ROOT = Path(__file__).parents[1]
PAGES = sorted(page for page in (ROOT / "doc").glob("**/*.rst") if ">>> " in page.read_text())
PAGES = [page for page in PAGES if page.parts[-2] not in ("generated", "auto_examples")]

# Public modules, and what they hold.
MODULES = ["skdropdual", "skdropdual.penalties", "skdropdual.masks", "skdropdual.inspection"]
MODULES += ["skdropdual.neural_network"]
PUBLIC = {
    f"{module}.{name}": getattr(importlib.import_module(module), name)
    for module in MODULES
    for name in importlib.import_module(module).__all__
}
CLASSES = {path: thing for path, thing in PUBLIC.items() if inspect.isclass(thing)}
ESTIMATORS = {path: cls for path, cls in CLASSES.items() if hasattr(cls, "fit")}
# What a net of a user's own module has after fit is mostly skorch's.
OURS = {path: cls for path, cls in ESTIMATORS.items() if "SparseNeuralNet" not in path}

# What numpydoc asks for and we leave: a See Also, an extended summary and an example for everything
# (SA01, ES01, EX01: required of classes below), a type beside "As in ..." (PR04), and types alone
# where what is returned has names (RT02).
LEFT = {"SA01", "ES01", "EX01", "PR04", "RT02"}


# Pages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_print_what_they_say(page, monkeypatch):
    monkeypatch.syspath_prepend(page.parent)
    found = doctest.testfile(
        str(page),
        module_relative=False,
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
        encoding="utf-8",
    )
    assert found.attempted > 0
    assert found.failed == 0


def test_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102
    assert len(blocks) >= 2
    assert isinstance(names["X"], np.ndarray)


def test_the_readme_is_short_and_keeps_its_commands():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 150
    (commands,) = re.findall(r"```sh\n(python -m pip install .*?)```", text, re.DOTALL)
    assert commands.splitlines() == [
        'python -m pip install ".[plots]" && python examples/plot_quickstart.py',
        'python -m pip install -e ".[test]" && python -m pytest',
    ]


def test_times_in_the_readme_are_measured():
    text = (ROOT / "README.md").read_text()
    table = re.search(r"## Speed(.*?)\n## ", text, re.DOTALL)[1]
    times = re.findall(r"([\d.]+) (ms|s)\b", table)
    cells = json.loads((ROOT / "benchmarks" / "results.json").read_text())["cells"]
    medians = [peer["median"] for cell in cells for peer in cell["peers"] if "median" in peer]
    for number, unit in times:
        seconds = float(number) * (1e-3 if unit == "ms" else 1)
        assert min(abs(median / seconds - 1) for median in medians) < 0.005
    assert len(times) >= 6


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_simulation_measures_what_its_table_says(tmp_path, monkeypatch):
    simulation = load(ROOT / "doc" / "simulations" / "which_penalty.py")
    truth = np.array([1.0, -1.0, 0.0, 0.0])
    measured = simulation.measure(np.array([0.5, 0.0, 0.3, 0.0]), truth, np.eye(4))
    assert measured["shrinkage"] == 0.5
    assert measured["found"] == 1 / simulation.TRUE
    assert measured["false"] == 0.5
    assert measured["error"] == pytest.approx((0.25 + 1 + 0.09) / 2)
    for name, value in {
        "HERE": tmp_path,
        "PENALTIES": {"l1": simulation.PENALTIES["l1"]},
        "CORRELATIONS": (0.5,),
        "RATIOS": (16.0,),
    }.items():
        monkeypatch.setattr(simulation, name, value)
    simulation.main(repeats=20)
    with (tmp_path / "which_penalty.csv").open(newline="") as file:
        (found,) = csv.DictReader(file)
    with (ROOT / "doc" / "simulations" / "which_penalty.csv").open(newline="") as file:
        (said,) = [
            row
            for row in csv.DictReader(file)
            if all(row[key] == found[key] for key in ("penalty", "correlation", "ratio"))
        ]
    for measure in simulation.MEASURES:
        assert float(found[measure]) == pytest.approx(float(said[measure]), abs=0.004)


def test_everything_public_is_in_the_reference():
    page = (ROOT / "doc" / "api" / "index.rst").read_text()
    listed, module = set(), ""
    for line in page.splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            listed.add(f"{module}.{line.strip()}")
    assert set(PUBLIC) - listed == set()


# Docstrings ---------------------------------------------------------------------------------------


def own_methods(path, cls):
    """Yield public methods that have a docstring of their own, written here."""
    for name, member in vars(cls).items():
        if not name.startswith("_") and callable(getattr(cls, name)) and member.__doc__:
            function = getattr(cls, name)
            if getattr(function, "__module__", "").startswith("skdropdual"):
                yield f"{path}.{name}"


def documented():
    for path, thing in PUBLIC.items():
        yield path
        if inspect.isclass(thing):
            yield from own_methods(path, thing)
            for base in thing.__mro__[1:]:
                if base.__module__.startswith("skdropdual") and not base.__name__.startswith("_"):
                    yield from (f"{base.__module__}.{p}" for p in own_methods(base.__name__, base))


@pytest.mark.parametrize("path", sorted(set(documented())))
def test_docstrings_are_valid(path):
    errors = [error for error in validate(path)["errors"] if error[0] not in LEFT]
    assert errors == []


@pytest.mark.parametrize("path", PUBLIC)
def test_classes_and_functions_have_examples(path):
    if path.endswith((".Penalty", ".Mask")):
        assert "Examples" not in PUBLIC[path].__doc__  # a template: there is nothing to run
    else:
        assert ">>>" in PUBLIC[path].__doc__


@pytest.mark.parametrize("path", CLASSES)
def test_every_method_is_documented(path):
    for name, member in inspect.getmembers(CLASSES[path]):
        ours = (getattr(member, "__module__", "") or "").startswith("skdropdual")
        if not name.startswith("_") and callable(member) and ours:
            assert inspect.getdoc(member), name


def section(cls, title):
    """Return the names that a section of a docstring documents."""
    entries = NumpyDocString(inspect.getdoc(cls))[title]
    return {name.strip(" *") for entry in entries for name in entry.name.split(",")}


@pytest.mark.parametrize("path", CLASSES)
def test_every_parameter_is_documented(path):
    cls = CLASSES[path]
    names = set(inspect.signature(cls).parameters)
    assert section(cls, "Parameters") == names


def fitted(cls):
    """Yield estimators of a class, fitted so that each of its attributes is there."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    if "neural_network" in cls.__module__:
        searched = cls.__name__.endswith("CV")
        net = (cls._kind if searched else cls)((4,), max_epochs=2)
        yield cls(net, {"alpha": [0.1]}, cv=2).fit(X, y) if searched else net.fit(X, y)
        return
    if cls.__name__ == "StabilitySelection":
        yield cls(EffectivePenaltyRegressor("l1", alpha=0.1), n_pairs=2).fit(X, y)
        return
    options = {"alphas": 3} if cls.__name__.endswith("CV") else {}
    yield cls(**options).fit(X, y)
    if options:
        yield cls(**options, selection="bic").fit(X, y)


@pytest.mark.parametrize("path", OURS)
def test_every_fitted_attribute_is_documented_and_there(path):
    cls = OURS[path]
    there = {name for model in fitted(cls) for name in dir(model) if hasattr(model, name)}
    there = {name for name in there if name.endswith("_") and not name.startswith("_")}
    assert section(cls, "Attributes") == there


@pytest.mark.parametrize("path", [path for path in CLASSES if "inspection" in path])
def test_artists_of_displays_are_documented(path):
    source = inspect.getsource(CLASSES[path])
    there = set(re.findall(r"self\.(\w+_)\b(?!\()", source))
    if "ax_" not in there:
        there |= {"ax_", "figure_"} if "axes_" not in there else set()
    assert section(CLASSES[path], "Attributes") == there


# A penalty in one file ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def Geman():  # noqa: N802
    return load(ROOT / "doc" / "tutorials" / "geman.py").Geman


def test_a_new_penalty_is_value_and_slope(Geman):
    assert {name for name in vars(Geman) if not name.startswith("_")} == {"value", "slope"}
    assert "geman" not in list_penalties()
    example = doctest.DocTestFinder().find(Geman, globs={"Geman": Geman})
    assert sum(doctest.DocTestRunner().run(test).attempted for test in example) > 0


def test_a_new_penalty_keeps_the_contract(tmp_path):
    source = (ROOT / "doc" / "tutorials" / "geman.py").read_text()
    (tmp_path / "geman.py").write_text(source)
    # What the two lines in penalties/__init__.py do.
    (tmp_path / "run.py").write_text(
        "import os, sys; os.environ['SCIPY_ARRAY_API'] = '1'\n"
        "import pytest, skdropdual.penalties as penalties\n"
        "from geman import Geman\n"
        "penalties.Geman = Geman; penalties.__all__.append('Geman')\n"
        "sys.exit(pytest.main([sys.argv[1], '-k', 'geman', '-q', '-p', 'no:cacheprovider']))\n"
    )
    contract = ROOT / "tests" / "test_penalty_contract.py"
    command = [sys.executable, str(tmp_path / "run.py"), str(contract)]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run(command, capture_output=True, text=True, env=paths)  # noqa: S603
    assert out.returncode == 0, out.stdout + out.stderr
    assert int(re.search(r"(\d+) passed", out.stdout)[1]) >= 30


def test_a_new_penalty_fits_from_both_sides(Geman):
    for seed in range(4):
        X, y, weight = regression_problem(seed, 80, 30)
        alpha = correlation_scale(X, y, weight, True) / 5
        models = [
            cls(Geman(epsilon=2.0), alpha).fit(X, y, weight)
            for cls in (EffectivePenaltyRegressor, AdaptiveDropoutRegressor)
        ]
        penalised, dropout = models
        assert 0 < np.count_nonzero(penalised.coef_) < 30
        np.testing.assert_allclose(dropout.coef_, penalised.coef_, rtol=1e-6, atol=1e-9)
        assert max(model.stationarity_ for model in models) <= 1e-6
    grid = penalised.set_params(penalty__epsilon=0.5).fit(X, y)
    assert grid.penalty.epsilon == 0.5


def test_a_new_penalty_is_drawn(Geman):
    w = np.linspace(0, 2, 21)
    display = PenaltyDisplay.from_penalty(Geman(epsilon=2.0), 0.7, w=w)
    (value,), (slope,), _, (keep,) = display.lines_.values()
    np.testing.assert_allclose(value.get_ydata(), 0.7 * w / (w + 2), rtol=1e-14)
    np.testing.assert_allclose(slope.get_ydata(), 1.4 / (w + 2) ** 2, rtol=1e-14)
    np.testing.assert_allclose(keep.get_ydata()[1:], (w / (w + 1.4 / (w + 2) ** 2))[1:], rtol=1e-12)


def test_the_rule_of_a_new_penalty_leads_back_to_it(Geman):
    penalty = Geman(epsilon=2.0)
    back = effective_penalty(lambda w: penalty.keep_prob(w, 0.7))
    w = np.linspace(0, 5, 30)
    np.testing.assert_allclose(back.value(w), penalty.value(w, 0.7), atol=1e-8)
