"""One output bias that gives a model the unigram frequencies of a text.

Right after a vocabulary swap a model spreads its probability over tokens in proportion to the old
language's habits. The bias corrects the marginal alone, so that what is left to see is what the
rows carried over. Axes: V vocabulary.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from lingraft.corpus.records import Document
from lingraft.measurement.bits_per_byte import bits_per_byte
from lingraft.model.scoring import CausalScorer
from lingraft.tokenizer.tokenizer import Tokenizer

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_PSEUDO_COUNT = 0.5


@torch.inference_mode()
def fit_unigram_bias(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    *,
    train: Sequence[Document],
    valid: Sequence[Document],
    start_token: int,
) -> torch.Tensor:
    """Fits a bias b_v = s · (log u_v − log q_v) and returns it, float32 (V,).

    u is the smoothed unigram distribution of the training text, q the model's own mean
    prediction on the valid text, and the strength s the best of `STRENGTHS` on the valid text.

    Args:
        model: The model right after the swap.
        tokenizer: Its tokenizer.
        train: Text that the unigrams are counted in.
        valid: Text that q is averaged over and s is chosen on.
        start_token: Id before every text.
    """
    counts = Counter(i for ids in tokenizer.encode_batch([d.text for d in train]) for i in ids)
    size = model.get_input_embeddings().weight.shape[0]
    unigram_V = np.full(size, _PSEUDO_COUNT)
    for token, count in counts.items():
        unigram_V[token] += count
    log_u_V = torch.from_numpy(np.log(unigram_V / unigram_V.sum())).float()
    shift_V = log_u_V - _mean_log_prediction(model, tokenizer, valid, start_token)
    # The sum of nats ranks as bits per byte does: the text is the same.
    costs = {
        strength: bits_per_byte(
            CausalScorer(model, tokenizer, start_token=start_token, bias_V=strength * shift_V),
            valid,
        ).numerator
        for strength in STRENGTHS
    }
    return min(STRENGTHS, key=costs.__getitem__) * shift_V


def _mean_log_prediction(
    model: PreTrainedModel, tokenizer: Tokenizer, valid: Sequence[Document], start_token: int
) -> torch.Tensor:
    size = model.get_input_embeddings().weight.shape[0]
    total_V = torch.zeros(size, dtype=torch.float64)
    num_tokens = 0
    for document in valid:
        x_BT = torch.tensor([[start_token, *tokenizer.encode(document.text)[:255]]])
        p_TV = model(input_ids=x_BT.to(model.device), use_cache=False).logits[0].double()
        total_V += p_TV.softmax(-1).sum(0).cpu()
        num_tokens += p_TV.shape[0]
    return (total_V / num_tokens).log().float()
