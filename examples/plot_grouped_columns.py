"""
=============================
One-hot columns come together
=============================

A categorical variable is several columns, and asking whether it matters is a question about all of
them. With ``groups``, the penalty acts on the norm of the columns of each variable, which then come
in or stay out together; without, on each column by itself.
"""

# %%
# Eight variables, three of which matter
# --------------------------------------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import OneHotEncoder

from skdropdual import EffectivePenaltyRegressor

rng = np.random.default_rng(0)
n = 300
sizes = [3, 4, 5, 6, 7, 8, 5, 6]
relevant = [1, 3, 5]
levels = np.column_stack([rng.integers(0, size, n) for size in sizes])
X = OneHotEncoder(sparse_output=False).fit_transform(levels)
groups = np.repeat(np.arange(len(sizes)), sizes)

y = rng.normal(0, 1.0, n)
for variable in relevant:
    effect = rng.standard_normal(sizes[variable])
    y += (effect - effect.mean())[levels[:, variable]]
print(f"{n} rows, {len(sizes)} variables, {X.shape[1]} columns, relevant variables {relevant}")

# %%
# Down the strengths
# ------------------
# The norm of a variable is that of its coefficients on standardised columns.
alphas = np.geomspace(0.5, 0.01, 50)
scale = X.std(axis=0)
norms, partly = {}, {}
for penalty in ("l1", "mcp"):
    for how, labels in (("by variable", groups), ("one by one", None)):
        model = EffectivePenaltyRegressor(penalty, groups=labels, warm_start=True)
        path, partial = [], []
        for alpha in alphas:
            w = model.set_params(alpha=alpha).fit(X, y).coef_ * scale
            nonzero = np.bincount(groups, w != 0)
            path.append(np.sqrt(np.bincount(groups, w**2)))
            partial.append(np.count_nonzero((nonzero > 0) & (nonzero < sizes)))
        path = norms[penalty, how] = np.array(path)
        partly[penalty, how] = partial
        entered = [alphas[column > 0].max(initial=0) for column in path.T]
        irrelevant = np.delete(entered, relevant).max()
        print(
            f"{penalty:>4} {how:>11}: all relevant variables in below alpha = "
            f"{min(entered[v] for v in relevant):.3f}, an irrelevant one below {irrelevant:.3f}; "
            f"at most {max(partial)} variables partly in"
        )

# %%
# The picture
# -----------
# The relevant variables come first in every panel: on this table either way finds them. What
# differs is what a model says in between. By variable, each is in or out; one by one, nearly all of
# those that are in are so with some of their levels only. MCP stops shrinking a variable that is
# large, its lines become flat; L1 goes on, down to strengths where noise is in as well.
fig, axes = plt.subplots(2, 3, figsize=(12, 6.6), sharex=True, layout="constrained")
for row, penalty in zip(axes, ("l1", "mcp"), strict=True):
    for axis, how in zip(row, ("by variable", "one by one"), strict=False):
        for v, column in enumerate(norms[penalty, how].T):
            if v in relevant:
                label = f"variable {v}, {sizes[v]} levels"
                axis.plot(alphas, column, f"C{relevant.index(v)}", lw=2, label=label)
            else:
                axis.plot(alphas, column, "0.5", lw=1, label=None if v else "irrelevant")
        axis.set(title=f"{penalty}, {how}", ylabel="norm of the coefficients", ylim=(-0.03, 1.2))
        row[2].plot(alphas, partly[penalty, how], "C3-" if how == "one by one" else "k-", label=how)
    row[2].set(title=f"{penalty}, partly in", ylabel="variables", ylim=(-0.2, len(sizes) + 0.2))
for axis in axes[1]:
    axis.set(xlabel="strength alpha", xscale="log", xlim=(0.5, 0.01))
    axis.set_xticks([0.5, 0.1, 0.05, 0.02, 0.01], ["0.5", "0.1", "0.05", "0.02", "0.01"])
    axis.minorticks_off()
axes[0, 0].legend(fontsize="small")
axes[0, 2].legend(fontsize="small", loc="center right")
plt.show()
