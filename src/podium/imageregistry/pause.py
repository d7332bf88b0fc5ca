"""The pause program: the first process of every pod sandbox, written here as machine code.

It holds the pod's namespaces open. As process 1 it would also have to reap the orphans of a shared PID
namespace: it ignores SIGCHLD instead, whereupon the kernel reaps them. It then waits for ever; a runtime
ends it with SIGKILL. Making the program here means that a cluster starts without pulling an image.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_LOAD_ADDRESS = 0x400000
_ELF_HEADER_BYTES = 64
_PROGRAM_HEADER_BYTES = 56

# struct kernel_sigaction: SIG_IGN as handler, no flags, no restorer, an empty mask.
_SIGACTION_IGNORE = struct.pack("<4Q", 1, 0, 0, 0)

_X86_64 = bytes.fromhex(
    "b80d000000"  # mov  eax, 13        rt_sigaction
    "bf11000000"  # mov  edi, 17        SIGCHLD
    "488d3517000000"  # lea  rsi, [rip+23]  the sigaction behind the code
    "31d2"  # xor  edx, edx
    "41ba08000000"  # mov  r10d, 8        size of the mask
    "0f05"  # syscall
    "b822000000"  # mov  eax, 34        pause
    "0f05"  # syscall
    "ebf7"  # jmp  to the mov before
    "90909090"  # nop, to align what follows
)


def _movz(register: int, value: int) -> int:
    return 0xD2800000 | value << 5 | register


def _aarch64() -> bytes:
    svc = 0xD4000001
    code = [
        _movz(8, 134),  # rt_sigaction
        _movz(0, 17),  # SIGCHLD
        0,  # adr x1, the sigaction behind the code (filled in below)
        _movz(2, 0),
        _movz(3, 8),  # size of the mask
        svc,
        _movz(8, 73),  # ppoll of nothing, without a timeout; this architecture has no pause
        _movz(0, 0),
        _movz(1, 0),
        _movz(2, 0),
        _movz(3, 0),
        svc,
        0x14000000 | (-6 & 0x3FFFFFF),  # b to the ppoll
        0xD503201F,  # nop, to align what follows
    ]
    distance = (len(code) - 2) * 4
    code[2] = 0x10000000 | (distance & 3) << 29 | (distance >> 2) << 5 | 1
    return struct.pack(f"<{len(code)}I", *code)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    elf_machine: int
    code: bytes


_MACHINES = {
    "amd64": _Machine(elf_machine=62, code=_X86_64),
    "arm64": _Machine(elf_machine=183, code=_aarch64()),
}


def program(architecture: str) -> bytes:
    """Return the pause program as an ELF executable for `amd64` or `arm64`.

    Raises ValueError for another architecture.
    """
    machine = _MACHINES.get(architecture)
    if machine is None:
        raise ValueError(f"no pause program for architecture {architecture!r}; known: {', '.join(_MACHINES)}")
    content = machine.code + _SIGACTION_IGNORE
    offset = _ELF_HEADER_BYTES + _PROGRAM_HEADER_BYTES
    size = offset + len(content)
    elf_header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",  # 64 bits, little-endian, version 1
        2,  # an executable
        machine.elf_machine,
        1,
        _LOAD_ADDRESS + offset,  # where it begins to run
        _ELF_HEADER_BYTES,  # where the program headers are
        0,
        0,
        _ELF_HEADER_BYTES,
        _PROGRAM_HEADER_BYTES,
        1,
        0,
        0,
        0,
    )
    read_and_execute = 5
    program_header = struct.pack(
        "<IIQQQQQQ", 1, read_and_execute, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000
    )
    return elf_header + program_header + content
