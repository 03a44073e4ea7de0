"""Seconds of one training epoch of 784-300-100-10: ours beside a plain torch loop and skorch.

    python benchmarks/nets.py --json benchmarks/nets.json

Random data of MNIST's shape (48,000 rows, batch 128), Adam, one process. Turn by turn, each method
trains `--repeats` epochs after one that warms it up; median and range are printed, and the ratio to
the plain loop. The plain loop is what a torch user writes: indexing, cross entropy, backward, step.
The file keeps a run for each device: a new one replaces that of its device. The documentation makes
its page on speed from it.
"""

import argparse
import json
import statistics
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from about import about
from skorch import NeuralNetClassifier

from skdropdual.neural_network import SparseMLPClassifier, list_methods

SIZES, BATCH, CLASSES = (784, 300, 100), 128, 10
PLAIN = "plain loop"


def plain_loop(X, y, device, fused):
    """Yield after each epoch of a hand-written loop."""
    torch.manual_seed(0)
    layers = []
    for a, b in pairwise(SIZES):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(SIZES[-1], CLASSES)).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)
    loss_of = torch.nn.CrossEntropyLoss()
    X, y = torch.tensor(X, device=device), torch.tensor(y, device=device)
    while True:
        for index in torch.randperm(len(X), device=device).split(BATCH):
            optimizer.zero_grad()
            loss_of(net(X[index]), y[index]).backward()
            optimizer.step()
        yield


def raw_skorch(X, y, device):
    """Yield after each epoch of skorch."""
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        torch.nn.Sequential(
            torch.nn.Linear(784, 300),
            torch.nn.ReLU(),
            torch.nn.Linear(300, 100),
            torch.nn.ReLU(),
            torch.nn.Linear(100, CLASSES),
        ),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=BATCH,
        max_epochs=1,
        train_split=None,
        verbose=0,
        iterator_train__shuffle=True,
        device=device,
    ).initialize()
    while True:
        net.partial_fit(X, y)
        yield


def ours(X, y, device, method):
    """Yield the seconds of each of the first of a hundred epochs, as the history has them."""
    model = SparseMLPClassifier(
        SIZES[1:],
        method=method,
        batch_size=BATCH,
        max_epochs=100,
        pruning_span=(0.0, 0.7),
        random_state=0,
        device=device,
    )
    while True:
        model.partial_fit(X, y)
        yield model.history_[-1]["dur"]


def seconds(epochs, device):
    """Return the seconds of the next epoch."""
    start = time.perf_counter()
    known = next(epochs)
    if device == "cuda":
        torch.cuda.synchronize()
    return known or time.perf_counter() - start


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="*", default=list_methods())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=48_000)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((options.rows, 784), dtype=np.float32)
    y = rng.integers(0, CLASSES, options.rows)
    runs = {
        PLAIN: plain_loop(X, y, options.device, None),
        "plain loop, fused Adam": plain_loop(X, y, options.device, True),
        "skorch": raw_skorch(X, y, options.device),
        **{method: ours(X, y, options.device, method) for method in options.methods},
    }
    times = {name: [] for name in runs}
    for i in range(options.repeats + 1):
        for name, epochs in runs.items():
            taken = seconds(epochs, options.device)
            if i:
                times[name].append(taken)
    plain = statistics.median(times[PLAIN])
    print(f"{'':24}{'median':>8}{'least':>8}{'most':>8}{'ratio':>8}")
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:24}{median:8.3f}{min(taken):8.3f}{max(taken):8.3f}{median / plain:8.2f}")
    if options.json:
        write(options, times)


def write(options, times):
    """Put the times of a device beside those of others."""
    cuda = options.device.startswith("cuda")
    said = about(
        ["torch", "skorch"],
        threads=torch.get_num_threads(),
        repeats=options.repeats,
        machine=torch.cuda.get_device_name(options.device) if cuda else None,
    )
    runs = json.loads(options.json.read_text()) if options.json.exists() else {}
    runs[options.device] = {"about": said, "rows": options.rows, "seconds": times}
    options.json.write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
