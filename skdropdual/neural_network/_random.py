"""Where the noise of routes comes from."""

import torch


class Random:
    """Random numbers from torch's own generators."""

    def randn_like(self, tensor):
        """Return normal noise."""
        return torch.randn_like(tensor)

    def rand_like(self, tensor):
        """Return uniform noise."""
        return torch.rand_like(tensor)


class Streams(Random):
    """Random numbers for many nets: those that each would draw alone.

    On a GPU one generator makes the noise of all of them; only orders of rows are each net's own.

    Parameters
    ----------
    generators : list of torch.Generator
        One for each net.
    """

    def __init__(self, generators):
        self._generators = generators

    def randperm(self, n, device):
        """Return a random order for each net, shape (n_nets, n)."""
        return torch.stack(
            [torch.randperm(n, generator=g, device=device) for g in self._generators]
        )

    def randn_like(self, tensor):
        # The leading axis is that of the nets.
        return self._fill(tensor, torch.Tensor.normal_)

    def rand_like(self, tensor):
        return self._fill(tensor, torch.Tensor.uniform_)

    def _fill(self, tensor, draw):
        noise = torch.empty_like(tensor)
        if tensor.device.type != "cpu":
            return draw(noise)
        for part, generator in zip(noise, self._generators, strict=True):
            draw(part, generator=generator)
        return noise
