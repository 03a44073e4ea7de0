"""What is left of a net after compact(), and how large and how fast it is in other forms."""

import io
import pickle
import statistics
import time

import numpy as np
import torch

from skdropdual.neural_network import SparseMLPClassifier
from skdropdual.neural_network._mlp import build_mlp

REPEATS, SECONDS = 15, 0.02  # a time is the median of so many, of calls that take so long together
BATCHES = (1, 1024)


def run(folder, records, store):
    """Measure the first net of each density beside the dense one, on this machine's processor."""
    for target in sorted({record["target"] for record in records}):
        record = next(r for r in records if r["target"] == target)
        key = f"{record['file']} | {record['key']}"
        if not store.has(key):
            model = SparseMLPClassifier.load(folder / record["file"])
            shared = {"key": key, "target": target, "test_error": record["test_error"]}
            store.add(shared | {"forms": forms(model)})


def forms(model):
    """Return architecture, bytes and latencies of the dense net and of a fitted one."""
    small, sparse, alone = model.compact(scores=True), model.to_torch_csr(), model.to_scipy()
    sizes = architecture(model.module_)
    dense = build_mlp(sizes).eval()
    rows = {n: np.random.default_rng(0).standard_normal((n, sizes[0]), np.float32) for n in BATCHES}
    tensors = {n: torch.as_tensor(X) for n, X in rows.items()}
    return [
        form("dense, torch", sizes, len(saved(dense)), dense, tensors),
        form("compacted, torch", architecture(small), len(saved(small)), small, tensors),
        form("sparse, torch CSR", sizes, len(saved(sparse)), sparse, tensors),
        form("sparse, SciPy", sizes, len(pickle.dumps(alone)), alone.decision_function, rows),
    ]


def form(name, sizes, size, call, rows):
    """Return what is measured of one form."""
    times = {f"ms_batch_{n}": latency(call, X) for n, X in rows.items()}
    return {"form": name, "architecture": "-".join(map(str, sizes)), "bytes": size} | times


def linear(module):
    """Return the linear layers."""
    return [layer for layer in module if isinstance(layer, torch.nn.Linear)]


def architecture(module):
    """Return the number of inputs that are read, then of the units of each layer."""
    layers = linear(module)
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def saved(module):
    """Return the file of a module."""
    file = io.BytesIO()
    torch.save(module, file)
    return file.getvalue()


@torch.inference_mode()
def latency(call, X):
    """Return the median milliseconds of a call."""
    start, calls = time.perf_counter(), 0
    while calls < 3 or time.perf_counter() - start < SECONDS:
        call(X)
        calls += 1
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(calls):
            call(X)
        times.append((time.perf_counter() - start) / calls)
    return round(1e3 * statistics.median(times), 4)
