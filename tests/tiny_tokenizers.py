"""Short texts of several scripts, and tokenizers with special tokens and a chat template."""

from dataclasses import replace

import tokenizers

from lingraft.tokenizer import Tokenizer

TEXTS = (
    "The old bridge crosses the river, and the river crosses the old town.",
    "Every morning the baker sells 12 loaves; every evening 3 are left.",
    "Το παλιό γεφύρι περνά το ποτάμι, και το ποτάμι περνά την παλιά πόλη.",
    "Κάθε πρωί ο φούρναρης πουλά 12 καρβέλια.",
    "पुराना पुल नदी को पार करता है, और नदी पुराने शहर को।",
    "สะพานเก่าข้ามแม่น้ำ และแม่น้ำก็ผ่านเมืองเก่า",
    "오래된 다리가 강을 건너고, 강은 오래된 도시를 지난다.",
    "الجسر القديم يعبر النهر، والنهر يعبر المدينة القديمة.",
    "古い橋が川を渡り、川は古い町を流れる。🌉",
)
START = "<|start|>"
PAD = "<|pad|>"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def with_special_tokens(plain: Tokenizer) -> Tokenizer:
    """Adds a start and a padding token with their roles, and a chat template."""
    backend = tokenizers.Tokenizer.from_str(plain.backend.to_str())
    backend.add_special_tokens([START, PAD])
    roles = {"bos_token": START, "eos_token": START, "pad_token": PAD}
    return replace(plain, backend=backend, roles=roles, chat_template=TEMPLATE)
