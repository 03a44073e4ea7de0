"""A trained net in other forms: for SciPy, for ONNX, and with torch's sparse weights."""

import contextlib
import copy
import importlib
import logging
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from torch import nn

from .._sparse_net import ACTIVATIONS, SparseNet
from ._chain import ELEMENTWISE, IDLE, NORM, layers_of, unsupported
from ._files import missing, replace_file

_SOFTMAX = (nn.Softmax, nn.LogSoftmax)
_KINDS = ("multiclass", "multilabel", "regression")
_SETTINGS = ("alpha", "approximate", "beta", "max_val", "min_val", "negative_slope", "threshold")


def to_scipy(module, *, kind, classes=None):
    """Return a predictor that needs only NumPy and SciPy.

    Its outputs agree with those of `module` in evaluation mode to rounding, in the same dtype.

    Parameters
    ----------
    module : torch.nn.Module
        An ``nn.Sequential``, nested at will, of Linear, BatchNorm1d, dropout and activations, that
        takes rows of features. For classification a softmax at its end, or for "multilabel" a
        sigmoid, is understood; it stays as it is.
    kind : {"multiclass", "multilabel", "regression"}
        What the outputs are: the logits of the classes (a single one: of the second class of
        two), a logit for each label, or the predicted values.
    classes : array-like of shape (n_classes,), default=None
        The classes, for "multiclass", which needs them.

    Returns
    -------
    SparseNet
        With ``predict``, ``decision_function`` and, for classification, ``predict_proba``.

    Raises
    ------
    ValueError
        If a layer is not supported, or `classes` does not suit the outputs.

    Examples
    --------
    >>> import torch
    >>> from skdropdual.neural_network._export import to_scipy
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2))
    >>> net.load_state_dict({"0.weight": torch.eye(2), "0.bias": torch.zeros(2)})
    <All keys matched successfully>
    >>> predictor = to_scipy(net, kind="multiclass", classes=["no", "yes"])
    >>> predictor
    SparseNet(2 -> 2, kind='multiclass', n_nonzero=2)
    >>> predictor.predict([[1.0, 0.0], [0.0, 1.0]])
    array(['no', 'yes'], dtype='<U3')
    """
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}; got {kind!r}.")
    layers = layers_of(module)
    linear = [layer for _, layer in layers if type(layer) is nn.Linear]
    if not linear:
        raise ValueError("the module has no Linear layer.")
    n_outputs = linear[-1].out_features
    if kind == "multiclass":
        classes = _checked_classes(classes, max(2, n_outputs))
    if kind != "regression" and type(layers[-1][1]) in _probabilities(kind, n_outputs):
        layers = layers[:-1]
    steps = [step for name, layer in layers for step in _steps(name, layer)]
    return SparseNet(steps, kind, classes)


def _probabilities(kind, n_outputs):
    # What may stand at the end, where the predictor makes probabilities itself.
    return (nn.Sigmoid,) if kind == "multilabel" or n_outputs == 1 else _SOFTMAX


def _checked_classes(classes, wanted):
    got = "none" if classes is None else len(classes)
    if got != wanted:
        raise ValueError(f"kind='multiclass' needs the {wanted} classes of the outputs; got {got}.")
    return np.asarray(classes)


def _steps(name, layer):
    kind = type(layer)
    if kind is nn.Linear:
        weight = _numpy(layer.weight)
        bias = np.zeros(len(weight), weight.dtype) if layer.bias is None else _numpy(layer.bias)
        return [(sparse.csr_array(weight), bias)]
    if kind in (*IDLE, nn.Flatten):
        return []
    if kind is NORM[0] and layer.running_mean is not None:
        return [("affine", _affine(layer))]
    activation = kind.__name__.lower()
    if kind in _SOFTMAX and layer.dim not in (1, -1):
        raise unsupported(name, layer, "it must act on axis 1")
    if kind not in ELEMENTWISE + _SOFTMAX or activation not in ACTIVATIONS:
        message = "to_scipy() knows nn.Sequential of Linear, BatchNorm1d with running statistics, "
        raise unsupported(name, layer, f"{message}dropout and {', '.join(sorted(ACTIVATIONS))}")
    return [(activation, {key: vars(layer)[key] for key in _SETTINGS if key in vars(layer)})]


def _affine(norm):
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean * scale
    return {
        "scale": _numpy(scale),
        "shift": _numpy(shift if norm.bias is None else shift + norm.bias),
    }


def _numpy(tensor):
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype.itemsize < 4 else tensor).numpy()


def to_onnx(module, path, input_shape, *, input_name="X", output_name="output"):
    """Write a net as an ONNX file that takes any number of rows.

    Parameters
    ----------
    module : torch.nn.Module
        Any module that torch can export; it stays as it is and is exported in evaluation mode.
    path : str or os.PathLike
        The file; written aside and renamed, so that a failure leaves what was there.
    input_shape : int or tuple of int
        Shape of one row: the number of features, or (channels, ...).
    input_name, output_name : str, default="X", "output"
        Names of the input and the output.

    Raises
    ------
    ImportError
        If onnx or onnxscript is not installed: ``pip install 'skdropdual[onnx]'``.
    FileNotFoundError
        If the folder does not exist.

    Examples
    --------
    >>> import tempfile, onnxruntime, torch
    >>> from skdropdual.neural_network._export import to_onnx
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_onnx(net, f"{folder}/net.onnx", 3)
    ...     session = onnxruntime.InferenceSession(f"{folder}/net.onnx")
    >>> session.run(None, {"X": torch.zeros(5, 3).numpy()})[0].shape
    (5, 2)
    """
    _need_onnx()
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"the folder of {os.fspath(path)!r} does not exist.")
    module = copy.deepcopy(module).eval()
    shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
    parameter = next(module.parameters(), torch.empty(0))
    rows = torch.zeros(2, *shape, dtype=parameter.dtype, device=parameter.device)
    with _quiet_exporter():
        program = torch.onnx.export(
            *(module, (rows,)),
            input_names=[input_name],
            output_names=[output_name],
            dynamic_shapes=({0: "batch"},),
            dynamo=True,
            verbose=False,
        )
        proto = program.model_proto
    _forget_source(proto)
    replace_file(path, proto.SerializeToString())


def _need_onnx():
    for package in ("onnx", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise missing(package, "onnx") from error


def _forget_source(proto):
    # The exporter writes where on this machine each line of Python is.
    for node in (*proto.graph.node, *(node for f in proto.functions for node in f.node)):
        del node.metadata_props[:]
        node.doc_string = ""


@contextlib.contextmanager
def _quiet_exporter():
    # It warns of torch's own deprecated calls, and logs that torchvision is absent.
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
