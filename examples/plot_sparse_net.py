"""
=========================
A net with few weights
=========================

A multilayer perceptron for handwritten digits, dense and with a tenth, a twentieth and 3 % of
its weights. What is left is smaller in every sense: weights, neurons, and pixels that are read.
"""

# %%
# Dense and sparse
# ----------------
# ``target_density`` fixes what is left, `healing_epochs` let it learn on without a penalty.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdropdual.inspection import LayerSparsityDisplay, SparsityHistoryDisplay
from skdropdual.neural_network import SparseMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=0.3, random_state=0, stratify=y
)
dense = SparseMLPClassifier((64,), method="none", max_epochs=40, random_state=0)
dense.fit(X_train, y_train)
print(f"dense: {dense.score(X_test, y_test):.3f}")
models = {}
for density in (0.1, 0.05, 0.03):
    model = SparseMLPClassifier(
        (64,), target_density=density, max_epochs=60, healing_epochs=10, lr=3e-3, random_state=0
    )
    models[density] = model.fit(X_train, y_train)
    small = model.compact()
    print(
        f"density {model.density_:.3f}: {model.score(X_test, y_test):.3f}, "
        f"{len(model.selected_features_)} of 64 pixels, "
        f"{64 - model.sparsity_[1]['dead_inputs']} of 64 neurons read; compacted "
        f"{sum(p.numel() for p in small.parameters())} of "
        f"{sum(p.numel() for p in model.module_.parameters())} parameters"
    )

# %%
# How it came about, and which pixels survive
# -------------------------------------------
SparsityHistoryDisplay.from_estimator(models[0.1])
fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, density in zip(axes, (0.1, 0.03), strict=True):
    LayerSparsityDisplay.from_estimator(models[density], kind="inputs", image_shape=(8, 8), ax=ax)
    ax.set_title(f"density {density}: weights left at each pixel")
plt.show()
