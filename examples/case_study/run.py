"""The case study as one command.

    python examples/case_study/run.py --data FOLDER --output FOLDER
    python examples/case_study/run.py --quick                 # two minutes on two cores

Results are JSON, written as they come; a run that was stopped goes on where it was. The stages:
"paper" (its seven rows), "search" (settings, on training images only), "final" (ours, the best of
them, on the test images), "rivals" (others', on the same), "conv" (LeNet-5), "deploy" (sizes and
latencies of the final nets) and "report" (tables and figures).
"""

import argparse
import logging
import re
from pathlib import Path

import conv
import data
import deploy
import paper
import rivals
import search
import torch
from training import LOG, Clock, Store, machine, write

STAGES = ("paper", "search", "final", "rivals", "conv", "deploy", "report")
QUICK_STAGES = tuple(stage for stage in STAGES if stage != "conv")
QUICK_ROWS = 6000  # a tenth
QUICK_EPOCHS = 4
QUICK_DENSITIES = [0.0147, 0.083]
QUICK_METHODS = {
    "paper": ("VarDrop+LR", "AdaProx", "LogSum"),
    "search": ("vardrop-lr-ar",),
    "rivals": ("dense", "prune"),
    "conv": ("vardrop-lr-ar",),
}


def parse(arguments=None):
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--data", help="folder with mnist.npz (default: SKDROPDUAL_DATA, else OpenML)")
    add("--dataset", choices=list(data.SETS), default="mnist")
    add("--stages", nargs="*", choices=STAGES, help="these only, in this order")
    add("--methods", nargs="*", help="rows of the paper, methods of the search, rivals: these only")
    add("--densities", nargs="*", type=float, help="to end with, instead of those of each stage")
    add("--match", help="candidates of the search: those whose names this regular expression finds")
    add("--epochs", type=int, help="instead of those of each stage")
    add("--seeds", type=int, help="default: 5 of rows, winners and rivals, 1 of LeNet-5")
    add("--rows", type=int, help="training images, the first ones (default: all)")
    add("--shift", type=int, default=0, help="pixels by which images of LeNet-5 move at most")
    add("--minutes", type=float, help="start nothing new after these")
    add("--device", default="auto")
    add("--workers", type=int, default=1, help="processes for the rows of the paper, on a GPU")
    add("--compile", action="store_true", help="on a GPU, fuse the steps of the paper's rows")
    add("--tf32", action="store_true", help="on a GPU, products of 10 bits (TensorFloat-32)")
    add("--quick", action="store_true", help="few rows, epochs and nets: not the real settings")
    add("--output", default="case_study_results")
    options = parser.parse_args(arguments)
    options.stages = options.stages or list(QUICK_STAGES if options.quick else STAGES)
    if options.quick:
        options.rows = min(options.rows or QUICK_ROWS, QUICK_ROWS)
        options.epochs, options.seeds = min(options.epochs or QUICK_EPOCHS, QUICK_EPOCHS), 1
        options.densities = QUICK_DENSITIES
    return options


class Study:
    """The stages, with what they share."""

    def __init__(self, options):
        self.options, self.clock = options, Clock(options.minutes)
        name = options.dataset + ("_quick" if options.quick else "")
        self.folder = Path(options.output) / name
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def seeds(self):
        """The seeds of rows, winners and rivals."""
        return range(self.options.seeds or 5)

    def store(self, stage):
        """Return the records of a stage."""
        return Store(self.folder / f"{stage}.json")

    def train(self):
        """Return the training images."""
        X, y = data.load_train(self.options.dataset, self.options.data)
        return X[: self.options.rows], y[: self.options.rows]

    def test(self):
        """Return the test images."""
        return data.load_test(self.options.dataset, self.options.data)

    def chosen(self, stage, names):
        """Return those of the names that the options ask for."""
        asked = self.options.methods
        if asked is None:
            return QUICK_METHODS[stage] if self.options.quick else tuple(names)
        return tuple(name for name in names if name in asked)

    def shared(self, epochs):
        """Return what every stage takes."""
        return {
            "epochs": self.options.epochs or epochs,
            "device": self.options.device,
            "clock": self.clock,
        }

    def paper(self):
        """The seven rows, and the eta-trick with the right dual."""
        names, seeds = self.chosen("paper", paper.settings()), self.seeds
        shared = self.shared(paper.EPOCHS)
        shared |= {"workers": self.options.workers, "compiled": self.options.compile}
        paper.run(
            self.train(), self.test(), self.store("paper"), names=names, seeds=seeds, **shared
        )

    def search(self):
        """Candidates on the training images."""
        methods = self.chosen("search", search.METHODS)
        found = search.candidates(methods, self.options.densities or search.DENSITIES)
        if self.options.quick:
            found = {k: v for k, v in found.items() if "plain, strength 1.0, heal 20" in k}
        if self.options.match:
            found = {k: v for k, v in found.items() if re.search(self.options.match, k)}
        shared = self.shared(search.EPOCHS)
        search.run(self.train(), self.store("search"), chosen=found, seeds=range(1), **shared)

    def final(self):
        """The winner, once, on the test images."""
        search.run_final(
            self.train(),
            self.test(),
            self.store("final"),
            densities=self.options.densities or search.DENSITIES,
            seeds=self.seeds,
            folder=self.folder,
            **self.shared(search.EPOCHS),
        )

    def rivals(self):
        """Others' methods and libraries, with settings from the search where it has them."""
        rivals.run(
            self.train(),
            self.test(),
            self.store("search").records,
            self.store("rivals"),
            names=self.chosen("rivals", rivals.NAMES),
            densities=self.options.densities or search.DENSITIES,
            seeds=self.seeds,
            **self.shared(search.EPOCHS),
        )

    def conv(self):
        """LeNet-5."""
        methods = self.chosen("conv", conv.METHODS)
        densities = self.options.densities or conv.DENSITIES
        densities = densities[-1:] if self.options.quick else densities
        shared, store = self.shared(conv.EPOCHS), self.store("conv")
        shared["shift"] = self.options.shift
        shared["seeds"] = range(self.options.seeds or 1)
        conv.run(self.train(), self.test(), store, methods=methods, densities=densities, **shared)

    def deploy(self):
        """Sizes and latencies of the final nets."""
        deploy.run(self.folder, self.store("final").records, self.store("deploy"))

    def report(self):
        """Tables and figures of all there is."""
        import report

        stages = {stage: self.store(stage).records for stage in STAGES[:-1]}
        report.write(self.folder, stages, dataset=self.options.dataset, quick=self.options.quick)


def main(arguments=None):
    """Run the stages asked for."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options = parse(arguments)
    if options.tf32:
        torch.set_float32_matmul_precision("high")
    study = Study(options)
    if options.quick:
        print(
            f"Quick: {options.rows} images, {options.epochs} epochs, few nets. This shows that it "
            "runs; it is not the paper's setting, and its errors say nothing about the methods."
        )
    write(study.folder / "machine.json", machine() | {"options": vars(options)})
    failed = []
    for stage in options.stages:
        try:
            getattr(study, stage)()
        except Exception:  # nobody may be there: the other stages run all the same
            LOG.exception("the stage %s failed", stage)
            failed.append(stage)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
