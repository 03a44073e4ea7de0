"""
==============================
Which pixels tell digits apart
==============================

A multinomial model has a coefficient for each pixel and class. Penalised one by one, each class
picks its own pixels, and between them they use many. Penalised by the norm of each pixel's
coefficients (``penalize="feature"``), a pixel is looked at for all classes or for none.
"""

# %%
# Two ways to be sparse
# ---------------------
# The classes can be separated, so we take a penalty that holds large coefficients back as well.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdropdual import EffectivePenaltyClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=0.3, stratify=y, random_state=0
)
alphas = {"coefficient": np.geomspace(0.1, 0.004, 7), "feature": np.geomspace(0.2, 0.01, 7)}
models = {
    penalize: [
        EffectivePenaltyClassifier("logsum", alpha, penalize=penalize, tol=1e-4)
        for alpha in strengths
    ]
    for penalize, strengths in alphas.items()
}
pixels, accuracy = {}, {}
for penalize, path in models.items():
    print(f"\npenalize={penalize!r}\n   alpha  coefficients  pixels  test accuracy")
    for model in path:
        model.fit(X_train, y_train)
    pixels[penalize] = [np.count_nonzero(model.coef_.any(axis=0)) for model in path]
    accuracy[penalize] = [model.score(X_test, y_test) for model in path]
    for model, count, score in zip(path, pixels[penalize], accuracy[penalize], strict=True):
        print(f"{model.alpha:8.4f} {np.count_nonzero(model.coef_):13d} {count:7d} {score:14.3f}")

# %%
# Accuracy for pixels, and for coefficients
# -----------------------------------------
# Where a pixel costs (a sensor, a measurement), pay for pixels; where a number costs (memory, an
# explanation of one class), pay for coefficients.
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for penalize, path in models.items():
    label = f"penalize={penalize!r}"
    left.plot(pixels[penalize], accuracy[penalize], "o-", label=label)
    right.plot([np.count_nonzero(model.coef_) for model in path], accuracy[penalize], "o-")
left.set(xlabel="pixels in use", ylabel="accuracy on held-out digits")
right.set(xlabel="nonzero coefficients")
left.legend()
plt.show()

# %%
# The pixels
# ----------
# The smallest model of each with 95 % of the held-out digits right. Red speaks for the class, blue
# against it, white is an exact zero. The last map counts the classes that use a pixel.
fig, axes = plt.subplots(2, 11, figsize=(13, 3.4), layout="constrained")
for row, (penalize, path) in zip(axes, models.items(), strict=True):
    i = next(i for i, score in enumerate(accuracy[penalize]) if score >= 0.95)
    W = path[i].coef_ * X_train.std(axis=0)
    top = np.abs(W).max()
    for axis, label, w in zip(row, path[i].classes_, W, strict=False):
        axis.imshow(w.reshape(8, 8), cmap="RdBu_r", vmin=-top, vmax=top)
        axis.set_title(f"{label}", fontsize="medium")
    count = row[-1].imshow(np.count_nonzero(W, axis=0).reshape(8, 8), cmap="Greys", vmin=0, vmax=10)
    row[-1].set_title("classes", fontsize="medium")
    row[0].set_ylabel(
        f"{penalize}\n{pixels[penalize][i]} pixels\naccuracy {accuracy[penalize][i]:.3f}",
        rotation=0,
        ha="right",
        va="center",
    )
    print(
        f"penalize={penalize!r}: {np.count_nonzero(W)} coefficients, {pixels[penalize][i]} pixels, "
        f"accuracy {accuracy[penalize][i]:.3f}"
    )
fig.colorbar(count, ax=axes[:, -1], ticks=[0, 5, 10])
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
plt.show()
