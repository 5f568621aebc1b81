"""A program under a pseudo-terminal, with a screen that tests can read."""

import errno
import fcntl
import os
import pty
import re
import signal
import struct
import termios
import threading
import time

import pyte
from harness import PATIENCE

ROWS, COLUMNS = 50, 132


class Screen(pyte.Screen):
    """A screen that answers the program's questions, such as where the cursor is."""

    def __init__(self, answer):
        super().__init__(COLUMNS, ROWS)
        self.write_process_input = answer

    def set_margins(self, *margins, **_):
        """Accepts the private sequences that pyte mistakes for margins."""
        super().set_margins(*margins)

    def report_device_status(self, mode=0, **_):
        super().report_device_status(mode)


class Terminal:
    """A program that runs in a terminal of its own."""

    def __init__(self, *command, env, cwd):
        self._changed = threading.Condition()
        self._screen = Screen(lambda text: self.type(text))
        self._stream = pyte.ByteStream(self._screen)
        self._pid, self._master = pty.fork()
        if self._pid == 0:
            os.chdir(cwd)
            os.execve(command[0], [str(part) for part in command], env)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                block = os.read(self._master, 64 * 1024)
            except OSError as error:
                # On Linux, this is how the end of the program is seen.
                assert error.errno == errno.EIO, error
                return
            with self._changed:
                self._stream.feed(block)
                self._changed.notify_all()

    @property
    def text(self):
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def type(self, text):
        os.write(self._master, text.encode())

    def shows(self, pattern):
        """Waits until the screen matches a pattern and returns the match."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while not (found := re.search(pattern, self.text)):
                assert self._changed.wait(deadline - time.monotonic()), f"no {pattern!r} on the screen:\n{self.text}"
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._reader.join(PATIENCE)
        os.close(self._master)
