"""One optimiser step after another on a model, with a state that can be put down and taken up.

Axes: R rows, T tokens of a row, V vocabulary.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import Any, TypeVar

import torch
from transformers import PreTrainedModel

from lingraft.errors import ModelError
from lingraft.model.precision import autocast_dtype
from lingraft.runtime import Runtime, keep_memory
from lingraft.seeds import derive
from lingraft.training.adapters import add_adapters, merge_adapters
from lingraft.training.attention import blocked_attention
from lingraft.training.batches import IGNORED, Batch
from lingraft.training.checkpoints import Checkpoint
from lingraft.training.fused_layers import fused_layers
from lingraft.training.runs import CurvePoint, TrainingRun
from lingraft.training.stages import Part, trainable_parameters

BETAS = (0.9, 0.95)
MAX_GRADIENT_NORM = 1.0
MOST_STREAM_NUMBERS = 2**24
"""Tokens x layers x width that a processor holds at once: some 1,000 tokens of a 135m model."""

Evaluate = Callable[[PreTrainedModel], dict[str, Any]]
Value = TypeVar("Value")


class Trainer:
    """A model in training: its optimiser and what the run has done so far.

    Args:
        model: In float32, on `device`.
        device: Where to compute.
        runtime: For its precision.
        weight_decay: AdamW's, on matrices only.
        seed: Of dropout, which each step derives its own from, and of adapters.
        adapters: Whether to put low-rank adapters on the layers until `close`.
        frozen: Names of parameters that stay as they are whatever part is trained.
    """

    causal = True
    """Whether a token sees only what is before it."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        device: torch.device,
        runtime: Runtime,
        weight_decay: float,
        seed: int,
        adapters: bool = False,
        frozen: Collection[str] = (),
    ) -> None:
        self.run = TrainingRun()
        self._frozen = frozenset(frozen)
        self._model, self._device, self._seed = model, device, seed
        self._adapted = add_adapters(model, seed=seed) if adapters else None
        self._precision = autocast_dtype(device, runtime)
        if device.type == "cpu":
            keep_memory()
        self._names = {id(p): name for name, p in model.named_parameters()}
        vectors = [p for p in model.parameters() if p.dim() <= 1]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in model.parameters() if p.dim() > 1]},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(
            groups, lr=0.0, betas=BETAS, weight_decay=weight_decay, fused=True
        )
        self._part: Part | None = None

    def step(self, make_batch: Callable[[], Batch], *, part: Part, learning_rate: float) -> None:
        """Makes one optimiser step on the chosen part; the batch is made inside the clock.

        Raises:
            ModelError: The loss is no finite number; the weights are those before the step.
        """
        started = time.monotonic()
        self._open(part)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        batch = make_batch()
        self._model.train()
        with _randomness(derive(self._seed, "dropout", self.run.step), self._device):
            nats, gradients = self.gradients(batch)
        if not math.isfinite(nats):
            raise ModelError(
                expected="a finite training loss",
                got=f"{nats} nats per token",
                where=f"step {self.run.step + 1}",
                hint="lower the learning rate",
            )
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(list(gradients), MAX_GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.run.step += 1
        self.run.num_bytes += batch.num_bytes
        self.run.num_tokens += batch.num_tokens
        self.run.train_nats.append(nats)
        self.run.seconds += time.monotonic() - started

    def gradients(self, batch: Batch) -> tuple[float, dict[torch.nn.Parameter, torch.Tensor]]:
        """Returns mean nats per token of the batch, and what each trained parameter gets of it.

        Parts of the batch go through the model one after the other, so that only one part's
        activations are held; their gradients add up.

        Args:
            batch: Of any number of rows.
        """
        trained = [p for p in self._model.parameters() if p.requires_grad]
        # Text that a tokenizer drops leaves nothing to predict: no loss, rather than 0 / 0.
        num_tokens = max(batch.num_tokens, 1)
        self._model.zero_grad(set_to_none=True)
        total = 0.0
        attending = (
            blocked_attention(self._model, device=self._device) if self.causal else nullcontext()
        )
        with attending, fused_layers(self._model, device=self._device):
            for part in self._parts(batch):
                nats = self._nats(part) / num_tokens
                nats.backward()  # type: ignore[no-untyped-call]
                total += float(nats.detach())
        reached = {p: p.grad for p in trained if p.grad is not None}
        for parameter in reached:
            parameter.grad = None
        return total, reached

    def _parts(self, batch: Batch) -> list[Batch]:
        parts = batch.parted() if self.causal else [batch]
        if self._device.type != "cpu":
            return parts
        config = self._model.config.get_text_config()
        numbers = batch.x_RT.shape[1] * config.num_hidden_layers * config.hidden_size
        most_rows = max(MOST_STREAM_NUMBERS // numbers, 1)
        return [piece for part in parts for piece in part.pieces(most_rows)]

    def note_point(self, evaluate: Evaluate) -> None:
        """Adds an evaluation to the curve."""
        self._model.eval()
        run = self.run
        values = evaluate(self._model)
        run.curve.append(CurvePoint(run.step, run.num_bytes, run.num_tokens, values))
        run.curve_seconds.append(run.seconds)

    def evaluated(self, evaluate: Callable[[PreTrainedModel], Value]) -> Value:
        """Measures the model as it is now, dropout off."""
        self._model.eval()
        return evaluate(self._model)

    def close(self) -> None:
        """Leaves the model as a whole: for use, with no part of it frozen, adapters merged."""
        if self._adapted is not None:
            merge_adapters(self._adapted)
        self._model.requires_grad_(True)
        self._model.eval()

    def checkpoint(self, settings: dict[str, Any]) -> Checkpoint:
        """Returns everything that the rest of the run depends on, and the run's settings."""
        tensors = {f"model.{n}": p.detach().cpu() for n, p in self._model.named_parameters()}
        steps = {}
        for parameter, moments in self._optimizer.state.items():
            name = self._names[id(parameter)]
            tensors[f"exp_avg.{name}"] = moments["exp_avg"].cpu()
            tensors[f"exp_avg_sq.{name}"] = moments["exp_avg_sq"].cpu()
            steps[name] = float(moments["step"])
        state = {**asdict(self.run), "optimizer_steps": steps, "settings": settings}
        return Checkpoint(tensors, state)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Takes up what `checkpoint` put down."""
        state = {k: value for k, value in checkpoint.state.items() if k != "settings"}
        steps = state.pop("optimizer_steps")
        curve = [CurvePoint(**point) for point in state.pop("curve")]
        self.run = TrainingRun(**state, curve=curve)
        tensors = checkpoint.tensors
        with torch.no_grad():
            for name, parameter in self._model.named_parameters():
                parameter.copy_(tensors[f"model.{name}"])
                if name in steps:
                    device = parameter.device  # fused AdamW counts its steps there too
                    self._optimizer.state[parameter] = {
                        "step": torch.tensor(steps[name], dtype=torch.float32, device=device),
                        "exp_avg": tensors[f"exp_avg.{name}"].to(device),
                        "exp_avg_sq": tensors[f"exp_avg_sq.{name}"].to(device),
                    }

    def _nats(self, batch: Batch) -> torch.Tensor:
        dtype = self._precision or torch.float32
        reading: dict[str, torch.Tensor] = {}
        if not (self.causal and batch.is_alone):
            # Positions go with the mask: without one, transformers would take the zeros of
            # padding for the starts of documents and make a mask itself.
            mask = batch.blocked_mask(dtype, causal=self.causal)
            reading = {
                "attention_mask": mask.to(self._device),
                "position_ids": batch.position_RT.to(self._device),
            }
        with torch.autocast(self._device.type, dtype=dtype, enabled=self._precision is not None):
            logits_RTV = self._model(
                input_ids=batch.x_RT.to(self._device), use_cache=False, **reading
            ).logits
        return torch.nn.functional.cross_entropy(
            logits_RTV.float().flatten(0, 1),
            batch.labels_RT.to(self._device).flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )

    def _open(self, part: Part) -> None:
        """Lets a part receive gradients; AdamW passes over parameters without."""
        if part == self._part:
            return
        chosen = trainable_parameters(self._model, part, frozen=self._frozen)
        for name, parameter in self._model.named_parameters():
            parameter.requires_grad_(name in chosen)
        self._part = part


@contextmanager
def _randomness(seed: int, device: torch.device) -> Iterator[None]:
    """A step's own random numbers, whatever was drawn before it, and none taken from others."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
