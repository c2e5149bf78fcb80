"""A published body in our network computes what its own class in `transformers` does, however its tokens are read.

RTOL and ATOL hold for log-probabilities in float32. `pytest -s` prints the largest differences.
"""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from quicksilver.model.cache.context_cache import ContextCache
from quicksilver.model.checkpoint.checkpoint import quantise_checkpoint, weights_of
from quicksilver.model.checkpoint.checkpoint_files import as_float
from quicksilver.model.network.denoiser import Denoiser
from quicksilver.model.network.states import Array, ContextStates, join_states
from quicksilver.model.openvino.load import load_openvino
from quicksilver.model.requests import Context, Extend, Extended, ForwardReply, Tree, tree_of
from quicksilver.model.runners.batching import ModelRunner
from quicksilver.model.runners.drive import Runner, drive
from tiny_body import SHAPES, tiny_body

RTOL, ATOL = 1e-4, 2e-5
N = 70  # tokens: over two pages
KINDS = pytest.mark.parametrize("kind", SHAPES)
CLASSES = {"qwen2": "Qwen2", "llama": "Llama", "qwen3": "Qwen3"}


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[dict[tuple[str, str], float]]:
    """The largest difference of each kind of reading, printed at the end."""
    found: dict[tuple[str, str], float] = {}
    yield found
    for (kind, reading), error in sorted(found.items()):
        print(f"\n{kind:6} {reading:24} largest difference {error:.1e}", end="")


def ids(seed: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, 370, shape, generator=torch.Generator().manual_seed(seed))


@cache
def reference(kind: str, rope: tuple[tuple[str, object], ...] = (("rope_type", "default"),)) -> torch.nn.Module:
    """The class of `transformers` with the weights of our tiny body; rope: how it is turned, as items."""
    library, body = importlib.import_module("transformers"), tiny_body(kind)
    c, name = body.config, CLASSES[kind]
    config = getattr(library, f"{name}Config")(
        vocab_size=c.vocab_size, hidden_size=c.width, intermediate_size=c.ffn_width, num_hidden_layers=c.n_layers,
        num_attention_heads=c.n_heads, num_key_value_heads=c.n_kv_heads, head_dim=c.head_size, rms_norm_eps=c.norm_eps,
        rope_parameters={"rope_theta": c.rope_theta, **dict(rope)}, max_position_embeddings=c.n_context,
        tie_word_embeddings=c.tied,
    )  # fmt: skip
    model = getattr(library, f"{name}ForCausalLM")(config).eval()
    missing, unexpected = model.load_state_dict(their_weights(body), strict=False)
    assert (missing, unexpected) in (([], []), (["lm_head.weight"], []))
    if c.tied:
        model.tie_weights()
        assert model.lm_head.weight is model.model.embed_tokens.weight
    return model


def their_weights(body: Denoiser) -> dict[str, torch.Tensor]:
    c, ours = body.config, body.state_dict()
    theirs = {"model.embed_tokens.weight": ours["embedding.weight"], "model.norm.weight": ours["norm.weight"]}
    if not c.tied:
        theirs["lm_head.weight"] = ours["head.weight"]
    sizes = [heads * c.head_size for heads in (c.n_heads, c.n_kv_heads, c.n_kv_heads)]
    for i in range(c.n_layers):
        at, to = f"blocks.{i}.", f"model.layers.{i}."
        for part in ("weight", "bias") if c.qkv_bias else ("weight",):
            for name, values in zip("qkv", ours[at + f"attention.qkv.{part}"].split(sizes), strict=True):
                theirs[to + f"self_attn.{name}_proj.{part}"] = values
        if c.qk_norm:
            theirs |= {to + f"self_attn.{n}_norm.weight": ours[at + f"attention.{n}_norm.weight"] for n in "qk"}
        gate, up = ours[at + "ffn.gate_up.weight"].chunk(2)
        theirs |= {
            to + "self_attn.o_proj.weight": ours[at + "attention.out.weight"],
            to + "mlp.gate_proj.weight": gate,
            to + "mlp.up_proj.weight": up,
            to + "mlp.down_proj.weight": ours[at + "ffn.down.weight"],
            to + "input_layernorm.weight": ours[at + "attention_norm.weight"],
            to + "post_attention_layernorm.weight": ours[at + "ffn_norm.weight"],
        }
    return theirs


@torch.inference_mode()
def expected(kind: str, tokens: torch.Tensor) -> torch.Tensor:
    """Their log-probabilities [B, N, V] of what follows each of tokens [B, N]."""
    return F.log_softmax(reference(kind)(tokens).logits, dim=-1)


