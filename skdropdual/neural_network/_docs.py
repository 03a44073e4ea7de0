"""Documentation that the estimators share."""

PARAMETERS = r"""
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer, all >= 1; () is a linear model.
    activation : str, default="relu"
        "relu", "tanh", "logistic", "identity", "gelu", "silu", "elu", "leaky_relu" or "softplus".
    method : str or route, default="adaprox"
        How the penalty is minimised, a name of `list_methods`: "penalty" adds it to the loss,
        "adatikhonov" as a ridge refreshed at each step, "adaprox" as a proximal step after each
        step on the loss, "eta-trick" by learning eta; "gaussdrop" and "adadrop" by noise.
        "vardrop", "vardrop-lr" and "vardrop-lr-ar" (variational dropout, local
        reparametrisation, additive), "hardconcrete", "standout", "factorized", "hardthreshold" and
        "prune" (magnitudes) bring their own penalty; "none" has none. Or an object of
        `skdropdual.neural_network.routes` with parameters, such as ``Factorized(depth=3)``.
    penalty : str, Penalty or callable, default="logsum"
        What `effective_penalty` takes. Used by the methods that take one.
    alpha : float > 0 or "auto", default="auto"
        Strength of the penalty added to the mean loss. "auto" is :math:`c/(n + 250)` for n
        training rows, with the c of the method: `alpha_` tells.
    structure : {"weight", "input", "neuron", "channel"}, default="weight"
        What goes together: single weights; the weights of each input of the net
        (`selected_features_`); those into each hidden neuron; those of each channel of a hidden
        convolution. The penalty then acts on the norm of the group, its strength times the root of
        the size, and `density_` counts the layers concerned.
    target_density : float in (0, 1], default=None
        Fraction of weights to end with. The weights with the smallest keep probabilities go, on a
        cubic schedule within `pruning_span`; where the penalty leaves too few it is eased. The
        methods "prune" and "hardthreshold" take 0.1 where none is given.
    keep_prob_tol : float in [0, 1), default=0.05
        Weights whose keep probability is smaller are zero: in validation, and for good after the
        fit. Not used with a `target_density`.
    optimizer : {"adam", "adamw", "sgd"}, default="adam"
        "sgd" has momentum 0.9.
    lr : float > 0, default=2e-3
        Largest learning rate.
    lr_schedule : {"constant", "linear", "constant-linear", "cosine"}, default="constant-linear"
        "linear" and "cosine" fall to 0 from the first epoch, "constant-linear" from half-way.
    weight_decay : float >= 0, default=0.0
        Of the optimizer.
    max_grad_norm : float > 0, default=None
        Gradients with a larger norm are scaled down to it.
    batch_size : int > 0 or "auto", default="auto"
        Rows in a step; "auto" is n/16 within 8 and 128.
    max_epochs : int > 0, default=100
        Epochs, of which the schedules speak.
    warmup : (float, float) or "auto", default="auto"
        Fractions of the epochs until which the strength is 0, and from which it is `alpha`; a ramp
        between. "auto" is (0.05, 0.4); for a linear model, which starts without weights, (0, 0).
    pruning_span : (float, float), default=(0.1, 0.7)
        Fractions of the epochs at which pruning to `target_density` starts and ends.
    healing_epochs : int >= 0, default=0
        Epochs after these in which what is left learns without a penalty, zeros frozen.
    early_stopping : bool, default=False
        Hold rows out, stop when their loss has not fallen for `n_iter_no_change` epochs, and
        return to the best one. Epochs count once warm-up and pruning are over.
    validation_fraction : float in (0, 1), default=0.1
        Rows held out by `early_stopping`.
    n_iter_no_change : int > 0, default=10
        Epochs without a better loss."""

