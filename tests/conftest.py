"""What holds for every test."""

import os


def pytest_configure() -> None:
    """Tests, and the processes that they start, use one thread for PyTorch's small products.

    With two, a thread waits busily for the other at every product: beside any other program a test took ten times as
    long.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
