r"""
============================================
Dropout of a logistic model, to second order
============================================

For the squared error dropout is a ridge, exactly. For the log loss it is one only to second order
(Wager, Wang and Liang, 2013):

.. math::

    \mathbb{E}_s L(s \odot u) \approx L(w) + \tfrac12 \sum_j d_j r_j w_j^2,
    \qquad d_j = \frac1n \sum_i h_i x_{ij}^2

with h the curvature of the loss at each row and r the relative variance of the masks.
``masks="expected"`` minimises the right-hand side, ``masks="bernoulli"`` and ``"gaussian"`` sample
the left. How far apart do they end?
"""

# %%
# A small problem, many strengths
# -------------------------------
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit

from skdropdual import AdaptiveDropoutClassifier

rng = np.random.default_rng(0)
n, p = 200, 10
X = rng.standard_normal((n, p))
truth = np.linspace(2, 0, p) * np.where(np.arange(p) % 2, -1, 1)
y = (rng.random(n) < expit(X @ truth)).astype(int)

# %%
# The rule is that of the L1 penalty. Sampled masks never stand still, so `tol` is large: we do not
# ask them to.
alphas = np.geomspace(0.001, 0.1, 7)
n_seeds = 3
expected = [AdaptiveDropoutClassifier("l1", alpha).fit(X, y).coef_[0] for alpha in alphas]
sampled = {
    masks: np.array(
        [
            [
                AdaptiveDropoutClassifier(
                    "l1", alpha, masks=masks, n_masks=20, max_iter=40, tol=1.0, random_state=seed
                )
                .fit(X, y)
                .coef_[0]
                for seed in range(n_seeds)
            ]
            for alpha in alphas
        ]
    )
    for masks in ("bernoulli", "gaussian")
}

# %%
# The gap, the noise and the size of coefficients
# -----------------------------------------------
# The gap is the difference of the mean over seeds to the expected masks; the noise is what one seed
# differs from that mean. Both are relative to the norm of the expected masks' coefficients.
norm = np.linalg.norm(expected, axis=1)
gap, noise = {}, {}
for masks, w in sampled.items():
    mean = w.mean(axis=1)
    gap[masks] = np.linalg.norm(mean - expected, axis=1) / norm
    spread = ((w - mean[:, None]) ** 2).sum(axis=(1, 2)) / (n_seeds - 1)
    noise[masks] = np.sqrt(spread) / norm
print("          |---- gap ---------|  |---- noise -------|")
print("   alpha  bernoulli   gaussian  bernoulli   gaussian  largest coefficient")
for i, alpha in enumerate(alphas):
    print(
        f"{alpha:8.4f} {gap['bernoulli'][i]:10.3f} {gap['gaussian'][i]:10.3f} "
        f"{noise['bernoulli'][i]:10.3f} {noise['gaussian'][i]:10.3f} "
        f"{np.abs(expected[i]).max():20.2f}"
    )

# %%
# The picture
# -----------
# Weak dropout is well described: the gap is below one percent at the weakest strength, no more than
# the noise of the sampling. It grows a little slower than the strength, to a third of the
# coefficients at the strongest. All on one side: sampled masks leave the coefficients larger, since
# the log loss grows only linearly far out, where its second-order form is a parabola. Gaussian and
# Bernoulli masks of the same variance are much alike.
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
marks = {"bernoulli": "o", "gaussian": "x"}
for i, color in zip((1, 4, 6), ("C0", "C1", "C2"), strict=True):
    for masks, mark in marks.items():
        mean = sampled[masks].mean(axis=1)[i]
        label = f"{masks}, alpha = {alphas[i]:.3g}"
        left.plot(expected[i], mean, mark, color=color, ms=6, mew=1.5, label=label, alpha=0.8)
low, high = left.get_xlim()
left.plot([low, high], [low, high], color="0.7", lw=1, zorder=0)
left.set(
    xlabel="coefficient, expected masks (second order)",
    ylabel="coefficient, sampled masks",
    title="Coefficients",
)
left.legend(fontsize="small")
for masks, mark in marks.items():
    (line,) = right.loglog(alphas, gap[masks], mark + "-", mew=1.5, label=f"gap, {masks}")
    right.loglog(alphas, noise[masks], ":", color=line.get_color(), label=f"noise, {masks}")
right.set(xlabel="strength alpha", ylabel="relative to the norm of coefficients", title="Gap")
right.legend(fontsize="small")
plt.show()
