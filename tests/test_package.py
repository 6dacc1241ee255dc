"""What a plain `import lingraft` costs and promises."""

import subprocess
import sys

import lingraft


def test_import_loads_no_torch_and_touches_no_network() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "import lingraft\n"
        "heavy = {'torch', 'transformers', 'numba', 'tokenizers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_corpus_tokenizer_alignment_and_embeddings_load_no_torch() -> None:
    code = (
        "import sys\n"
        "import lingraft.corpus, lingraft.tokenizer, lingraft.alignment, lingraft.embeddings\n"
        "import lingraft.cli.app\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version_is_one_and_the_same() -> None:
    from importlib import metadata

    assert metadata.version("lingraft") == lingraft.__version__
