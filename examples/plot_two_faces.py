"""
================================
The two faces, in three pictures
================================

A dropout rule says which weights are kept, a path shows which columns enter the model that it
amounts to, and two estimators, one for each face, end at the same coefficients.
"""

# %%
import sys

import matplotlib.pyplot as plt
from sklearn.datasets import make_regression

from skdropdual import EffectivePenaltyRegressor
from skdropdual.inspection import DualityDisplay, PathDisplay, PenaltyDisplay

X, y = make_regression(100, 200, n_informative=8, noise=20.0, random_state=0)
y = y / y.std()
model = EffectivePenaltyRegressor("mcp", alpha=0.1).fit(X, y)

# %%
# Rules by the names of their penalties; the path and both fits are those of MCP.
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for penalty in ("l1", "mcp", "vardrop"):
    PenaltyDisplay.from_penalty(penalty, 1.0, quantities="keep_prob", ax=left)
left.set_title("A rule: which weights are kept")
path = PathDisplay.from_estimator(model, X, y, ax=middle, n_named=8)
middle.legend(handles=[path.alpha_line_], fontsize="small")
middle.set_title("A path: which columns enter")
faces = DualityDisplay.from_estimator(model, X, y, ax=right)
right.set_title("Two estimators, one model")
print(f"largest difference of coefficients: {faces.difference_:.1e}")

# %%
# ``python examples/plot_two_faces.py FILE`` saves the picture, as the README has it.
if len(sys.argv) == 2 and sys.argv[1].endswith((".png", ".svg")):
    fig.savefig(sys.argv[1], dpi=80)
plt.show()