MORE_PARAMETERS = r"""
    warm_start : bool, default=False
        Start from the weights of the last fit.
    checkpoint : str or path, default=None
        A file that keeps the state of training after each epoch (safetensors). A fit that was
        killed goes on from it, on a CPU to the same result bit for bit.
    compile : bool, default=False
        On CUDA, fuse the net, its method and the optimizer by torch.compile: some ten seconds
        before the first step, for faster ones. A step there is one CUDA graph in any case;
        elsewhere this changes nothing.
    precision : {"float32", "float64", "bfloat16"}, default="float32"
        Of training; "bfloat16" is autocast. Predictions are computed in float64.
    device : str or torch.device, default="auto"
        "auto" is CUDA where there is one, else "cpu".
    callbacks : list of skorch callbacks, default=None
        They see the train and epoch hooks. scikit-learn callbacks (`set_callbacks`) see an epoch
        as a task.
    random_state : int, RandomState or None, default=None
        Seeds weights, order and noise. No global generator is touched, with None neither.
    verbose : int, default=0
        1 lets skorch print a line for each epoch."""

ATTRIBUTES = r"""
    module_ : torch.nn.Sequential
        The net, with plain weights and exact zeros.
    net_ : skorch.NeuralNet
        The skorch net around it.
    history_ : skorch.history.History
        For each epoch "train_loss" (without penalty), "valid_loss" (if rows are held out), "lr",
        "alpha", "density" and "dur".
    n_iter_ : int
        Epochs.
    loss_curve_ : list of float
        Training losses.
    alpha_ : float
        Strength once it was fully on.
    coefs_ : list of ndarray of shape (n_inputs, n_units)
        Weights of the layers.
    intercepts_ : list of ndarray of shape (n_units,)
        Biases of the layers.
    density_ : float
        Fraction of the weights that are not zero; with a `structure` other than "weight", of whole
        groups in the layers that have them.
    sparsity_ : list of dict
        For each layer "layer", "weights", "nonzero", "density", "dead_inputs" (read by no unit) and
        "dead_neurons" (that read nothing).
    selected_features_ : ndarray of int
        Inputs that reach an output.
    feature_importances_ : ndarray of shape (`n_features_in_`,)
        Norms of their first weights, 0 for the others; for `SelectFromModel`.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they were strings."""

NET = r"""
    *args : tuple
        Further positional parameters of skorch's class.
    method : str or route, default="adaprox"
        As in `SparseMLPClassifier`.
    penalty : str, Penalty or callable, default="logsum"
        As there.
    alpha : float > 0 or "auto", default="auto"
        Strength; "auto" is :math:`c/(n + 250)` for n training rows, with the c of the method.
    weights : "all", list of str or callable, default="all"
        Every weight of a Linear or ConvNd layer, those with these names ("features.0.weight"), or
        those for which ``weights(name, layer)`` is true.
    structure : {"weight", "input", "neuron", "channel"}, default="weight"
        What goes together, as there.
    target_density : float in (0, 1], default=None
        Fraction of these weights to end with.
    keep_prob_tol : float in [0, 1), default=0.05
        Weights whose keep probability is smaller are zero.
    warmup : (float, float), default=(0.05, 0.4)
        Fractions of the epochs until which the strength is 0, and from which it is `alpha`.
    pruning_span : (float, float), default=(0.1, 0.7)
        Fractions of the epochs at which pruning to `target_density` starts and ends.
    healing_epochs : int >= 0, default=0
        Epochs after these in which what is left learns without a penalty, zeros frozen.
    train_split : callable, default=None
        Split of the rows as in skorch; None holds none out.
    verbose : int, default=0
        1 prints a line for each epoch."""

NET_ATTRIBUTES = """
    Attributes
    ----------
    module_ : torch.nn.Module
        The net, with plain weights and exact zeros.
    history : skorch.history.History
        For each epoch what skorch records, "alpha" and "density".
    density_ : float
        Fraction of the weights concerned that are not zero.
    sparsity_ : list of dict
        As in `SparseMLPClassifier`."""
