"""How a linear problem is solved; the estimators in `skdropdual.linear_model` are the public face."""
