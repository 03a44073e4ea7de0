"""How a linear problem is solved; `skdropdual.linear_model` is the public face."""

try:
    from . import _kernels as _kernels
except ImportError as error:
    raise ImportError(
        f"The compiled kernels of skdropdual are not in {__path__[0]} ({error}). In a clone, "
        '"python -m pip install -e ." builds them; without -e, run Python in another folder.'
    ) from error
