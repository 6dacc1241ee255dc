"""Whether a study of data transfer fits into the time that there is, measured before it starts."""

import statistics
import time
from collections.abc import Sequence

import torch

from lingraft.corpus import Document
from lingraft.errors import InputError
from lingraft.model import byte_lm
from lingraft.model.byte_lm import byte_config, num_flops_per_token
from lingraft.model.precision import computing_device
from lingraft.pipelines.transfer_runs import RunSettings
from lingraft.runtime import Runtime
from lingraft.study import Plan
from lingraft.tokenizer import byte_tokenizer
from lingraft.training import Packing
from lingraft.training.batches import pack
from lingraft.training.trainer import Trainer
from lingraft.units import format_bytes

NUM_STEPS = 4
# Runs end by patience: of the most text that they may read, the laptop study read about this much.
EXPECTED_SHARE = 0.4


def check_time(
    plan: Plan, sizes: Sequence[str], settings: RunSettings, *, hours: float, workers: int
) -> None:
    """Refuses a plan that would take longer than there is, and says what would fit.

    Args:
        plan: Of a data transfer study.
        sizes: Of its models; the largest is timed, on bytes.
        settings: Of its runs.
        hours: That there are.
        workers: Processes of one thread each.

    Raises:
        InputError: No workers, or the expected text is more than they read in that time.
    """
    if workers < 1:
        raise InputError(expected="at least 1 worker", got=str(workers), where="workers")
    rate = bytes_per_second(sizes[-1], settings) * workers
    # Bytes of the model that is timed: a smaller one, or one of other tokens, costs less or more.
    config = byte_config(sizes[-1])
    flops_per_byte = num_flops_per_token(config, window_tokens=settings.window_tokens)
    most = sum(job.costs.get("num_flops", 0.0) for job in plan.order) / flops_per_byte
    expected, room = EXPECTED_SHARE * most, rate * hours * 3600
    if expected > room:
        raise InputError(
            expected=f"at most {format_bytes(room)} of training, {hours:g} h at "
            f"{format_bytes(rate)}/s",
            got=f"about {format_bytes(expected)}, {expected / rate / 3600:.1f} h",
            where="hours",
            hint=f"{room / expected:.0%} of the targets, sources or seeds would fit; or a smaller "
            "model",
        )


def bytes_per_second(size: str, settings: RunSettings) -> float:
    """Returns the text that one thread trains on in a second: the median of some steps."""
    runtime = Runtime(num_threads=1)
    torch.set_num_threads(1)
    tokenizer = byte_tokenizer()
    start = tokenizer.role_id("bos_token")
    assert start is not None
    packing = Packing(settings.batch_bytes, settings.window_tokens, start, None)
    line = "The file opens in a new window of the program. "
    texts = [Document(line, str(n)) for n in range(max(settings.batch_bytes // len(line), 1))]
    batch = pack(texts, tokenizer=tokenizer, packing=packing)
    trainer = Trainer(
        byte_lm(size, seed=0),
        device=computing_device(runtime),
        runtime=runtime,
        weight_decay=0.0,
        seed=0,
    )
    seconds = []
    for _ in range(NUM_STEPS):
        started = time.perf_counter()
        trainer.step(lambda: batch, part="all", learning_rate=1e-3)
        seconds.append(time.perf_counter() - started)
    return batch.num_bytes / statistics.median(seconds[1:])
