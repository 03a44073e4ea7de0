"""A training step as one CUDA graph, of kernels that torch.compile has fused."""

import contextlib
import gc
import types
import warnings

import torch

_WARM_STEPS = 3


class GraphedStep:
    """Run a step eagerly a few times, capture it, then replay it.

    The steps before the capture are real ones; a batch of another size runs eagerly. The step
    reads its rows by index from a fixed tensor, and whatever else changes from step to step
    (learning rate, strength) from tensors too. Where it would take another branch, `key` changes
    and it is captured again.

    Parameters
    ----------
    batch_size : int
        Rows of a captured step.
    """

    def __init__(self, batch_size):
        self._batch_size = batch_size
        self._captured = {}
        self._seen = {}

    def __call__(self, step, index, key=None):
        """Run the step, from an index to the loss, on some rows; return its loss."""
        if index.shape[-1] != self._batch_size:
            return step(index)
        if key not in self._captured:
            self._seen[key] = self._seen.get(key, 0) + 1
            if self._seen[key] <= _WARM_STEPS:
                return self._warm(step, index)
            self._captured[key] = self._capture(step, index)
        graph, fixed, loss = self._captured[key]
        fixed.copy_(index)
        graph.replay()
        return loss

    def _warm(self, step, index):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            loss = step(index)
        torch.cuda.current_stream().wait_stream(stream)
        return loss

    def _capture(self, step, index):
        graph, fixed = torch.cuda.CUDAGraph(), index.clone()
        with _no_collection(), torch.cuda.graph(graph):
            loss = step(fixed)
        return graph, fixed, loss


@contextlib.contextmanager
def _no_collection():
    # To destroy a graph that has become garbage ends the capture of another with an error.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def compiled(method):
    """Return a bound method as torch.compile fuses it.

    It is compiled as a whole or not at all: where the compiler gives up within a function, what it
    makes of the rest has taken the state of one weight for that of another (torch 2.11).

    Parameters
    ----------
    method : method
        Its shapes do not change.

    Returns
    -------
    callable
        Warns when it is first called if it cannot be compiled; then it runs as it is.
    """
    # Recompilations are counted, and limited, by code object: each trainer has its own.
    function = method.__func__
    own = types.FunctionType(
        function.__code__.replace(), function.__globals__, closure=function.__closure__
    )
    run = torch.compile(types.MethodType(own, method.__self__), fullgraph=True, dynamic=False)

    def call(*args):
        nonlocal run
        try:
            return run(*args)
        except torch._dynamo.exc.TorchDynamoException as error:
            warnings.warn(
                f"compile=True: torch.compile does not take {function.__name__}, which runs as it "
                f"is: {str(error).strip().splitlines()[0]}",
                stacklevel=2,
            )
            run = method
            return run(*args)

    return call
