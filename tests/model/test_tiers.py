"""Which model is served where nobody names one, with fakes for loading and timing."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.fim.models.speeds import ModelSpeed
from quicksilver.model.choice.tiers import Chosen, Tier, choose, installed_tiers

TIERS = [Tier(name, Path(name)) for name in ("coder", "base", "nano")]


@dataclass(eq=False)
class Loaded:
    """A fake model; self-referring, as real ones are."""

    name: str
    me: "Loaded | None" = None


@dataclass
class Machine:
    """What each model takes a key; fails: what loading or timing a model raises."""

    key_ms: dict[str, float]
    fails: dict[str, BaseException] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)
    timed: list[str] = field(default_factory=list)
    alive: list[Callable[[], Loaded | None]] = field(default_factory=list)

    def load(self, folder: Path) -> Loaded:
        gc.collect()
        assert not [each for each in self.alive if each() is not None], "two models in memory"
        self.loads.append(folder.name)
        if folder.name in self.fails:
            raise self.fails[folder.name]
        model = Loaded(folder.name)
        model.me = model
        self.alive.append(weakref.ref(model))
        gc.freeze()  # as loading does
        return model

    def time(self, folder: Path, model: Loaded) -> ModelSpeed:
        assert model.name == folder.name
        self.timed.append(folder.name)
        if "timing " + folder.name in self.fails:
            raise self.fails["timing " + folder.name]
        return speed(folder.name, self.key_ms[folder.name])

    def find(self, folder: Path) -> ModelSpeed | None:
        return speed(folder.name, self.known[folder.name]) if folder.name in self.known else None

    def choose(self, tiers: list[Tier] = TIERS) -> Chosen[Loaded]:
        return choose(tiers, self.load, self.find, self.time)


def speed(name: str, key_ms: float) -> ModelSpeed:
    return ModelSpeed(model=name, device="cpu", key_ms=key_ms, token_ms=1, resident_mb=500, measured_s=0)


@pytest.fixture(autouse=True)
def unfrozen():
    yield
    gc.unfreeze()


def test_the_best_is_served_where_it_is_fast_enough():
    machine = Machine({"coder": 115.2})
    chosen = machine.choose()
    assert (chosen.model.name, chosen.reason) == ("coder", "coder: a warm key takes 115 ms here")
    assert machine.loads == ["coder"]


def test_a_slow_one_is_passed_over_and_its_memory_given_back():
    machine = Machine({"coder": 640.4, "base": 40})
    chosen = machine.choose()
    assert (chosen.model.name, chosen.reason) == ("base", "base: coder takes 640 ms a key here, more than 250")
    assert machine.loads == machine.timed == ["coder", "base"]


def test_one_that_is_known_to_be_slow_is_not_even_loaded():
    machine = Machine({"base": 40}, known={"coder": 640})
    assert machine.choose().reason == "base: coder takes 640 ms a key here, more than 250"
    assert machine.loads == ["base"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CheckpointError("its SHA-256 differs: copy it again"), "its SHA-256 differs: copy it again"),
        (CheckpointError("m needs 1.0 GB of memory, and 0.5 GB are free"), "needs 1.0 GB of memory"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("[enforce fail]\nDefaultCPUAllocator: can't allocate memory"), "can't allocate memory"),
    ],
)
@pytest.mark.parametrize("when", ["", "timing "])
def test_one_that_cannot_be_used_lets_the_next_serve(error, said, when, caplog):
    machine = Machine({"coder": 1, "base": 40}, fails={when + "coder": error})
    chosen = machine.choose()
    assert chosen.model.name == "base"
    assert chosen.reason.startswith("base: coder cannot be used: ") and said in chosen.reason
    assert "\n" not in chosen.reason and said in caplog.text


def test_the_last_resort_is_served_however_slow():
    machine = Machine({"coder": 9000, "base": 900, "nano": 300})
    chosen = machine.choose()
    assert chosen.model.name == "nano"
    assert chosen.reason == (
        "nano: coder takes 9000 ms a key here, more than 250; base takes 900 ms a key here, more than 250"
    )


def test_without_a_last_resort_the_smallest_slow_one_is_served():
    machine = Machine({"coder": 9000, "base": 900}, fails={"nano": CheckpointError("damaged")})
    assert machine.choose().model.name == "base"
    assert machine.loads == ["coder", "base", "nano", "base"]


def test_where_nothing_can_be_used_the_last_reason_is_told():
    fails: dict[str, BaseException] = {
        name: CheckpointError(f"{name} is damaged") for name in ("coder", "base", "nano")
    }
    with pytest.raises(CheckpointError, match="nano is damaged"):
        Machine({}, fails=fails).choose()
    with pytest.raises(CheckpointError, match="no model came with this installation"):
        Machine({}).choose([])


def test_what_a_person_asked_wrongly_is_told_at_once():
    machine = Machine({}, fails={"coder": InputError("threads must be at least 1")})
    with pytest.raises(InputError, match="threads"):
        machine.choose()


def test_what_is_installed_best_first(tmp_path, monkeypatch):
    monkeypatch.setenv("QUICKSILVER_HOME", str(tmp_path))
    assert [tier.name for tier in installed_tiers()] == ["base", "nano"]
    (tmp_path / "models" / "coder").mkdir(parents=True)
    assert [tier.name for tier in installed_tiers()] == ["base", "nano"]
    (tmp_path / "models" / "coder" / "config.json").touch()
    assert [tier.name for tier in installed_tiers()] == ["coder", "base", "nano"]
