"""Loading what the engine serves: a model that is named, or the best installed one that is fast enough here.

`model.load` opens folders; here one is chosen, timed, and its contexts are sized. Runtimes are imported inside
functions only: this runs in the worker's thread, and the socket answers long before.
"""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...fim.engine import Infiller
from ...fim.models.speeds import ModelSpeed, known_speeds, note_speed, speed_key
from ...model.load import LoadPlan, kind_of, load_folder, load_ours
from ..paths import package_version

if TYPE_CHECKING:
    from ...model.completion.infiller import DenoisingInfiller

logger = logging.getLogger(__name__)


def load_model(model: Path | None, n_threads: int | None, *, plan: LoadPlan) -> Infiller[Any]:
    """The model that is named, or the best installed one that is fast enough here.

    Raises CheckpointError, or InputError for options that do not suit the model and for a runtime that is not there.
    """
    from ...model.gguf.cache import checkpoint_folder

    if model is None:
        return _best(n_threads, plan)
    folder = checkpoint_folder(model)
    if kind_of(folder) != "ours":
        return load_folder(folder, n_threads, plan)
    infiller = load_ours(folder, n_threads, plan)
    infiller.choice = f"{infiller.name}: named with --model"
    if not infiller.config.canvases and plan.context_tokens is None:
        _timed(folder, infiller, n_threads, plan)
    return infiller


def _best(n_threads: int | None, plan: LoadPlan) -> Infiller[Any]:
    from ...model.choice.tiers import choose, installed_tiers

    chosen = choose(
        installed_tiers(),
        lambda folder: load_ours(folder, n_threads, _suited(folder, plan)),
        lambda folder: _known(folder, n_threads, plan),
        lambda folder, infiller: _timed(folder, infiller, n_threads, plan),
    )
    chosen.model.choice = chosen.reason
    logger.info("model %s", chosen.reason)
    return chosen.model


def _suited(folder: Path, plan: LoadPlan) -> LoadPlan:
    """plan without what the folder's model, which nobody named, cannot do: it may stand in for a better one."""
    from ...model.checkpoint.checkpoint_files import read_config

    _, shape = read_config(folder)
    if plan.context_tokens is not None and plan.context_tokens > shape.n_context and not plan.yarn:
        logger.warning("%s reads at most %d tokens of context", folder.name, shape.n_context)
        plan = replace(plan, context_tokens=shape.n_context)
    if plan.yarn and shape.canvases:
        logger.warning("--yarn is for published code models: %s reads contexts as it was trained to", folder.name)
        plan = _suited(folder, replace(plan, yarn=False))
    return plan


def _speed_key(folder: Path, n_threads: int | None, plan: LoadPlan) -> str:
    from ...model.checkpoint.checkpoint_files import WEIGHTS, read_config

    config, _ = read_config(folder)
    wanted = "-".join(filter(None, (plan.device or "any device", plan.runtime, plan.dtype)))
    return speed_key(str(config["sha256"][WEIGHTS]), package_version(), n_threads, wanted)


def _known(folder: Path, n_threads: int | None, plan: LoadPlan) -> ModelSpeed | None:
    """What was measured of a model, unless it is to be measured again."""
    speed = known_speeds().get(_speed_key(folder, n_threads, plan))
    return None if speed is None or speed.is_due(time.time()) else speed


def _timed(folder: Path, infiller: "DenoisingInfiller", n_threads: int | None, plan: LoadPlan) -> ModelSpeed:
    """What was measured of a loaded model, measured now where it has to be; a body's contexts are sized by it."""
    from ...model.choice.speed import measure_speed, window

    speed = _known(folder, n_threads, plan)
    if speed is None or not infiller.loaded.device.startswith(speed.device):
        start_s = time.monotonic()
        speed = note_speed(_speed_key(folder, n_threads, plan), measure_speed(infiller))
        took_s = time.monotonic() - start_s
        logger.info("%s: %.0f ms a warm key, measured in %.1f s", infiller.name, speed.key_ms, took_s)
    if not infiller.config.canvases and plan.context_tokens is None:
        infiller.read_at_most(window(infiller.config, speed))
    return speed
