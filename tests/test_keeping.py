"""Machine code that was kept of other sources is not used."""

from __future__ import annotations

from pathlib import Path

from bigwig_numba.kernels.keeping import forget_stale_code


def kept_code(folder: Path) -> Path:
    index = folder / "inflate" / "__pycache__" / "table.inflate-1.py311.nbi"
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_bytes(b"kept")
    return index


def test_what_was_kept_goes_when_a_source_has_changed_and_only_then(tmp_path: Path) -> None:
    forget = forget_stale_code.__wrapped__
    index = kept_code(tmp_path)
    forget(tmp_path)  # nobody knows of which sources
    assert not index.exists()
    index = kept_code(tmp_path)
    forget(tmp_path)
    assert index.exists()
    (tmp_path / "__pycache__" / "sources.digest").write_text("of other sources")
    forget(tmp_path)
    assert not index.exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    forget_stale_code.__wrapped__(tmp_path / "not there")
    assert not (tmp_path / "not there").exists()
