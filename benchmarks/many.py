"""Eight nets trained as one beside eight fits, on a CPU; or 1, 8 and 64 as one, on a GPU.

    python benchmarks/many.py [--device cuda] [--compile] [--tf32]

Random data: 784-300-100-10 with batches of 128, and 64-64-10 with batches of 32. Each line has the
seconds of an epoch of all nets, the least of a few, and on a CPU how often they fit into the time
of separate fits.
"""

import argparse

import numpy as np
import torch
from sklearn.base import clone

from skdropdual.neural_network import SparseMLPClassifier
from skdropdual.neural_network._many import fit_many

PROBLEMS = {"784-300-100-10": (12_800, 784, (300, 100), 128), "64-64-10": (1600, 64, (64,), 32)}
METHODS = ("none", "adaprox", "vardrop-lr-ar")


def nets(n, method, hidden, batch, options):
    """Return unfitted nets with strengths of their own."""
    return [
        SparseMLPClassifier(
            hidden,
            method=method,
            alpha=10 ** (-4 - k / n),
            batch_size=batch,
            max_epochs=options.epochs,
            warmup=(0, 0),
            random_state=k,
            device=options.device,
            compile=options.compile,
        )
        for k in range(n)
    ]


def least(model):
    """Return the seconds of its fastest epoch."""
    return min(row["dur"] for row in model.history_)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="fuse the steps on a GPU")
    parser.add_argument("--tf32", action="store_true", help="TensorFloat-32 on a GPU")
    parser.add_argument("--rows", type=int, help="instead of those of each problem")
    parser.add_argument("--counts", nargs="*", type=int, help="of nets (default: 8; 1, 8, 64)")
    parser.add_argument("--problems", nargs="*", choices=PROBLEMS, default=PROBLEMS)
    options = parser.parse_args()
    if options.tf32:
        torch.set_float32_matmul_precision("high")
    rng = np.random.default_rng(0)
    counts = (8,) if options.device == "cpu" else (1, 8, 64)
    for name in options.problems:
        n_rows, n_columns, hidden, batch = PROBLEMS[name]
        n_rows = options.rows or n_rows
        X = rng.standard_normal((n_rows, n_columns), dtype=np.float32)
        data = (X, rng.integers(0, 10, n_rows), None)
        for method in METHODS:
            for count in options.counts or counts:
                models = nets(count, method, hidden, batch, options)
                line = f"{name:16}{method:16}{count:4} nets"
                if options.device == "cpu":
                    alone = sum(least(clone(model).fit(*data[:2])) for model in models)
                fit_many(models, [data] * count, max_nets=count)
                line += f"{least(models[0]):9.3f} s"
                if options.device == "cpu":
                    line += f"{alone:9.3f} s alone: {alone / least(models[0]):.2f} times"
                print(line, flush=True)


if __name__ == "__main__":
    main()
