"""How a linear problem is solved; `skdropdual.linear_model` is the public face."""