def check(table: dict[tuple[str, str], float], kind: str, reading: str, got: Array, wanted: Array):
    got, wanted = np.asarray(got), np.asarray(wanted)
    np.testing.assert_allclose(got, wanted, rtol=RTOL, atol=ATOL)
    table[kind, reading] = max(table.get((kind, reading), 0.0), float(np.abs(got - wanted).max()))


def states_of(reply: ForwardReply) -> ContextStates:
    assert isinstance(reply, ContextStates)
    return reply


def extended(run: Runner, tokens: torch.Tensor, states: ContextStates) -> Extended:
    (reply,) = run([Extend(tuple(tokens.tolist()), states)])
    assert isinstance(reply, Extended)
    return reply


@cache
def torch_runner(kind: str) -> Runner:
    return ModelRunner(tiny_body(kind))


@KINDS
@torch.inference_mode()
def test_a_whole_context_and_a_batch(kind: str, table: dict):
    model, tokens = tiny_body(kind), ids(0, 3, N)
    hidden, _ = model.context(tokens)
    got = F.log_softmax(model.vocabulary_logits(hidden), dim=-1)
    check(table, kind, "whole context, batch of 3", got, expected(kind, tokens))
    alone = F.log_softmax(model.vocabulary_logits(model.context(tokens[1:2])[0]), dim=-1)
    check(table, kind, "batched == single", got[1:2], alone)


@KINDS
@pytest.mark.parametrize("chunks", [(1,) * 9, (33, 1, 30, 6), (64, 6)])
def test_a_context_in_chunks_then_tokens_one_at_a_time(kind: str, chunks: tuple[int, ...], table: dict):
    run, tokens = torch_runner(kind), ids(1, 1, N + 5)
    wanted = expected(kind, tokens)[0]
    past, at = None, 0
    for n in chunks:
        (reply,) = run([Context(tokens[:, at : at + n].numpy(), past)])
        past, at = join_states(past, states_of(reply)), at + n
    assert past is not None
    for _ in range(5):
        reply = extended(run, tokens[0, at : at + 1], past)
        check(table, kind, "chunks, then one by one", reply.log_probs, wanted[at : at + 1])
        past, at = join_states(past, reply.states), at + 1


@KINDS
def test_several_tokens_at_once_and_several_asks(kind: str, table: dict):
    run, tokens = torch_runner(kind), ids(2, 2, N)
    asks = []
    for row in tokens:
        (reply,) = run([Context(row[None, :40].numpy(), None)])
        asks.append(Extend(tuple(row[40:].tolist()), states_of(reply)))
    for reply, row in zip(run(asks), tokens, strict=True):
        assert isinstance(reply, Extended)
        check(table, kind, "30 tokens at once", reply.log_probs, expected(kind, row[None])[0, 40:])
        assert torch.equal(reply.states.tokens, row[None, 40:])


@KINDS
def test_cached_contexts_are_as_fresh_ones(kind: str, table: dict):
    run, cache_, tokens = torch_runner(kind), ContextCache(n_chunk=16), ids(3, 1, N)[0]
    drive(run, cache_.states(tokens[:50].tolist()))
    other = [*tokens[:33].tolist(), 5, 6, 7]
    drive(run, cache_.states(other))
    states, n_cached = drive(run, cache_.states(tokens.tolist()))
    assert n_cached == 50
    fresh, _ = drive(run, ContextCache().states(tokens.tolist()))
    more = ids(4, 4)
    check(
        table, kind, "cached == uncached", extended(run, more, states).log_probs, extended(run, more, fresh).log_probs
    )
    wanted = expected(kind, torch.cat((tokens, more)).unsqueeze(0))[0, N:]
    check(table, kind, "after cached pages", extended(run, more, states).log_probs, wanted)


@pytest.mark.parametrize("scale", [2.0, 4.0])
@pytest.mark.parametrize("n_trained", [64, 512])
@KINDS
@torch.inference_mode()
def test_a_stretched_context_is_as_theirs(kind: str, n_trained: int, scale: float, table: dict):
    """YaRN: pairs that turn often, seldom and in between, and tokens far beyond the length trained on."""
    rope = {"rope_type": "yarn", "factor": scale, "original_max_position_embeddings": n_trained}
    model, tokens = tiny_body(kind), ids(10, 1, min(700, int(n_trained * scale)))
    model.config = replace(model.config, rope_scale=scale, n_context=n_trained)
    hidden, states = model.context(tokens[:, :50])
    hidden, _ = model.context(tokens[:, 50:], states)
    got = F.log_softmax(model.vocabulary_logits(hidden), dim=-1)
    wanted = F.log_softmax(reference(kind, tuple(rope.items()))(tokens).logits, dim=-1)
    check(table, kind, "stretched", got, wanted[:, 50:])
    plain = expected(kind, tokens)
    assert (plain[:, 50:] - got).abs().max() > 100 * ATOL


