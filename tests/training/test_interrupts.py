import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from quicksilver.training.interrupts import held_back


@pytest.fixture(autouse=True)
def heard():
    """Ctrl-C raises, also where the tests run in the background and it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_another_thread_is_given_waits_too():
    """Python runs the handler in the main thread, whichever thread the signal was delivered to."""
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    reached = []
    try:
        with pytest.raises(KeyboardInterrupt), held_back():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            reached.append("the end")
        assert reached == ["the end"]
    finally:
        stop.set()
        other.join()


def test_without_an_interrupt_the_handler_is_as_it_was():
    before = signal.getsignal(signal.SIGINT)
    with held_back():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_process_started_meanwhile_does_not_hear_it():
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('alive')"
    with held_back():
        heard = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert heard.stdout == b"alive\n"
