"""The names under which the served model may be asked for."""

import pytest
from quicksilver.serving.api.http import UnknownModelError
from quicksilver.serving.api.models import check_model
from quicksilver.serving.engine.worker_state import WorkerState


def ready(model: str) -> WorkerState:
    return WorkerState(status="ready", model=model)


@pytest.mark.parametrize(
    "name",
    [None, "", "coder", "Coder", "quicksilver", "quicksilver:latest", "coder:latest", "qwen2.5-coder", "Qwen2.5-Coder",
     "qwen2.5-coder:0.5b", "qwen2.5-coder:latest", "Qwen/Qwen2.5-Coder-0.5B-Instruct"],
)  # fmt: skip
def test_names_of_coder(name):
    check_model(name, ready("coder"))


@pytest.mark.parametrize("name", ["gpt-9", "coder-2", "qwen2.5", ":latest", "/", "base"])
def test_other_names_are_unknown(name):
    with pytest.raises(UnknownModelError, match=r"serves coder \(also called quicksilver, qwen2.5-coder"):
        check_model(name, ready("coder"))


def test_a_body_s_names_are_its_own():
    with pytest.raises(UnknownModelError, match="serves base"):
        check_model("qwen2.5-coder", ready("base"))
    check_model("base:latest", ready("base"))
    check_model("My/Model:x", ready("My/Model:x"))  # its own name, whole


def test_any_name_passes_while_the_model_loads():
    check_model("gpt-9", WorkerState(status="loading"))
