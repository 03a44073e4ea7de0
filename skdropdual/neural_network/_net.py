"""The skorch net that an estimator composes."""

from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PrintLog

from ._mlp import build_mlp

OPTIMIZERS: dict[str, tuple[type, dict[str, Any]]] = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
}


# The parameters of a route have a learning rate of their own, and no weight decay.
ROUTE_PARAMETERS = ("*parametrizations.weight.0.*", {"of_route": True, "weight_decay": 0.0})


class ComposedNet(NeuralNet):
    """A skorch net without a hidden split, whose epochs are recorded as a whole."""

    @property
    def _default_callbacks(self):
        # The log makes its table whether or not it is printed.
        printed = [("print_log", PrintLog())] if self.verbose else []
        return [("epoch_timer", EpochTimer()), *printed]


def make_net(sizes, activation, criterion, optimizer, lr, weight_decay, device, dtype, **options):
    """Return an initialised net around a multilayer perceptron.

    Parameters
    ----------
    sizes, activation
        As in `build_mlp`.
    criterion : type
        Of `torch.nn.Module`.
    optimizer : str
        A name of `OPTIMIZERS`.
    lr, weight_decay : float
        Of the optimizer.
    device : torch.device
        Where the net is.
    dtype : torch.dtype
        Of its weights.
    **options
        To `skorch.NeuralNet`.

    Returns
    -------
    ComposedNet
        On the device.
    """
    kind, settings = OPTIMIZERS[optimizer]
    settings = settings | {"weight_decay": weight_decay, "fused": device.type in ("cpu", "cuda")}
    settings |= {"param_groups": [ROUTE_PARAMETERS]}
    if device.type == "cuda":  # a captured step reads its learning rate from a tensor
        settings["lr"] = torch.tensor(float(lr), device=device)
        settings |= {"capturable": True} if optimizer != "sgd" else {}
    net = ComposedNet(
        build_mlp,
        criterion=criterion,
        optimizer=kind,
        module__sizes=sizes,
        module__activation=activation,
        lr=lr,
        device=str(device),
        train_split=None,
        **{f"optimizer__{name}": value for name, value in settings.items()},
        **options,
    )
    net.initialize()
    net.module_.to(dtype)
    return net
