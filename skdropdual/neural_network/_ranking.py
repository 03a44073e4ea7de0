"""Which groups of weights are the largest: by a k-th value where all are alike, else by sorting."""

import math

import torch


def closest(scores, norms, sizes, wanted, lead):
    """Return masks of the best groups, as many as come closest to a number of weights.

    Equal scores (a flat penalty keeps all alike) rank by magnitude.

    Parameters
    ----------
    scores : list of torch.Tensor
        Of the groups of each layer; those of -inf are never taken.
    norms : list of torch.Tensor
        Norms of the groups.
    sizes : list of int
        Weights in a group of each layer.
    wanted : torch.Tensor
        Number of weights, one for each net.
    lead : int
        Leading axes that number nets: 0 or 1.

    Returns
    -------
    list of torch.Tensor of bool
        Of the shapes of the scores.
    """
    flat, counts = _joined(scores, lead)
    magnitude, _ = _joined([n / size**0.5 for n, size in zip(norms, sizes, strict=True)], lead)
    if len(set(sizes)) == 1:
        taken = (wanted / sizes[0]).round().clamp(min=1, max=flat.shape[-1]).long()
        if lead:
            nets = zip(flat, magnitude, taken.tolist(), strict=True)
            chosen = torch.stack([_best(*net) for net in nets])
        else:
            chosen = _best(flat, magnitude, int(taken))
    else:
        order = torch.argsort(magnitude, descending=True, stable=True)
        order = order.gather(-1, flat.gather(-1, order).argsort(descending=True, stable=True))
        total = torch.cumsum(_of_groups(sizes, counts, flat)[order], -1)
        last = torch.argmin(abs(total - wanted[..., None]), -1, keepdim=True)
        inside = torch.arange(flat.shape[-1], device=flat.device) <= last
        chosen = torch.zeros_like(inside).scatter(-1, order, inside)
    return _parted(chosen & (flat > -math.inf), counts, scores)


def fitting(scores, sizes, wanted, lead):
    """Return masks of the best groups, as many as make no more than a number of weights.

    Equal scores rank by their place. Nothing waits for the device.

    Parameters
    ----------
    scores, sizes, lead
        As in `closest`.
    wanted : int
        Number of weights.

    Returns
    -------
    list of torch.Tensor of bool
        Of the shapes of the scores.
    """
    flat, counts = _joined(scores, lead)
    if len(set(sizes)) == 1:
        chosen = _top(flat, min(wanted // sizes[0], flat.shape[-1]))
    else:
        order = torch.argsort(flat, descending=True, stable=True)
        inside = torch.cumsum(_of_groups(sizes, counts, flat)[order], -1) <= wanted
        chosen = torch.zeros_like(inside).scatter(-1, order, inside)
    return _parted(chosen, counts, scores)


def _joined(layers, lead):
    # The groups of all layers along one axis, and how many each layer has.
    rows = [layer.flatten(lead) for layer in layers]
    return torch.cat(rows, -1), [row.shape[-1] for row in rows]


def _parted(chosen, counts, like):
    parts = zip(chosen.split(counts, -1), like, strict=True)
    return [part.reshape(layer.shape) for part, layer in parts]


def _of_groups(sizes, counts, like):
    # The number of weights in each group.
    parts = zip(counts, sizes, strict=True)
    return torch.cat([like.new_full((c,), n, dtype=torch.float64) for c, n in parts])


def _top(values, count):
    # The largest along the last axis; of equal ones the first.
    if count == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    above, ties, left = _split(values, count)
    return above | (ties & (ties.cumsum(-1) <= left))


def _best(scores, magnitude, count):
    above, ties, left = _split(scores, count)
    return above | _top(torch.where(ties, magnitude, -1.0), int(left))


def _split(values, count):
    # What is above the k-th value, what equals it, and how many of these are to be taken.
    kth = torch.kthvalue(values, values.shape[-1] - count + 1, dim=-1, keepdim=True).values
    above = values > kth
    return above, values == kth, count - above.sum(-1, keepdim=True)
