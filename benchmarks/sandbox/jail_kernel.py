"""The kernel's layer of the jail: limits, no privileges, Landlock for files, a seccomp filter for system calls.

`jail` imports this inside the process that is about to run a program. Everything here holds for the calling
process for good. It imports the standard library alone, and works on Linux; elsewhere only the limits are set.

* **Landlock** (Linux 5.13 and newer): files outside one folder cannot be written, made, renamed or removed, and the
  memory of other processes cannot be opened. Before Linux 6.2 it cannot refuse that a file is truncated.
* **The filter** (x86-64 and AArch64): no new processes or programs, sockets, System V or POSIX message queues, FIFOs
  or devices, no tracing, and nothing that acts on another process: signals, limits, priorities, processors.
* **No privileges**: root keeps the right to read files, and no other.
"""

import ctypes
import os
import resource
import struct
import sys

# Linux system call numbers: (x86-64, AArch64), of asm/unistd_64.h and asm-generic/unistd.h. None: no such call.
COLUMNS = {"x86_64": 0, "aarch64": 1}
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
REFUSED = {
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "setpgid": (109, 154), "setsid": (112, 157), "unshare": (272, 97), "setns": (308, 268),
    "socket": (41, 198), "mknod": (133, None), "mknodat": (259, 33),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "sched_setscheduler": (144, 119), "sched_setaffinity": (203, 122), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "perf_event_open": (298, 241), "bpf": (321, 280), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219),
}  # fmt: skip
SIGNALS = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}  # fmt: skip
CLONE, FCNTL, IOCTL, PRLIMIT = (56, 220), (72, 25), (16, 29), (302, 261)
# From here on numbers are the same everywhere, and C libraries do without the calls: pidfd_send_signal (424), io_uring,
# clone3, whose flags lie out of the filter's reach, pidfd_getfd, and whatever comes next.
FIRST_YOUNG = 424
X32_BIT = 0x40000000
CLONE_THREAD = 0x10000
# What fcntl may do: descriptors, flags and locks (asm-generic/fcntl.h). Not F_SETOWN and F_SETSIG, which send signals.
FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030)
# What ioctl may do: TCGETS (is it a terminal?), TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. Not FIOASYNC and
# TIOCSTI, which send signals and type into a terminal.
IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050000 | 1, 0x00050000 | 38
LOAD, EQUAL, AT_LEAST, HAS_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # classic BPF, as in linux/bpf_common.h
NUMBER_AT, ARCH_AT, ARGUMENT_AT = 0, 4, 16  # offsets in struct seccomp_data, whose arguments have 8 bytes

CREATE_RULESET, ADD_RULE, RESTRICT_SELF, PATH_BENEATH, VERSION = 444, 445, 446, 1, 1
# Rights of linux/landlock.h: WRITE_FILE, from REMOVE_DIR to MAKE_SYM, REFER (version 2), TRUNCATE (version 3)
WRITE_FILE, MAKE_AND_REMOVE, REFER, TRUNCATE = 1 << 1, 0x1FF << 4, 1 << 13, 1 << 14
SCOPE_SIGNAL = 1 << 1  # version 6
CAPABILITY_VERSION, CAP_DAC_READ_SEARCH = 0x20080522, 1 << 2

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def limit(seconds: float, memory_bytes: int, output_bytes: int) -> None:
    """Set the limits of this process."""
    cpu_s = int(seconds) + 1
    wanted = {"CPU": (cpu_s, cpu_s + 1), "AS": memory_bytes, "FSIZE": output_bytes, "NOFILE": 64, "CORE": 0}
    for name, value in wanted.items():
        soft, hard = value if isinstance(value, tuple) else (value, value)
        kind = getattr(resource, f"RLIMIT_{name}")
        most = resource.getrlimit(kind)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        if name != "AS" or sys.platform != "darwin":  # macOS refuses a limit of address space
            resource.setrlimit(kind, (soft, hard))


def confine(folder: str) -> list[str]:
    """Give up privileges, restrict files to folder and filter system calls. Returns the names of what holds now."""
    if sys.platform != "linux" or struct.calcsize("P") != 8:
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    drop_privileges(libc)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return []
    held = ["Landlock"] if restrict_files(libc, folder) else []
    return [*held, "seccomp"] if filter_system_calls(libc) else held


