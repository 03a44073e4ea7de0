r"""
=============================================
Effective penalties of dropout: paper, Fig. 1
=============================================

Left: the penalty :math:`P(w)` that each dropout rule amounts to. Right: the penalty of a unit
vector with k equal nonzero entries out of 32: a sparsity-inducing rule prefers few of them.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from skdropdual.penalties import MCP, HardConcrete, HardThreshold, LogSum, Standout, VarDrop

# The strengths of LeJeune, Javadi and Baraniuk (2021), except hard concrete's 1/2.
penalties = {
    "VarDrop": (VarDrop(), 1.0),
    "Standout": (Standout(), 1.0),
    "HardConcrete": (HardConcrete(), 0.5),
    "LogSum(2)": (LogSum(epsilon=2.0), 2.0),
    "MCP(1/2)": (MCP(gamma=0.5), np.sqrt(2.0)),
}
styles = ["-", "--", "-.", ":", (0, (5, 1))]
w = np.logspace(-2, np.log10(5), 400)
n_nonzero = np.arange(33)
# Row k: the unit vector with k equal nonzeros.
unit = np.tri(33, 32, -1) / np.sqrt(np.maximum(n_nonzero, 1))[:, None]

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (name, (penalty, alpha)), style in zip(penalties.items(), styles, strict=True):
    left.plot(w, penalty.value(w, alpha), ls=style, label=name)
    right.plot(n_nonzero, penalty.value(unit, alpha).sum(axis=1), ls=style, label=name)

# At most 16 nonzeros are free; more cost inf, drawn as a wall.
inside = [k for k in n_nonzero if np.isfinite(HardThreshold(k=16).total(unit[k]))]
right.plot(
    [*inside, inside[-1]], [0] * len(inside) + [9], color="0.4", lw=1, label="HardThreshold(16)"
)

left.set(xscale="log", xlabel=r"$|w|$", ylabel=r"$P(w)$", title="Penalty of one weight")
right.set(ylim=(0, 9), xlabel="nonzeros of a unit vector in $R^{32}$", ylabel=r"$\sum_j P(w_j)$")
right.set_title("Penalty of a vector")
left.legend()
right.legend()
plt.show()
