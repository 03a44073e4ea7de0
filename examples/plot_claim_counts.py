"""
=====================================
Insurance claims: counts and exposure
=====================================

Policies are seen for a part of a year, their exposure, and report a number of claims. We fit the
claims per year with a Poisson loss, L1 and MCP, on a synthetic table whose true effects are known:
L1 shrinks every effect it keeps, MCP leaves the large ones alone.
"""

# %%
# The table
# ---------
# Categories are one-hot against their first level. Few effects differ from zero.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance

from skdropdual import EffectivePenaltyRegressor

rng = np.random.default_rng(0)
n = 60_000
effects = {
    "region": [0.0, 0.0, 0.5, 0.0, 0.0, -0.5, 0.0],
    "vehicle": [0.0, 0.0, 0.7, 0.0, 0.0],
    "fuel": [0.0],
    "bonus": [0.3, 0.6, 1.0],
    "brand": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
}
numbers = {"age": -0.3, "power": 0.2, "density": 0.0, "weight": 0.0}
columns, names, truth = [], [], []
for variable, values in effects.items():
    level = rng.integers(0, len(values) + 1, n)
    for k, value in enumerate(values, start=1):
        columns.append(level == k)
        names.append(f"{variable} {k}")
        truth.append(value)
for name, value in numbers.items():
    columns.append(rng.standard_normal(n))
    names.append(name)
    truth.append(value)
X, truth = np.column_stack(columns).astype(float), np.array(truth)
intercept = np.log(0.08)
exposure = 1 - rng.uniform(0, 1, n)
claims = rng.poisson(exposure * np.exp(X @ truth + intercept))
print(f"{n} policies, {exposure.sum():.0f} years, {claims.sum()} claims, {X.shape[1]} columns")

# %%
# Claims per year, weighted by exposure
# -------------------------------------
# The likelihood of counts with exposure e is that of the rate count / e with weight e.
rate = claims / exposure
train, test = np.arange(n) < n // 2, np.arange(n) >= n // 2
alphas = np.geomspace(0.03, 1e-4, 25)


def deviance(prediction):
    return mean_poisson_deviance(rate[test], prediction, sample_weight=exposure[test])


def fit_all(make_model):
    return [
        make_model(alpha).fit(X[train], rate[train], sample_weight=exposure[train])
        for alpha in alphas
    ]


models = {
    "l1": fit_all(lambda alpha: EffectivePenaltyRegressor("l1", alpha, loss="poisson")),
    "mcp": fit_all(lambda alpha: EffectivePenaltyRegressor("mcp", alpha, loss="poisson")),
    "PoissonRegressor": fit_all(
        lambda alpha: PoissonRegressor(alpha=alpha, solver="newton-cholesky")
    ),
}
curves = {
    name: np.array([deviance(model.predict(X[test])) for model in path])
    for name, path in models.items()
}
best = {name: path[curves[name].argmin()] for name, path in models.items()}
ideal = deviance(np.exp(X[test] @ truth + intercept))

# %%
# What is left of the effects
# ---------------------------
# The best strength of each on held-out policies, and the L1 model with as many effects as the truth
# has. "estimate / truth" is an average over the effects that are there.
real = truth != 0
chosen = {name: path[curves[name].argmin()] for name, path in models.items()}
sizes = [np.count_nonzero(model.coef_) for model in models["l1"]]
chosen["l1, as sparse"] = models["l1"][np.argmin(np.abs(np.array(sizes) - real.sum()))]
print(f"{'':>16}   alpha  deviance  nonzero  of them false  estimate / truth")
for name, model in chosen.items():
    kept = model.coef_ != 0
    print(
        f"{name:>16} {model.alpha:7.4f} {deviance(model.predict(X[test])):9.5f} {kept.sum():8d} "
        f"{(kept & ~real).sum():14d} {np.mean(model.coef_[real] / truth[real]):17.2f}"
    )
print(f"{'the truth':>16} {'':>7} {ideal:9.5f} {real.sum():8d}")

# %%
# The picture
# -----------
# L1 has one strength for two tasks: weak enough to leave the effects alone it lets false ones in,
# strong enough to keep those out it shrinks the true ones. MCP leaves large effects alone at any
# strength, so that its best one can afford to be selective.
fig, (left, right) = plt.subplots(
    1, 2, figsize=(12, 4.8), width_ratios=[2, 3], layout="constrained"
)
for name, curve in curves.items():
    (line,) = left.semilogx(alphas, curve, label=name)
    left.plot(alphas[curve.argmin()], curve.min(), "o", color=line.get_color())
left.axhline(ideal, color="k", ls="--", label="true rates")
left.set(
    xlabel="strength alpha",
    ylabel="mean Poisson deviance",
    title="Held-out policies",
    ylim=(None, ideal + 0.5 * (curves["l1"].max() - ideal)),
)
left.legend(fontsize="small", loc="upper left")
place = np.arange(len(truth))
right.bar(place, truth, color="0.85", width=0.9, label="truth")
marks = {"l1": "C0o", "l1, as sparse": "C0_", "mcp": "C1x"}
for name, mark in marks.items():
    size = {"o": 5, "_": 11, "x": 8}[mark[-1]]
    right.plot(place, chosen[name].coef_, mark, ms=size, mew=1.5, label=name)
right.axhline(0, color="0.5", lw=0.5)
right.set_xticks(place, names, rotation=90)
right.set(ylabel="log of the factor on claims", title="Effects", xlim=(-0.7, len(truth) - 0.3))
right.legend(fontsize="small")
plt.show()
