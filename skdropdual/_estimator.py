"""What every estimator promises: a fit that fails leaves it as it was."""

from functools import wraps


def unchanged_on_error(method):
    """Put the attributes of the estimator back if a method fails or is interrupted."""

    @wraps(method)
    def wrapper(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapper
