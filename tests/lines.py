"""What the tests of displays ask of a line."""

import numpy as np


def data_of(line):
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def same_line(line, x, height):
    np.testing.assert_array_equal(data_of(line)[0], x)
    np.testing.assert_array_equal(data_of(line)[1], height)
