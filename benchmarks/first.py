"""The first fit of a fresh process, import included, which is what a script or a test pays.

`python first.py LIBRARY FOLDER ALPHA` prints the seconds from its first line to the end of the fit.
"""

import sys
import time

START = time.perf_counter()

FITS = {
    "skdropdual": """
from skdropdual.linear_model import EffectivePenaltyRegressor
EffectivePenaltyRegressor("l1", alpha=alpha, fit_intercept=False, standardize=False).fit(X, y)
""",
    "sklearn": """
from sklearn.linear_model import Lasso
Lasso(alpha, fit_intercept=False, copy_X=False).fit(X, y)
""",
    "celer": """
from celer import Lasso
Lasso(alpha, fit_intercept=False).fit(X, y)
""",
    "skglm": """
from skglm import Lasso
Lasso(alpha, fit_intercept=False).fit(X, y)
""",
    "adelie": """
import adelie
adelie.grpnet(X, adelie.glm.gaussian(y), lmda_path=np.array([alpha]), intercept=False,
              early_exit=False, progress_bar=False)
""",
    "pycasso": """
import pycasso
pycasso.Solver(X, y, lambdas=np.array([alpha]), useintercept=False, standardize=False).train()
""",
}

if __name__ == "__main__":
    import numpy as np

    X, y = np.load(f"{sys.argv[2]}/X.npy"), np.load(f"{sys.argv[2]}/y.npy")
    alpha = float(sys.argv[3])
    exec(FITS[sys.argv[1]])  # noqa: S102
    sys.stdout.write(f"@@{time.perf_counter() - START}\n")
