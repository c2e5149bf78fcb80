"""The filter of system calls, read as the kernel reads it, for both machines that have one."""

import struct

import pytest
from quicksilver.benchmarks.sandbox.jail_kernel import (
    ALLOW,
    AT_LEAST,
    AUDIT_ARCH,
    CLONE,
    COLUMNS,
    ENOSYS,
    EPERM,
    EQUAL,
    FCNTL,
    HAS_BITS,
    IOCTL,
    LOAD,
    PRLIMIT,
    REFUSED,
    RETURN,
    SIGNALS,
    filter_of,
)  # fmt: skip


def answer(instructions, machine: str, number: int, *arguments: int) -> int:
    """What a filter says to a system call."""
    data = struct.pack("iIQ6Q", number, AUDIT_ARCH[machine], 0, *arguments, *(0,) * (6 - len(arguments)))
    loaded = at = 0
    while True:
        code, if_true, if_false, operand = instructions[at]
        if code == RETURN:
            return operand
        if code == LOAD:
            (loaded,) = struct.unpack_from("I", data, operand)
            at += 1
            continue
        tests = {
            EQUAL: loaded == operand,
            AT_LEAST: loaded >= operand,
            HAS_BITS: bool(loaded & operand),
        }
        at += 1 + (if_true if tests[code] else if_false)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_right_on_both_machines(machine):
    column, own, other = COLUMNS[machine], 77, 78
    instructions = filter_of(machine, own)
    fcntl, ioctl, prlimit, clone = (calls[column] for calls in (FCNTL, IOCTL, PRLIMIT, CLONE))
    kill, read, write = SIGNALS["kill"][column], (0, 63)[column], (1, 64)[column]
    allowed = [
        (read, 3), (write, 3), (fcntl, 3, 0), (fcntl, 3, 1030), (ioctl, 1, 0x5401), (prlimit, 0), (prlimit, own),
        (clone, 0x10F00), (kill, own),
    ]  # fmt: skip
    refused = [
        (fcntl, 3, 8), (fcntl, 3, 10), (fcntl, 3, 15), (ioctl, 3, 0x5452), (ioctl, 3, 0x5412), (prlimit, other),
        (clone, 0x11), (kill, other), (kill, 0),
    ]  # fmt: skip
    refused += [(numbers[column],) for numbers in REFUSED.values() if numbers[column] is not None]
    assert {answer(instructions, machine, *call) for call in allowed} == {ALLOW}
    assert {answer(instructions, machine, *call) for call in refused} == {EPERM}
    young = (424, 425, 434, 435, 438, 500)
    assert {answer(instructions, machine, number) for number in young} == {ENOSYS}
