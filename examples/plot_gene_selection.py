"""
====================================
Choosing a few genes among thousands
====================================

Microarray studies have tens of patients and thousands of genes. We follow logistic regression with
three penalties over a range of strengths: how many genes each keeps, and how well it predicts
patients that it has not seen. scikit-learn's L1 logistic regression is there as a check.

The data are synthetic, so that the right genes are known. If the environment variable
``SKDROPDUAL_DATA`` names a folder with ``golub_leukemia.npz``, the two leukemias of Golub et al.
(1999) take their place.
"""

# %%
# The data
# --------
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.preprocessing import StandardScaler

from skdropdual import EffectivePenaltyClassifier

path = Path(os.environ.get("SKDROPDUAL_DATA", "")) / "golub_leukemia.npz"
real = path.is_file()
if real:
    # Intensities have a floor and a ceiling, and vary by factors.
    with np.load(path) as archive:
        X, y = np.log2(np.clip(archive["X"].astype(float), 100, 16_000)), archive["y"]
    X = X[:, X.std(axis=0) > 0]
    title = f"Golub leukemia, {len(y)} patients, {X.shape[1]} genes"
else:
    n_informative = 20
    X, y = make_classification(
        72,
        3000,
        n_informative=n_informative,
        n_redundant=0,
        n_clusters_per_class=1,
        class_sep=1.5,
        shuffle=False,  # the first columns are the informative ones
        random_state=3,
    )
    title = f"synthetic, {len(y)} patients, {X.shape[1]} genes, {n_informative} informative"
print(title)

# %%
# Along the strength
# ------------------
# Our loss is an average over rows and scikit-learn's a sum, hence its C. Its solver penalises the
# intercept too; the scaling makes that small. All columns are standardised once, for all models.
alphas = np.geomspace(0.3, 0.02, 8)
check = "l1, scikit-learn"
names = ["l1", "logsum", "mcp", check]


def fit(name, alpha, rows):
    if name == check:
        C = 1 / (alpha * len(rows))
        options = {
            "solver": "liblinear",
            "intercept_scaling": 100.0,
            "tol": 1e-6,
            "max_iter": 10_000,
            "random_state": 0,
        }
        return LogisticRegression(l1_ratio=1.0, C=C, **options).fit(X[rows], y[rows])
    return EffectivePenaltyClassifier(name, alpha, standardize=False).fit(X[rows], y[rows])


X = StandardScaler().fit_transform(X)
folds = list(
    RepeatedStratifiedKFold(n_splits=5, n_repeats=1 if real else 2, random_state=0).split(X, y)
)
truth = np.concatenate([y[test] for _, test in folds])
kept, right, accuracy, loss = ({name: np.zeros(len(alphas)) for name in names} for _ in range(4))
for name in names:
    for i, alpha in enumerate(alphas):
        genes = np.flatnonzero(fit(name, alpha, np.arange(len(y))).coef_)
        kept[name][i] = len(genes)
        right[name][i] = 0 if real else np.count_nonzero(genes < n_informative)
        probability = np.concatenate(
            [fit(name, alpha, train).predict_proba(X[test])[:, 1] for train, test in folds]
        )
        loss[name][i] = log_loss(truth, probability)
        accuracy[name][i] = np.mean((probability > 0.5) == truth)

for criterion, best in (("log loss", np.argmin), ("accuracy", np.argmax)):
    values = loss if criterion == "log loss" else accuracy
    print(f"\nat the best {criterion}\n{'':>16}   alpha  log loss  accuracy  genes  informative")
    for name in names:
        i = best(values[name])
        print(
            f"{name:>16} {alphas[i]:7.3f} {loss[name][i]:9.3f} {accuracy[name][i]:9.3f} "
            f"{kept[name][i]:6.0f} " + (f"{'?':>12}" if real else f"{right[name][i]:12.0f}")
        )

# %%
# The picture
# -----------
# Penalties that shrink large weights less need fewer genes. With so few patients that has a price:
# as soon as a few genes separate the patients at hand, the likelihood asks for ever larger weights.
# MCP is flat far out and does not hold them back: its classes are not much worse than the others',
# its probabilities are far too sure of themselves. L1 and logsum never stop shrinking.
fig, axes = plt.subplots(1, 3 if real else 4, figsize=(13, 4), layout="constrained")
styles = {"l1": "o-", "logsum": "^-", "mcp": "s-", check: "kx"}
for name, style in styles.items():
    axes[0].semilogx(alphas, kept[name], style, label=name)
    axes[1].semilogy(kept[name], loss[name], style)
    axes[2].plot(kept[name], accuracy[name], style)
    if not real:
        axes[3].plot(kept[name], right[name], style)
axes[0].set(xlabel="strength alpha", ylabel="genes kept", title="Size of the model")
axes[0].set_xticks([0.02, 0.05, 0.1, 0.3], ["0.02", "0.05", "0.1", "0.3"])
axes[0].legend()
axes[1].set(xlabel="genes kept", ylabel="cross-validated log loss", title="Probabilities")
ticks = [tick for tick in (0.2, 0.5, 1, 2, 5) if tick > 0.9 * min(map(min, loss.values()))]
axes[1].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
axes[1].minorticks_off()
axes[0].minorticks_off()
axes[2].set(xlabel="genes kept", ylabel="cross-validated accuracy", title="Classes")
if not real:
    most = max(map(max, right.values()))
    axes[3].plot([0, most], [0, most], color="0.7", lw=1, zorder=0, label="none wrong")
    axes[3].legend()
    axes[3].set(xlabel="genes kept", ylabel="informative genes kept", title="The right ones")
fig.suptitle(title)
plt.show()
