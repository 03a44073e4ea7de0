"""
=====================================================
Adaptive dropout and its effective penalty, one model
=====================================================

Two regressors fit the same sparse model from its two sides: one minimises a penalised loss, the
other drops weights with keep probabilities that adapt to them. We fit both on real data (the
diabetes study with all pairwise products, 65 columns) and on a synthetic problem with more columns
than rows, and compare.
"""

# %%
# The data
# --------
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes, make_regression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skdropdual import AdaptiveDropoutRegressor, EffectivePenaltyRegressor, effective_penalty
from skdropdual.penalties import LogSum

X, y = load_diabetes(return_X_y=True)
products = PolynomialFeatures(2, include_bias=False).fit_transform(
    StandardScaler().fit_transform(X)
)
y = (y - y.mean()) / y.std()

Z, t = make_regression(150, 400, n_informative=8, noise=10.0, random_state=0)
t = (t - t.mean()) / t.std()

problems = {
    f"diabetes, {products.shape[1]} columns": train_test_split(products, y, random_state=0),
    f"synthetic, {Z.shape[1]} columns": train_test_split(Z, t, random_state=0),
}


# %%
# Penalties by name, and a rule of our own: keep a weight with a probability proportional to its
# size, up to 0.5, where it is kept for sure.
def my_rule(w):
    return np.minimum(1.0, 2 * w)


rules = {
    "l1": ("l1", 0.05),
    "logsum": (LogSum(epsilon=0.2), 0.02),
    "mcp": ("mcp", 0.08),
    "vardrop": ("vardrop", 0.005),
    "hardconcrete": ("hardconcrete", 0.005),
    "my rule": (my_rule, 0.15),
}

# %%
# Both faces, side by side
# ------------------------
pairs = {}
for title, (X_train, X_test, y_train, y_test) in problems.items():
    print(f"\n{title}")
    print(
        f"{'rule':>13} {'objective':>11} {'nonzeros':>9} {'test R2':>8} {'largest difference':>19}"
    )
    for name, (rule, alpha) in rules.items():
        dropout = AdaptiveDropoutRegressor(rule, alpha).fit(X_train, y_train)
        penalised = EffectivePenaltyRegressor(effective_penalty(rule), alpha).fit(X_train, y_train)
        difference = np.abs(dropout.coef_ - penalised.coef_).max()
        print(
            f"{name:>13} {penalised.objective_:11.7f} {np.count_nonzero(penalised.coef_):9d} "
            f"{penalised.score(X_test, y_test):8.4f} {difference:19.1e}"
        )
        pairs[title, name] = penalised, dropout

# %%
# In a pipeline and a grid search
# -------------------------------
# The strength and the parameters of the penalty are searched like any others.
X_train, X_test, y_train, y_test = next(iter(problems.values()))
pipeline = make_pipeline(StandardScaler(), EffectivePenaltyRegressor(LogSum()))
search = GridSearchCV(
    pipeline,
    {
        "effectivepenaltyregressor__alpha": [0.003, 0.01, 0.03, 0.1],
        "effectivepenaltyregressor__penalty__epsilon": [0.03, 0.1, 0.3, 1.0],
    },
).fit(X_train, y_train)
best = search.best_params_
print(
    f"\ngrid search: alpha = {best['effectivepenaltyregressor__alpha']}, "
    f"epsilon = {best['effectivepenaltyregressor__penalty__epsilon']}, "
    f"test R2 = {search.score(X_test, y_test):.4f}, "
    f"nonzeros = {np.count_nonzero(search.best_estimator_[-1].coef_)}"
)

# %%
# The picture
# -----------
# Left: the coefficients of the two estimators lie on the diagonal. Right: what a rule does to a
# weight is its penalty's doing; the fitted keep probabilities lie on the rule.
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
title = next(iter(problems))
grid = np.linspace(0, 0.6, 400)
scale = problems[title][0].std(axis=0)
for name, (rule, alpha) in rules.items():
    penalised, dropout = pairs[title, name]
    left.plot(penalised.coef_, dropout.coef_, "o", ms=5, alpha=0.6, label=name)
    (line,) = right.plot(grid, effective_penalty(rule).keep_prob(grid, alpha), label=name)
    kept = dropout.coef_ != 0
    size = np.abs(dropout.coef_ * scale)[kept]
    right.plot(size, dropout.keep_prob_[kept], "o", ms=5, color=line.get_color())
low, high = left.get_xlim()
left.plot([low, high], [low, high], color="0.7", lw=1, zorder=0)
left.set(xlabel="coefficient, penalised", ylabel="coefficient, adaptive dropout", title=title)
left.legend(fontsize="small")
right.set(
    xlabel="|weight| on standardised columns", ylabel="keep probability", title="Rules and fits"
)
right.legend(fontsize="small", loc="lower right")
plt.show()
