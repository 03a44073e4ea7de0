"""Where random numbers come from: generators that are put back, the noise of routes."""

import contextlib

import torch


@contextlib.contextmanager
def local_rng(device, seed):
    """Seed torch's generators for a block, and put them back after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def get_rng_state(device):
    """Return the state of torch's generator for a device."""
    cuda = device.type == "cuda"
    return torch.cuda.get_rng_state(device) if cuda else torch.get_rng_state()


def set_rng_state(state, device):
    """Set the state of torch's generator for a device."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


class Random:
    """Random numbers from torch's own generators."""

    def randn_like(self, tensor):
        """Return normal noise."""
        return self._draw(tensor, torch.randn)

    def rand_like(self, tensor):
        """Return uniform noise."""
        return self._draw(tensor, torch.rand)

    def _draw(self, tensor, draw):
        if tensor.is_contiguous():
            return draw(tensor.shape, dtype=tensor.dtype, device=tensor.device)
        noise = torch.empty_like(tensor)
        # In the order of memory: torch is many times slower where channels are last.
        draw(noise.numel(), out=noise.as_strided((noise.numel(),), (1,)))
        return noise


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

    def _draw(self, tensor, draw):
        # The leading axis is that of the nets.
        if tensor.device.type != "cpu":
            return super()._draw(tensor, draw)
        noise = torch.empty_like(tensor)
        for part, generator in zip(noise, self._generators, strict=True):
            draw(part.shape, generator=generator, out=part)
        return noise