def drop_privileges(libc: ctypes.CDLL) -> None:
    """Keep no capability but CAP_DAC_READ_SEARCH, which root may need to read Python's library. Raises OSError."""
    header = ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION, 0))
    held = ctypes.create_string_buffer(24)  # effective, permitted and inheritable, twice: bits 0 to 31, and the rest
    if libc.capget(header, held) == 0:
        effective, permitted = (bits & CAP_DAC_READ_SEARCH for bits in struct.unpack("6I", held.raw)[:2])
        kept = ctypes.create_string_buffer(struct.pack("6I", effective, permitted, 0, 0, 0, 0))
        if libc.capset(header, kept) == 0:
            return
    raise OSError(ctypes.get_errno(), "privileges cannot be given up")


def restrict_files(libc: ctypes.CDLL, folder: str) -> bool:
    """Let files be written, made and removed in folder alone (and /dev/null). False if there is no Landlock."""

    def call(number: int, *values: int | bytes | None) -> int:
        passed = [ctypes.c_char_p(each) if isinstance(each, bytes) else ctypes.c_long(each or 0) for each in values]
        return libc.syscall(ctypes.c_long(number), *passed)

    version = call(CREATE_RULESET, None, 0, VERSION)
    if version < 1:
        return False
    for_files = WRITE_FILE | (TRUNCATE if version >= 3 else 0)
    handled = for_files | MAKE_AND_REMOVE | (REFER if version >= 2 else 0)
    attributes = struct.pack("Q", handled) if version < 6 else struct.pack("QQQ", handled, 0, SCOPE_SIGNAL)
    rules = call(CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    done = []
    for path, rights in ((folder, handled), (os.devnull, for_files)):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        done.append(call(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", rights, place), 0))
        os.close(place)
    done.append(call(RESTRICT_SELF, rules, 0))
    os.close(rules)
    return not any(done)


def filter_of(machine: str, own_process: int, *, may_begin: bool = False) -> list[Instruction]:
    """The seccomp filter's instructions, for a machine that `COLUMNS` has. may_begin: the process is yet to become a
    program (execve), and that one may become another, but not start one."""
    column = COLUMNS[machine]

    def refuse(test: int, operand: int, answer: int) -> list[Instruction]:
        return [(test, 0, 1, operand), (RETURN, 0, 0, answer)]

    def allow_only(number: int, argument: int, test: int, values: tuple[int, ...]) -> list[Instruction]:
        """Let a call pass where one of its arguments has one of those values, and refuse it otherwise."""
        tests = [(test, len(values) - i, 0, value) for i, value in enumerate(values)]
        load = (LOAD, 0, 0, ARGUMENT_AT + 8 * argument)
        return [(EQUAL, 0, len(values) + 3, number), load, *tests, (RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)]

    made = [(LOAD, 0, 0, ARCH_AT), (EQUAL, 1, 0, AUDIT_ARCH[machine]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER_AT)]
    made += refuse(AT_LEAST, X32_BIT, EPERM) + refuse(AT_LEAST, FIRST_YOUNG, ENOSYS)
    for name, numbers in REFUSED.items():
        if (number := numbers[column]) is not None and not (may_begin and name == "execve"):
            made += refuse(EQUAL, number, EPERM)
    made += allow_only(CLONE[column], 0, HAS_BITS, (CLONE_THREAD,))
    made += allow_only(FCNTL[column], 1, EQUAL, FCNTL_COMMANDS)
    made += allow_only(IOCTL[column], 1, EQUAL, IOCTL_REQUESTS)
    made += allow_only(PRLIMIT[column], 0, EQUAL, (0, own_process))
    for numbers in SIGNALS.values():
        made += allow_only(numbers[column], 0, EQUAL, (own_process,))
    return [*made, (RETURN, 0, 0, ALLOW)]


def filter_system_calls(libc: ctypes.CDLL, *, may_begin: bool = False) -> bool:
    """Install the filter. False if this kernel or machine has none."""
    machine = os.uname().machine
    if machine not in COLUMNS:
        return False
    code = b"".join(
        struct.pack("HBBI", *instruction) for instruction in filter_of(machine, os.getpid(), may_begin=may_begin)
    )
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(buffer)))
    return libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0
