"""The foundation: one-line errors, atomic files, units, seeds, languages, threads."""

import errno
import hashlib
import math
import os
import platform
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft import runtime
from lingraft.errors import InputError, LingraftError, ModelError, StoreError
from lingraft.files import (
    atomic_path,
    atomic_writer,
    read_json,
    sha256_file,
    write_bytes,
    write_json,
    write_text,
)
from lingraft.languages import Language
from lingraft.runtime import Runtime, keep_memory, release_memory
from lingraft.seeds import derive
from lingraft.units import BYTES_PER, Budget, format_bytes, parse_budget, parse_bytes

FULL_DISK = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestErrors:
    def test_the_message_says_where_what_and_what_to_do(self) -> None:
        error = InputError(
            expected="UTF-8 text", got="byte 0xff", where="a.txt:3", hint="convert it"
        )
        assert str(error) == "a.txt:3: expected UTF-8 text, got byte 0xff; convert it"
        assert (error.expected, error.got, error.where, error.hint) == (
            "UTF-8 text",
            "byte 0xff",
            "a.txt:3",
            "convert it",
        )
        assert str(StoreError(expected="a", got="b\n  c")) == "expected a, got b c"

    @given(st.text(), st.text(), st.text(), st.text())
    def test_any_message_is_one_line(self, expected: str, got: str, where: str, hint: str) -> None:
        error = ModelError(expected=expected, got=got, where=where, hint=hint)
        assert isinstance(error, LingraftError)
        assert len(str(error).splitlines()) == 1


