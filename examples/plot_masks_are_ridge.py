r"""
=========================
Dropout masks are a ridge
=========================

For a linear model the expected loss over dropout masks s of relative variance r is exact:

.. math::

    \mathbb{E}_s L(s \odot u) = L(w) + \tfrac{1}{2} \sum_j d_j r_j w_j^2,
    \qquad w = \mathbb{E}[s]\, u, \quad d_j = \|x_j\|^2 / n

We sample masks of three families with the same r, and watch their average loss approach the ridge.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from skdropdual.masks import Bernoulli, Gaussian, HardConcrete

rng = np.random.default_rng(0)
n, p = 200, 10
X = rng.standard_normal((n, p))
w = rng.standard_normal(p)
y = X @ w + rng.standard_normal(n)
r = rng.uniform(0.2, 2.0, p)


def losses(weights):
    """Return L for each row of weights."""
    return ((y - weights @ X.T) ** 2).mean(axis=1) / 2


d = (X**2).mean(axis=0)
ridge = losses(w[None])[0] + 0.5 * (d * r * w**2).sum()
print(f"loss without masks {losses(w[None])[0]:.4f}, with the ridge of the masks {ridge:.4f}")

# %%
families = {
    "Bernoulli, scaled": Bernoulli.from_relative_variance(r),
    "Bernoulli, unscaled": Bernoulli.from_relative_variance(r, scaled=False),
    "Gaussian": Gaussian.from_relative_variance(r),
    "hard concrete": HardConcrete.from_relative_variance(r),
}
n_masks = 20_000
count = np.arange(1, n_masks + 1)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for name, mask in families.items():
    sample = losses(mask.sample((n_masks, p), rng) * (w / mask.mean))
    average = np.cumsum(sample) / count
    error = sample.std() / np.sqrt(n_masks)
    print(f"{name:>20}: {average[-1]:.4f} +- {error:.4f} (standard error)")
    left.plot(count[20:], average[20:], label=name)
    right.loglog(count[20:], np.abs(average[20:] / ridge - 1), lw=0.8, label=name)
left.axhline(ridge, color="k", ls="--", label="loss + ridge, exact")
left.set(xscale="log", xlabel="masks", ylabel="average loss", title="Monte Carlo against the ridge")
right.loglog(count[20:], 1 / np.sqrt(count[20:]), "k--", label=r"$1/\sqrt{\mathrm{masks}}$")
right.set(xlabel="masks", ylabel="relative error", title="Error")
left.legend(fontsize="small")
right.legend(fontsize="small")
plt.show()
