"""Test accuracy and density of each method on scikit-learn's digits, hidden layer (64,).

    python benchmarks/routes.py

Every method with its defaults, and with `target_density` 0.15 and ten healing epochs. Mean over the
seeds; the first row is the dense net. The test rows (30 %) are seen once, after the fits.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdropdual.neural_network import SparseMLPClassifier, list_methods
from skdropdual.neural_network._many import fit_many


def mean_of(method, data, seeds, **options):
    """Return mean accuracy and density over the seeds."""
    train, test, y_train, y_test = data
    models = [
        SparseMLPClassifier((64,), method=method, random_state=seed, **options)
        for seed in range(seeds)
    ]
    fit_many(models, [(train, y_train, None)] * seeds)
    return np.mean([(model.score(test, y_test), model.density_) for model in models], axis=0)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="*", default=list_methods())
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--target-density", type=float, default=0.15)
    options = parser.parse_args()
    X, y = load_digits(return_X_y=True)
    data = train_test_split(X / 16, y, test_size=0.3, random_state=0, stratify=y)
    print(f"{'':15}{'accuracy':>10}{'density':>9}{'accuracy':>10}{'density':>9}")
    for method in ["none", *(m for m in options.methods if m != "none")]:
        cells = mean_of(method, data, options.seeds)
        if method not in ("none", "standout"):
            healed = {"target_density": options.target_density, "healing_epochs": 10}
            cells = [*cells, *mean_of(method, data, options.seeds, **healed)]
        row = "".join(f"{c:{10 - i % 2}.3f}" for i, c in enumerate(cells))
        print(f"{method:15}{row}", flush=True)


if __name__ == "__main__":
    main()
