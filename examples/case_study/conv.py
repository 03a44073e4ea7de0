"""LeNet-5 (20 and 50 channels, 500 units; 430,500 weights) as a module of one's own, in skorch."""

import itertools
import time

import torch
from skorch.callbacks import Callback
from torch import nn
from training import LOG, ErrorsOn, summary

from skdropdual.neural_network import SparseNeuralNetClassifier
from skdropdual.neural_network._schedules import LR_SCHEDULES

EPOCHS = 60
DENSITIES = (0.0036, 0.01, 0.02)
# The recipe, which does not heal, and the baselines, with the strength times the number of rows.
RECIPE = "vardrop-lr"
METHODS = {RECIPE: 0.5, "vardrop-lr-ar": 1.0, "prune": 1.0, "hardconcrete": 2.5, "none": 1.0}


class LeNet5(nn.Sequential):
    """Two convolutions and two linear layers, for rows of 784 pixels."""

    def __init__(self):
        super().__init__(
            nn.Unflatten(1, (1, 28, 28)),
            *(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)),
        )
        self.to(memory_format=torch.channels_last)  # a step takes 28 % longer without, on a CPU


def shifted(rows, most):
    """Return images, each moved by up to so many pixels down and to the right, or back."""
    side = torch.arange(28, device=rows.device)
    room = nn.functional.pad(rows.view(-1, 28, 28), (most,) * 4, value=float(rows.min()))
    down, right = torch.randint(2 * most + 1, (2, len(rows), 1), device=rows.device)
    image = torch.arange(len(rows), device=rows.device)[:, None, None]
    return room[image, (down + side)[:, :, None], (right + side)[:, None, :]].flatten(1)


class Batches:
    """An iterator for skorch that takes rows by index from tensors, where they are."""

    def __init__(self, dataset, batch_size, shuffle=False, shift=0):
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.shift = shift

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self):
        X, y = self.dataset.X, self.dataset.y
        order = torch.randperm if self.shuffle else torch.arange
        for index in order(len(X), device=X.device).split(self.batch_size):
            rows = shifted(X[index], self.shift) if self.shift else X[index]
            yield rows, torch.zeros(len(index)) if y is None else y[index]


class Falling(Callback):
    """The learning rate of the weights, constant for half the epochs, then linear to 0."""

    def on_epoch_begin(self, net, **kwargs):
        epoch, epochs = len(net.history) - 1, net.max_epochs
        if epoch >= epochs:  # healing
            epoch, epochs = epoch - epochs, net.healing_epochs
        for group in net.optimizer_.param_groups:
            if not group.get("of_route"):
                group["lr"] = net.lr * LR_SCHEDULES["constant-linear"](epoch / epochs)


def net(method, density, n, *, epochs, device, shift=0):
    """Return the unfitted net; images move by up to `shift` pixels while it learns."""
    sparse = method != "none"
    return SparseNeuralNetClassifier(
        LeNet5,
        method=method,
        alpha=METHODS[method] / n,
        target_density=density if sparse else None,
        warmup=(0.05, 0.2),
        healing_epochs=-(-epochs // 5) if sparse and method != RECIPE else 0,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=1e-3,
        batch_size=128,
        max_epochs=epochs,
        iterator_train=Batches,
        iterator_train__shuffle=True,
        iterator_train__shift=shift,
        iterator_valid=Batches,
        iterator_valid__batch_size=2000,
        callbacks=[Falling()],
        device=device,
    )


def run(train, test, store, *, methods, densities, seeds, epochs, device, clock, shift=0):
    """Fit LeNet-5 by each method to each density; write down test errors."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    X, y = (torch.as_tensor(part, device=device) for part in train)
    X_test = torch.as_tensor(test[0], device=device)
    measure = ErrorsOn(test=(X_test, test[1]))
    for method in methods:
        wanted = (None,) if method == "none" else densities
        for density, seed in itertools.product(wanted, seeds):
            key = f"LeNet-5, {method}, {density} | {epochs} epochs | {len(X)} rows"
            key += f" | shift {shift}" if shift else ""
            key += f" | seed {seed}" if seed else ""
            if clock.over or store.has(key):
                continue
            start = time.perf_counter()
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                model = net(method, density, len(X), epochs=epochs, device=device, shift=shift)
                model.fit(X, y)
            record = {
                "key": key,
                "name": f"LeNet-5, {method}",
                "method": method,
                "target": density,
                "epochs": epochs,
                "shift": shift,
                "seed": seed,
                "density": model.density_,
                "layers": model.sparsity_,
                "seconds": round(time.perf_counter() - start, 2),
                "history": {
                    k: [row[k] for row in model.history] for k in ("train_loss", "density")
                },
                **measure(model),
            }
            store.add(record)
            LOG.info("%s: %s", key, summary(record))
