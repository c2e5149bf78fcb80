import signal
import subprocess
import sys

from quicksilver.training.interrupts import held_back


def run(code: str) -> str:
    """What a process of its own prints: a signal that comes late would end the test runner itself."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


ANOTHER_THREAD = """
import os, signal, threading
from quicksilver.training.interrupts import held_back

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
stop = threading.Event()
other = threading.Thread(target=stop.wait, daemon=True)
other.start()
read, write = os.pipe()
os.set_blocking(write, False)
signal.set_wakeup_fd(write)
try:
    with held_back():
        signal.pthread_kill(other.ident, signal.SIGINT)
        os.read(read, 1)  # the other thread has been given it
        print("the end")
except KeyboardInterrupt:
    print("interrupted")
stop.set()
other.join()
"""


def test_an_interrupt_that_another_thread_is_given_waits_too():
    """Python runs the handler in the main thread, whichever thread the signal was delivered to."""
    assert run(ANOTHER_THREAD) == "the end\ninterrupted\n"


def test_without_an_interrupt_the_handler_is_as_it_was():
    before = signal.getsignal(signal.SIGINT)
    with held_back():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


NEW_PROCESS = """
import subprocess, sys
from quicksilver.training.interrupts import held_back

with held_back():
    child = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('alive')"
    subprocess.run([sys.executable, "-c", child], check=True)
"""


def test_a_process_started_meanwhile_does_not_hear_it():
    assert run(NEW_PROCESS) == "alive\n"