class TestFiles:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "state.bin"
        path.write_bytes(b"old")
        return path

    def test_new_content_appears_only_when_the_block_has_ended(self, path: Path) -> None:
        with atomic_writer(path) as stream:
            stream.write(b"new")
            stream.flush()
            assert path.read_bytes() == b"old"
        assert path.read_bytes() == b"new"
        assert [entry.name for entry in path.parent.iterdir()] == ["state.bin"]

    @pytest.mark.parametrize("step", ["tempfile.mkstemp", "os.fsync", "chmod", "replace"])
    def test_an_error_at_any_step_leaves_the_old_file(
        self, path: Path, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise FULL_DISK

        monkeypatch.setattr(step if "." in step else f"pathlib.Path.{step}", fail)
        with pytest.raises(
            StoreError, match=r"state\.bin: expected a folder .*room.*got No space left on device"
        ):
            write_bytes(path, b"new")
        assert path.read_bytes() == b"old"
        assert [entry.name for entry in path.parent.iterdir()] == ["state.bin"]

    def test_a_library_may_write_by_name(self, path: Path) -> None:
        def write_half() -> None:
            with atomic_path(path) as temporary:
                temporary.write_bytes(b"half")
                raise ValueError

        with pytest.raises(ValueError):
            write_half()
        assert path.read_bytes() == b"old"
        with atomic_path(path) as temporary:
            assert temporary.parent == path.parent
            temporary.write_bytes(b"new")
            assert path.read_bytes() == b"old"
        assert path.read_bytes() == b"new"
        assert len(list(path.parent.iterdir())) == 1

    def test_a_folder_that_cannot_be_flushed_is_reported_with_the_file_whole(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flush = os.fsync

        def fail_on_folders(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise FULL_DISK
            flush(descriptor)

        monkeypatch.setattr(os, "fsync", fail_on_folders)
        with pytest.raises(StoreError, match="got No space left"):
            write_bytes(path, b"new")
        assert path.read_bytes() == b"new"
        assert len(list(path.parent.iterdir())) == 1

    def test_file_and_folder_are_flushed_around_the_renaming(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[tuple[bool, bytes]] = []

        def note(descriptor: int) -> None:
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            seen.append((is_folder, path.read_bytes()))

        monkeypatch.setattr(os, "fsync", note)
        write_bytes(path, b"new")
        assert seen == [(False, b"old"), (True, b"new")]

    @pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
    def test_an_error_in_the_block_passes_and_leaves_the_old_file(
        self, path: Path, error: BaseException
    ) -> None:
        def write_half() -> None:
            with atomic_writer(path) as stream:
                stream.write(b"half")
                raise error

        with pytest.raises(type(error)) as caught:
            write_half()
        assert caught.value is error
        assert path.read_bytes() == b"old"
        assert len(list(path.parent.iterdir())) == 1

    def test_a_place_that_is_no_folder_is_refused(self, path: Path) -> None:
        with pytest.raises(StoreError, match="inner: expected a folder that can be written"):
            write_bytes(path / "inner", b"new")
        with pytest.raises(StoreError, match=r"got Is a directory|got Directory not empty"):
            write_bytes(path.parent, b"new")

    @pytest.fixture(params=[0o022, 0o027, 0o077])
    def umask(self, request: pytest.FixtureRequest) -> Iterator[int]:
        before = os.umask(request.param)
        yield request.param
        os.umask(before)

    def test_the_mode_respects_the_umask(self, tmp_path: Path, umask: int) -> None:
        write_bytes(tmp_path / "deep" / "a", b"")
        assert stat.S_IMODE((tmp_path / "deep" / "a").stat().st_mode) == 0o666 & ~umask
        assert os.umask(umask) == umask

    def test_json_is_the_same_bytes_for_equal_values(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a", {"b": 1, "a": ["é"]})
        write_json(tmp_path / "b", {"a": ["é"], "b": 1})
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        assert "é".encode() in (tmp_path / "a").read_bytes()
        assert read_json(tmp_path / "a") == {"a": ["é"], "b": 1}
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "a", math.nan)
        assert read_json(tmp_path / "a") == {"a": ["é"], "b": 1}

    @pytest.mark.parametrize("content", [None, b"{", b"\xff"])
    def test_unreadable_json_is_refused(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "facts.json"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(StoreError, match=r"facts\.json: expected a readable JSON file, got "):
            read_json(path)

    def test_text_is_written_as_it_is(self, tmp_path: Path) -> None:
        write_text(tmp_path / "a", "α\r\nβ\n")
        assert (tmp_path / "a").read_bytes() == "α\r\nβ\n".encode()
        assert sha256_file(tmp_path / "a") == hashlib.sha256("α\r\nβ\n".encode()).hexdigest()


class TestUnits:
    @given(
        st.integers(0, 10**6),
        st.sampled_from(sorted(BYTES_PER)),
        st.sampled_from(["", " "]),
        st.sampled_from([str, str.lower, str.upper]),
    )
    def test_whole_amounts_are_exact(
        self, amount: int, unit: str, space: str, case: type[str]
    ) -> None:
        assert parse_bytes(f" {amount}{space}{case(unit)} ") == amount * BYTES_PER[unit]

    def test_mb_is_a_million_and_mib_is_two_to_the_twenty(self) -> None:
        assert parse_bytes("2.5MB") == 2_500_000
        assert parse_bytes("1MiB") == 1_048_576
        assert parse_bytes("4096") == 4096

    @given(st.integers(0, 10**15))
    def test_formatted_bytes_read_back_to_three_digits(self, num_bytes: int) -> None:
        shown = format_bytes(num_bytes)
        assert "e+" not in shown
        assert parse_bytes(shown) == pytest.approx(num_bytes, rel=0.005)

    @pytest.mark.parametrize(
        ("num_bytes", "shown"),
        [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (2_500_000, "2.5 MB"),
            (999_499, "999 kB"),
            (999_999, "1 MB"),
            (2.5e12, "2500 GB"),
        ],
    )
    def test_bytes_are_shown_in_powers_of_ten(self, num_bytes: float, shown: str) -> None:
        assert format_bytes(num_bytes) == shown

    @pytest.mark.parametrize("text", ["", "MB", "-1MB", "1 parsec", "1e3MB", "²", "2²MB", "1.5"])
    def test_other_amounts_are_refused(self, text: str) -> None:
        with pytest.raises(InputError) as caught:
            parse_bytes(text)
        assert caught.value.got == repr(text)
        assert caught.value.where == "amount of bytes"

    @pytest.mark.parametrize(
        ("text", "budget", "timed"),
        [
            ("2MB", Budget(num_bytes=2_000_000), False),
            ("200 steps", Budget(num_steps=200), False),
            ("1step", Budget(num_steps=1), False),
            ("90s", Budget(num_seconds=90), True),
            ("1.5min", Budget(num_seconds=90), True),
            ("2h", Budget(num_seconds=7200), True),
        ],
    )
    def test_budgets(self, text: str, budget: Budget, timed: bool) -> None:
        assert parse_budget(text) == budget
        assert budget.timed is timed

    @pytest.mark.parametrize("text", ["", "200", "2.5steps", "3 stepss", "5m", "²steps"])
    def test_other_budgets_are_refused(self, text: str) -> None:
        with pytest.raises(InputError, match="expected a budget such as 2MB, 300s") as caught:
            parse_budget(text)
        assert caught.value.got == repr(text)

    @pytest.mark.parametrize(
        "amounts", [{}, {"num_bytes": 1, "num_steps": 1}, {"num_steps": 0}, {"num_seconds": -1.0}]
    )
    def test_a_budget_is_one_positive_amount(self, amounts: dict[str, int]) -> None:
        with pytest.raises(InputError, match="exactly one positive amount") as caught:
            Budget(**amounts)
        assert caught.value.got.startswith("Budget(num_bytes=")


class TestSeeds:
    def test_golden_values(self) -> None:
        # blake2b of the parts joined by U+001F; recorded runs depend on these.
        assert derive(0, "shuffle") == 956331668323957187
        assert derive(7, "rows", 3) == 2951763487495836195
        assert derive(-1) == 1129168158855626867

    @given(st.integers(), st.lists(st.text(alphabet="ab", max_size=3), max_size=3))
    def test_seeds_are_in_range_and_differ_by_name(self, seed: int, names: list[str]) -> None:
        assert 0 <= derive(seed, *names) < 2**63
        assert derive(seed, *names) == derive(seed, *names)
        assert derive(seed, *names) != derive(seed, *names, "other")
        assert derive(seed, *names) != derive(seed + 1, *names)


class TestLanguages:
    @pytest.mark.parametrize(
        ("text", "shown", "tag", "iso639_1", "name"),
        [
            ("el", "ell_Grek", "el", "el", "Greek"),
            ("ell_Grek", "ell_Grek", "el", "el", "Greek"),
            (" Finnish ", "fin_Latn", "fi", "fi", "Finnish"),
            ("ell_Latn", "ell_Latn", "el-Latn", "el", "Greek"),
            ("sr_Latn", "srp_Latn", "sr-Latn", "sr", "Serbian"),
            ("pt-BR", "por_Latn-BR", "pt-BR", "pt", "Portuguese"),
            ("ca-valencia", "cat_Latn-valencia", "ca-valencia", "ca", "Catalan"),
            ("zh-TW", "zho_Hant-TW", "zh-Hant-TW", "zh", "Chinese"),
            ("es-419", "spa_Latn-419", "es-419", "es", "Spanish"),
            ("iw", "heb_Hebr", "he", "he", "Hebrew"),
            ("haw", "haw_Latn", "haw-Latn", None, "Hawaiian"),
        ],
    )
    def test_codes_and_names(
        self, text: str, shown: str, tag: str, iso639_1: str | None, name: str
    ) -> None:
        language = Language.parse(text)
        assert str(language) == shown
        assert (language.tag, language.iso639_1, language.name) == (tag, iso639_1, name)
        assert Language.parse(shown) == Language.parse(tag) == language

    def test_region_and_variant_are_kept_apart(self) -> None:
        assert Language.parse("de-CH-1996") == Language("deu", "Latn", "CH", "1996")
        assert Language.parse("de") != Language.parse("de-CH")

    def test_the_script_tells_the_direction(self) -> None:
        right_to_left = ["ar", "he", "fa", "ur", "dv", "syr", "uz-Arab"]
        assert all(Language.parse(code).is_right_to_left for code in right_to_left)
        assert not any(Language.parse(code).is_right_to_left for code in ("el", "uz", "mn-Mong"))

    @pytest.mark.parametrize(
        "text", ["", "xx", "x", "C++", "1", "🙂", "und", "mul", "zxx", "mis", "en_Latn_Latn"]
    )
    def test_what_is_no_language_is_refused(self, text: str) -> None:
        with pytest.raises(InputError, match=r"language: expected a language such as el") as caught:
            Language.parse(text)
        assert caught.value.got == repr(text)
        assert "iso639-3.sil.org" in caught.value.hint


class TestRuntime:
    def test_threads_are_those_asked_for_or_all_that_may_be_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert Runtime(num_threads=3).threads == 3
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
        assert Runtime().threads == 3
        monkeypatch.delattr(os, "sched_getaffinity")
        monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert Runtime().threads == 1


def test_memory_is_kept_where_the_c_library_can() -> None:
    assert keep_memory() == (platform.libc_ver()[0] == "glibc")


def test_a_c_library_without_the_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not keep_memory()
    release_memory()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone keeps memory")
@pytest.mark.parametrize("is_large", [True, False])
def test_a_large_process_hands_kept_memory_back(
    monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    def resident_bytes() -> int:
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    keep_memory()
    block = np.ones(2**25)
    above = np.ones(2**10)
    del block
    kept = resident_bytes()
    monkeypatch.setattr(runtime, "KEPT_BYTES", kept // 2 - 2**24 * (1 if is_large else -1))
    release_memory()
    assert (resident_bytes() < kept - 2**27) == is_large
    assert above.all()
