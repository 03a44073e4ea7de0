"""Tables (Markdown) and figures of what the stages wrote down."""

import figures
import paper
import search
from matplotlib import pyplot as plt

QUICK = "Quick run: few images and epochs, not the paper's setting."


def write(folder, stages, *, dataset="mnist", quick=False):
    """Write report.md, figure_2.png and error_by_density.png, of the stages that have records."""
    note, mnist = QUICK if quick else "", dataset == "mnist"
    if not mnist:  # what is published, and the goals, are for MNIST
        stages = {
            stage: [r | {"published": [None, None], "goal": None} for r in records]
            for stage, records in stages.items()
        }
    sections = [f"# Case study: {dataset}\n\n{note}".rstrip()]
    sections += [make(stages[name]) for name, make in SECTIONS.items() if stages.get(name)]
    (folder / "report.md").write_text("\n\n".join(sections) + "\n")
    if stages.get("paper"):
        save(figures.over_epochs(stages["paper"], note), folder / "figure_2.png")
    if stages.get("final") or stages.get("rivals"):
        save(
            figures.error_by_density(stages, note, published=mnist), folder / "error_by_density.png"
        )


def save(figure, path):
    """Write a figure and close it."""
    figure.savefig(path, dpi=150)
    plt.close(figure)


def table(header, rows):
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def percent(error, spread):
    """Return a mean error with its standard error, which one seed has none of."""
    return f"{error:.2f} ± {spread:.2f}" if spread else f"{error:.2f}"


def paper_table(records):
    """Return the paper's rows beside ours, means over the seeds."""
    rows = []
    for name in dict.fromkeys(r["name"] for r in records):
        nets = [r for r in records if r["name"] == name]
        counted = [r | {"test_error": paper.published_error(r)} for r in nets]
        _, error, spread = figures.mean_error(counted)
        density, zeroed, _ = figures.mean_error(nets)
        published = ["" if p is None else p for p in nets[0]["published"]]
        here = [percent(error, spread), f"{zeroed:.2f}", f"{density:.4f}", len(nets)]
        rows.append([name, *published, *here])
    header = ["method", "paper: error %", "paper: density", "error %, as the paper counts"]
    return "## The paper's rows\n\n" + table([*header, "error %, zeroed", "density", "seeds"], rows)


def search_table(records):
    """Return the best candidates for each density."""
    rows = []
    for target in sorted({r["target"] for r in records}):
        best = sorted((r for r in records if r["target"] == target), key=search.score)[:5]
        rows += [
            [target, r["name"], f"{r['valid_error']:.2f}", f"{r['valid_loss']:.4f}"] for r in best
        ]
    header = ["density", "candidate", "validation error %", "log loss"]
    return f"## Search, {len(records)} nets\n\n" + table(header, rows)


def final_table(records):
    """Return the test errors of the winners."""
    rows = []
    for target in sorted({r["target"] for r in records}):
        nets = [r for r in records if r["target"] == target]
        density, error, spread = figures.mean_error(nets)
        goal = nets[0]["goal"] or ""
        rows.append([f"{density:.4f}", percent(error, spread), goal, len(nets), nets[0]["name"]])
    header = ["density", "test error %", "goal", "seeds", "settings"]
    return "## Our best, on the test images\n\n" + table(header, rows)


def rivals_table(records):
    """Return the test errors of others, the sparsest first."""
    rows = [
        [name, f"{density:.4f}", percent(error, spread)]
        for name, (density, error, spread) in sorted(
            figures.summarised(records).items(), key=lambda item: item[1]
        )
    ]
    return "## Others\n\n" + table(["", "density", "test error %"], rows)


def conv_table(records):
    """Return the test errors of LeNet-5."""
    header = ["method", "epochs", "images shifted by", "seed", "density", "test error %"]
    rows = [
        [
            r["method"],
            r["epochs"],
            r["shift"],
            r["seed"],
            f"{r['density']:.4f}",
            f"{r['test_error']:.2f}",
        ]
        for r in records
    ]
    return "## LeNet-5\n\n" + table(header, rows)


def deploy_table(records):
    """Return sizes and latencies."""
    rows = [
        [
            r["target"],
            f"{r['test_error']:.2f}",
            form["form"],
            form["architecture"],
            f"{form['bytes'] / 1024:.0f}",
            f"{form['ms_batch_1']:.3f}",
            f"{form['ms_batch_1024']:.2f}",
        ]
        for r in records
        for form in r["forms"]
    ]
    header = [
        "density",
        "test error %",
        "form",
        "architecture",
        "KiB",
        "ms, 1 row",
        "ms, 1024 rows",
    ]
    return "## Sizes and latencies\n\n" + table(header, rows)


SECTIONS = {
    "paper": paper_table,
    "search": search_table,
    "final": final_table,
    "rivals": rivals_table,
    "conv": conv_table,
    "deploy": deploy_table,
}
