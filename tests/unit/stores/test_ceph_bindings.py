"""The distribution's modules for Ceph are found, or what to do is said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater import distribution
from headwater.stores.rbd.bindings import NoCephBindings, ceph_bindings


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The one directory where the distribution keeps its modules; nothing is loaded yet."""
    monkeypatch.setattr(distribution, "PLACES", (tmp_path,))
    for name in ("rados", "rbd"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    ceph_bindings.cache_clear()
    yield tmp_path
    ceph_bindings.cache_clear()
    for name in ("rados", "rbd"):
        sys.modules.pop(name, None)


def test_both_modules_come_from_there_and_nothing_beside_them(place: Path) -> None:
    (place / "rados.py").write_text("name = 'rados'\n")
    (place / "rbd.py").write_text("import rados\nname = rados.name + ' and rbd'\n")
    (place / "beside.py").write_text("")
    assert ceph_bindings().rbd.name == "rados and rbd"
    assert str(place) not in sys.path
    with pytest.raises(ModuleNotFoundError):
        __import__("beside")


def test_where_there_are_none_the_error_says_what_to_install(place: Path) -> None:
    with pytest.raises(NoCephBindings, match=r"no module 'rados' in .*apt-get install python3-rados python3-rbd"):
        ceph_bindings()


def test_those_of_another_python_are_named(place: Path) -> None:
    (place / "rados.cpython-27-x86_64-linux-gnu.so").touch()
    with pytest.raises(NoCephBindings, match=r"rados\.cpython-27-\S+ is for another Python than this cpython-3\d+"):
        ceph_bindings()


def test_a_module_that_does_not_load_is_an_error_and_is_not_kept(place: Path) -> None:
    (place / "rados.py").write_text("raise ImportError('librados.so.2: cannot open shared object file')\n")
    with pytest.raises(NoCephBindings, match=r"librados\.so\.2"):
        ceph_bindings()
    assert "rados" not in sys.modules
