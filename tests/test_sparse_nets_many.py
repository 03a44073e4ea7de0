"""Many nets trained as one end where each would alone."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_regression

from skdropdual.neural_network import SparseMLPClassifier, SparseMLPRegressor, list_methods
from skdropdual.neural_network._many import fit_many
from skdropdual.neural_network._stack import linear

X, Y = load_digits(return_X_y=True)
X = X[:400] / 16
Y = Y[:400]
FEW = (X[:240], Y[:240], None)
OTHERS = (X[160:], Y[160:], None)
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2, len(Y))


def nets(n=4, cls=SparseMLPClassifier, **options):
    settings = {"hidden_layer_sizes": (12,), "max_epochs": 5, "batch_size": 64}
    settings |= {"precision": "float64", "device": "cpu"}
    models = [cls(**settings | options, random_state=k) for k in range(n)]
    for k, model in enumerate(models[1:], 1):
        model.set_params(alpha=10 ** (-2 - 0.5 * k), lr=2e-3 / k)
    return models


def check_alike(models, data, tol=1e-8):
    alone = [clone(model).fit(*parts) for model, parts in zip(models, data, strict=True)]
    fit_many(models, data)
    for one, two in zip(models, alone, strict=True):
        for a, b in zip(one.coefs_ + one.intercepts_, two.coefs_ + two.intercepts_, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tol)
            np.testing.assert_array_equal(a != 0, b != 0)
        for name in ("epoch", "train_loss", "lr", "alpha", "density"):
            assert one.history_[:, name] == pytest.approx(two.history_[:, name], rel=1e-5), name
        assert one.density_ == two.density_
        assert one.n_iter_ == two.n_iter_
        assert one.alpha_ == pytest.approx(two.alpha_)
    return alone


@pytest.mark.parametrize("method", list_methods())
def test_every_method_ends_as_alone(method):
    target = None if method in ("none", "standout") else 0.3
    models = nets(method=method, target_density=target, healing_epochs=1)
    alone = check_alike(models, [FEW, OTHERS, FEW, OTHERS])
    np.testing.assert_allclose(models[0].predict_proba(X), alone[0].predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("method", ["none", "adadrop", "gaussdrop"])
def test_bfloat16_ends_as_alone(method):
    check_alike(nets(method=method, precision="bfloat16"), [FEW] * 4, tol=1e-6)


def test_linear_layers_of_a_stack():
    generator = torch.Generator().manual_seed(0)
    shapes = (3, 7, 5), (3, 4, 5), (3, 1, 4)
    parts = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    inputs, weight, bias = (part.requires_grad_() for part in parts)
    for k, outputs in enumerate(linear(inputs, weight, bias)):
        alone = torch.nn.functional.linear(inputs[k], weight[k], bias[k, 0])
        torch.testing.assert_close(outputs, alone, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(linear, (inputs, weight, bias))
    assert torch.autograd.gradcheck(linear, (inputs, weight))
    (gradient,) = torch.autograd.grad(linear(inputs, weight, bias).sum(), weight)
    assert gradient.stride() == weight.stride()  # else torch copies it, transposed


@pytest.mark.parametrize("structure", ["input", "neuron"])
@pytest.mark.parametrize("method", ["adaprox", "penalty", "hardthreshold", "factorized", "vardrop"])
def test_groups_end_as_alone(method, structure):
    models = nets(method=method, structure=structure, target_density=0.4)
    check_alike(models, [FEW] * 4)


def test_own_target_densities():
    models = nets(method="prune")
    for model, density in zip(models, [0.1, 0.2, 0.5, 0.3], strict=True):
        model.set_params(target_density=density)
    check_alike(models, [FEW] * 4)
    assert [round(model.density_, 2) for model in models] == [0.1, 0.2, 0.5, 0.3]


def test_sparse_data_weights_labels_and_gradients_of_a_norm():
    sparse = (sp.csr_array(X), Y, WEIGHTS)
    check_alike(nets(2, max_grad_norm=0.5), [sparse, sparse])
    labels = (X, np.stack([Y > 4, Y % 2], axis=1).astype(int), None)
    two = (X, Y > 4, WEIGHTS)
    check_alike(nets(3, optimizer="sgd", lr=0.05), [labels, two, two])
    check_alike(nets(2, class_weight="balanced", optimizer="adamw", weight_decay=0.1), [FEW, FEW])


def test_regressors():
    features, y = make_regression(120, 8, n_targets=2, random_state=0)
    data = (features, y / y.std(), None)
    check_alike(nets(2, SparseMLPRegressor), [data, data])


def test_what_differs_is_fitted_apart():
    models = nets(5)
    models[1].set_params(hidden_layer_sizes=(7,))
    models[2].set_params(penalty="mcp")
    models[3].set_params(early_stopping=True)
    models[4].set_params(max_epochs=3)
    check_alike(models, [FEW] * 5)


def test_functions_of_one_name_are_two_penalties():
    def rule(epsilon):
        return lambda w: w / (w + epsilon)

    models = nets(2)
    for model, epsilon in zip(models, (0.01, 1.0), strict=True):
        model.set_params(penalty=rule(epsilon), alpha=0.01)
    check_alike(models, [FEW] * 2)


def test_stacks_of_a_largest_size():
    one, two = nets(3), nets(3)
    fit_many(one, [FEW] * 3, max_nets=2)
    fit_many(two, [FEW] * 3)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a.coefs_[0], b.coefs_[0], atol=1e-8)


def test_a_net_that_diverges_leaves_the_others_alone():
    models = nets(3, optimizer="sgd")
    models[1].set_params(lr=1e200)
    fit_many(models, [FEW] * 3)
    assert np.isnan(models[1].loss_curve_[-1])
    alone = clone(models[1])
    fit_many([alone], [FEW])
    assert np.isnan(alone.loss_curve_[-1])
    early = clone(models[1]).set_params(early_stopping=True)
    fit_many([early], [FEW])
    assert np.isnan(early.loss_curve_[-1])
    expected = clone(models[2]).fit(*FEW)
    np.testing.assert_allclose(models[2].coefs_[0], expected.coefs_[0], atol=1e-8)


def test_the_global_generator_is_untouched():
    before = torch.get_rng_state()
    fit_many(nets(2, method="vardrop-lr"), [FEW] * 2)
    assert torch.equal(torch.get_rng_state(), before)
