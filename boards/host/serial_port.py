# SPDX-License-Identifier: Apache-2.0
"""Serial ports: opening one for a board, with an error that says what to do if that fails."""

import contextlib
import errno
import os

from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.installation import how_to_install
from crossramp.golden.link.link_protocol import BAUD


class PortError(InvalidValue):
    """A port cannot be opened; one line with its name, the reason and what to do."""


def open_port(name: str, baud: int = BAUD):
    """The serial port ``name``, 8 data bits, no parity, 1 stop bit, for this process alone.

    Reads return at once with the bytes received so far. Bytes from before the call are discarded.

    Parameters
    ----------
    name : str
        What the system calls it: ``/dev/ttyUSB1``, ``/dev/cu.usbserial-1``, ``COM3``.
    baud : int
        Bits per second.

    Returns
    -------
    serial.Serial

    Raises
    ------
    PortError
    """
    try:
        import serial
    except ImportError:
        raise PortError(
            f"boards are reached through pyserial, which is missing; type: {how_to_install('board')}"
        ) from None
    try:
        # exclusive: the lock of every program that uses pyserial; elsewhere than on POSIX it is always so.
        port = serial.Serial(name, baud, timeout=0, write_timeout=None, exclusive=True if os.name == "posix" else None)
    except serial.SerialException as error:
        raise PortError(_reason(name, error)) from None
    except (ValueError, OverflowError, OSError) as error:
        raise PortError(
            f"{name}: {baud} baud cannot be set ({error}); give the --baud that the board was built for"
        ) from None
    if hasattr(port, "set_low_latency_mode"):
        # Otherwise an FTDI chip keeps short answers for 16 ms. Ports that cannot do without.
        with contextlib.suppress(OSError, ValueError):
            port.set_low_latency_mode(True)
    port.reset_input_buffer()
    return port


def ports() -> list[str]:
    """The serial ports that this machine has, those on USB first, each with what it says it is."""
    from serial.tools.list_ports import comports

    found = sorted(comports(), key=lambda port: (port.vid is None, port.device))
    return [port.device + ("" if port.description in (None, "n/a") else f" ({port.description})") for port in found]


def _reason(name: str, error: OSError) -> str:
    """What is wrong with the port, and what to do."""
    text = str(error)
    # On Windows pyserial tells the kind of error in words only.
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO) or "FileNotFoundError" in text:
        return f"{name}: no such port; {_there()}"
    if error.errno in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "PermissionError" in text:
        return f"{name}: in use by another program; close that first"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{name}: no permission to open it; {_permission(name)}"
    if error.errno in (errno.ENOTTY, errno.EINVAL, errno.EISDIR) or "Could not configure port" in text:
        return f"{name}: no serial port; {_there()}"
    return f"{name}: cannot be opened ({error.strerror or text}); {_there()}"


def _there() -> str:
    found = ports()
    return f"there are {', '.join(found)}" if found else "there is none; is the board connected?"


def _permission(name: str) -> str:
    try:
        import grp

        group = grp.getgrgid(os.stat(name).st_gid).gr_name
    except (ImportError, OSError, KeyError):
        return "ask for access to it"
    return f"it belongs to the group {group}: sudo usermod -aG {group} $USER, then log in again"
