"""Child processes that answer line by line and can be stopped."""

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
MARK = "@@"


class ChildError(Exception):
    """A child that was stopped or died; the message says which."""


def lines(script, *args, limits):
    """Run a script, yield what it says behind `MARK`.

    Parameters
    ----------
    script : str
    *args : str
    limits : callable
        Called with the number of answers so far; seconds that the next one may take.

    Raises
    ------
    ChildError
        Time is up ("timeout"), or the child died.
    """
    command = [sys.executable, str(HERE / script), *args]
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        answers = queue.Queue()
        threading.Thread(target=_listen, args=(child.stdout, answers), daemon=True).start()
        count = 0
        try:
            while True:
                deadline = time.monotonic() + limits(count)
                line = _next(answers, deadline)
                if line is None:
                    break
                yield line
                count += 1
            code = child.wait()
        finally:
            child.kill()
            child.wait()
        if code:
            errors.seek(0)
            said = errors.read().strip().splitlines() or [""]
            raise ChildError(f"crash ({code}): {said[-1][:100]}")


def talk(spec, limits):
    """Run the worker on a specification, yield its answers."""
    for line in lines("worker.py", json.dumps(spec), limits=limits):
        yield json.loads(line)


def _listen(stream, answers):
    for line in stream:
        if line.startswith(MARK):
            answers.put(line[len(MARK) :])
    answers.put(None)


def _next(answers, deadline):
    try:
        return answers.get(timeout=max(deadline - time.monotonic(), 0.001))
    except queue.Empty:
        raise ChildError("timeout") from None
