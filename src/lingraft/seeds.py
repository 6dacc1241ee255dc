"""Seeds are given, never drawn: every part of a run derives its own from the user's one."""

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """Returns a seed in [0, 2**63) for one named part of a run.

    The same on every platform and under every hash seed, and independent between names, so that
    adding a part to a pipeline leaves the randomness of the other parts as it was.

    Example:
        >>> derive(0, "shuffle") == derive(0, "shuffle"), derive(0, "a") == derive(0, "b")
        (True, False)
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
