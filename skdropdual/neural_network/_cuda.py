"""A training step as one CUDA graph."""

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
    step : callable
        From the index of the rows to the loss.
    batch_size : int
        Rows of a captured step.
    """

    def __init__(self, step, batch_size):
        self._step, self._batch_size = step, batch_size
        self._captured = {}
        self._seen = {}

    def __call__(self, index, key=None):
        """Run the step on some rows; return its loss."""
        if index.shape[-1] != self._batch_size:
            return self._step(index)
        if key not in self._captured:
            self._seen[key] = self._seen.get(key, 0) + 1
            if self._seen[key] <= _WARM_STEPS:
                return self._warm(index)
            self._captured[key] = self._capture(index)
        graph, fixed, loss = self._captured[key]
        fixed.copy_(index)
        graph.replay()
        return loss

    def _warm(self, index):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            loss = self._step(index)
        torch.cuda.current_stream().wait_stream(stream)
        return loss

    def _capture(self, index):
        graph, fixed = torch.cuda.CUDAGraph(), index.clone()
        with torch.cuda.graph(graph):
            loss = self._step(fixed)
        return graph, fixed, loss
