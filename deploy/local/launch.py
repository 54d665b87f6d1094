"""Becomes the command given, so that it cannot outlive the process that asked for it. Run as a script, stdlib only.

usage: launch.py PARENT_PID USER|- COMMAND [ARG...]

Linux: the kernel sends SIGKILL when the asking thread ends. Elsewhere a detached watcher does, within its interval.
USER is taken on when started as root, keeping only the right to pass folders that root alone can open.
A program of its own because code between fork and exec is unsafe once gRPC has started threads.
"""

import contextlib
import ctypes
import os
import pwd
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
WATCH_INTERVAL_S = 0.2


def become(user: str) -> None:
    entry = pwd.getpwnam(user)
    libc = ctypes.CDLL(None, use_errno=True)
    linux = sys.platform == "linux"
    if linux:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if linux:
        keep_folder_access(libc)


def keep_folder_access(libc: ctypes.CDLL) -> None:
    """Without the capability (a trimmed container) this does nothing: then every folder above must be open to all."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bit = 1 << CAP_DAC_OVERRIDE
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if libc.capset(header, data) == 0:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        watch_from_aside(parent, os.getpid())
    if os.getppid() != parent:
        sys.exit(f"launch: parent {parent} is gone")


def watch_from_aside(parent: int, child: int) -> None:
    if os.fork():
        os.wait()
        return
    if os.fork():
        os._exit(0)
    os.setsid()
    os.closerange(0, 3)
    while alive(child):
        if not alive(parent):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(WATCH_INTERVAL_S)
    os._exit(0)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main(argv: list[str]) -> None:
    parent, user, *command = argv
    if user != "-" and os.geteuid() == 0:
        become(user)
    die_with(int(parent))
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is the caller's
    except OSError as error:
        sys.exit(f"launch: {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