ROWS = [[20, 21, 22], [20, 21, 30, 31], [40], []]


@KINDS
def test_trees(kind: str, table: dict):
    run, tokens = torch_runner(kind), ids(5, 1, 35)
    (reply,) = run([Context(tokens[:, :-1].numpy(), None)])
    tree, paths = tree_of(int(tokens[0, -1]), ROWS, states_of(reply))
    (got,) = run([tree])
    assert isinstance(got, np.ndarray)
    for row, path in zip(ROWS, paths, strict=True):
        whole = torch.cat((tokens[0], torch.tensor(row, dtype=torch.long))).unsqueeze(0)
        check(table, kind, "tree", got[path], expected(kind, whole)[0, 34:])


def test_asks_of_every_kind_in_one_pass():
    run = torch_runner("qwen2")
    (reply,) = run([Context(ids(6, 1, 20).numpy(), None)])
    past = states_of(reply)
    tree = tree_of(3, ROWS, past)[0]
    asks: list[Context | Extend | Tree] = [tree, Extend((7, 8), past), Context(ids(7, 1, 4).numpy(), past), tree]
    for ask, got in zip(asks, run(asks), strict=True):
        (alone,) = run([ask])
        if isinstance(got, np.ndarray | Extended):
            np.testing.assert_allclose(log_probs_of(got), log_probs_of(alone), rtol=RTOL, atol=ATOL)


@cache
def rounded_runners(kind: str) -> tuple[Runner, Runner]:
    """PyTorch and OpenVINO with the same int8 weights."""
    model = tiny_body(kind)
    model.load_state_dict({key: torch.tensor(as_float(w)) for key, w in quantise_checkpoint(weights_of(model)).items()})
    return ModelRunner(model), load_openvino(model.config, weights_of(model), "float32", 1).run


OPENVINO_SHARE = 0.03  # of what log-probabilities differ by among each other: activations are rounded to int8, too


def check_share(table: dict[tuple[str, str], float], kind: str, reading: str, got: Array, wanted: Array):
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape
    wanted = wanted - wanted.mean(axis=-1, keepdims=True)
    error = float(np.linalg.norm(got - got.mean(axis=-1, keepdims=True) - wanted) / np.linalg.norm(wanted))
    table[kind, reading + ", share"] = max(table.get((kind, reading + ", share"), 0.0), error)
    assert error < OPENVINO_SHARE


@KINDS
def test_openvino_computes_the_same(kind: str, table: dict):
    torch_run, openvino_run = rounded_runners(kind)
    tokens, pasts = ids(8, 1, 44), []
    for run in (torch_run, openvino_run):
        (first,) = run([Context(tokens[:, :33].numpy(), None)])
        (second,) = run([Context(tokens[:, 33:].numpy(), states_of(first))])
        pasts.append(join_states(states_of(first), states_of(second)))
    ours, theirs = pasts
    for left, right in zip(ours.layers, theirs.layers, strict=True):
        check_share(table, kind, "OpenVINO, keys", right.keys, left.keys)
        check_share(table, kind, "OpenVINO, values", right.values, left.values)
    for more in (ids(9, 1), ids(9, 7)):
        wanted, got = extended(torch_run, more, ours), extended(openvino_run, more, theirs)
        check_share(table, kind, "OpenVINO, extend", got.log_probs, wanted.log_probs)
        assert np.allclose(np.exp(got.log_probs).sum(-1), 1, atol=1e-3)
    tree = tree_of(5, ROWS, ours)[0]
    (wanted,), (got,) = torch_run([tree]), openvino_run([Tree(tree.tokens, tree.parents, theirs)])
    assert isinstance(wanted, np.ndarray) and isinstance(got, np.ndarray)
    check_share(table, kind, "OpenVINO, tree", got, wanted)


def test_asks_of_several_jobs_do_not_disturb_each_other_on_openvino():
    """The runtime writes every answer to the same memory."""
    run = rounded_runners("qwen2")[1]
    (reply,) = run([Context(ids(6, 1, 20).numpy(), None)])
    past = states_of(reply)
    asks = [Extend((7, 8), past), Extend((9, 3), past), tree_of(3, ROWS, past)[0], tree_of(4, ROWS, past)[0]]
    alone = [log_probs_of(run([ask])[0]).copy() for ask in asks]
    for got, wanted in zip(run(asks), alone, strict=True):
        assert np.array_equal(log_probs_of(got), wanted)


def log_probs_of(reply: ForwardReply) -> np.ndarray:
    log_probs = reply.log_probs if isinstance(reply, Extended) else reply
    assert isinstance(log_probs, np.ndarray)
    return log_probs
