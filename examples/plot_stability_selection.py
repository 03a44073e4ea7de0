r"""
===================================
Features that half of the rows show
===================================

A sparse model with a strength chosen for prediction often keeps many columns that carry nothing.
Stability selection fits the model to many random halves of the rows, and keeps the columns that
most halves select. With q columns selected in a half, of p, and a threshold
:math:`\pi`, at most :math:`q^2 / ((2 \pi - 1) p)` noise columns are expected among them.
"""

# %%
# The data
# --------
# More columns than rows, each correlated with its neighbours; six of them make the target.
import matplotlib.pyplot as plt
import numpy as np

from skdropdual import EffectivePenaltyRegressor, EffectivePenaltyRegressorCV
from skdropdual.feature_selection import StabilitySelection

rng = np.random.default_rng(0)
n, p, rho = 150, 600, 0.6
X = rng.standard_normal((n, p))
for j in range(1, p):
    X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
true = np.arange(50, p, 100)
size = np.array([1.2, -1.0, 0.9, -0.8, 0.7, -0.6])
y = X[:, true] @ size + rng.standard_normal(n)
is_true = np.isin(np.arange(p), true)


def report(name, selected):
    """Print how many of the columns that make the target, and of the others, are selected."""
    print(f"{name:>20}: {selected[is_true].sum()} true, {selected[~is_true].sum()} noise")


# %%
# One fit, and many halves
# ------------------------
search = EffectivePenaltyRegressorCV("l1", cv=5).fit(X, y)
report("cross-validation", search.coef_ != 0)

selector = StabilitySelection(
    EffectivePenaltyRegressor("l1"), n_pairs=50, max_features=12, threshold=0.7, random_state=0
).fit(X, y)
report("stability selection", selector.support_)
print(f"noise columns expected: at most {selector.error_bound_:.2f}")

# %%
# The picture
# -----------
# Left: how often each column is selected. Right: how many columns each threshold selects, and the
# bound on the noise among them.
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", width_ratios=[3, 2])
probabilities = selector.selection_probabilities_
columns = np.arange(p)
left.vlines(columns[~is_true], 0, probabilities[~is_true], color="0.6", lw=1, label="noise")
left.vlines(true, 0, probabilities[true], color="C3", lw=2)
left.plot(true, probabilities[true], "o", color="C3", label="in the target")
left.axhline(selector.threshold, color="k", ls="--", lw=1, label="threshold")
left.set(xlabel="column", ylabel="selection probability", ylim=(0, 1.05), title="Columns")
left.legend(fontsize="small", loc="upper right")

thresholds = np.linspace(0.52, 1, 49)
for name, kind, color in (("in the target", is_true, "C3"), ("noise", ~is_true, "0.6")):
    count = [(probabilities[kind] >= threshold).sum() for threshold in thresholds]
    right.step(thresholds, count, color=color, label=f"selected, {name}")
bound = selector.n_selected_**2 / ((2 * thresholds - 1) * p)
right.plot(thresholds, bound, "k:", label="bound on noise")
right.axvline(selector.threshold, color="k", ls="--", lw=1)
right.set(xlabel="threshold", ylabel="columns", ylim=(-0.2, 10), title="Thresholds")
right.legend(fontsize="small")
plt.show()
