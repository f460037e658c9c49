"""Keys of a home, and what they seal."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from perdure_proto.v1 import journal_pb2 as pb
from perdure_server.coordinator.builds import Builds
from perdure_server.coordinator.clock import SystemClock
from perdure_server.coordinator.sealing import hide, seal, unseal
from perdure_server.coordinator.variables import MAX_ALL_BYTES, MAX_VALUE_BYTES, MAX_VARS, Variables
from perdure_server.coordinator.waits import pack, unpack
from perdure_server.core.errors import PerdureError
from perdure_server.secrets import KEY_FILE, Vault, is_sealed
from perdure_server.secrets.rotating import about, needed_keys, rotate
from perdure_server.store import BlobStore, Store, spill

ABOUT = b"something"


def variables(store: Store, vault: Vault) -> Variables:
    return Variables(store, vault, Builds(store), SystemClock())


def key(fill: int) -> str:
    return base64.b64encode(bytes([fill]) * 32).decode()


def test_what_is_sealed_opens_with_its_key_and_only_for_what_it_is(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path, {})
    vault.make_ready()
    sealed = vault.seal(b"hunter2", ABOUT)
    assert is_sealed(sealed)
    assert b"hunter2" not in sealed
    assert vault.seal(b"hunter2", ABOUT) != sealed
    assert Vault.open(tmp_path, {}).unseal(sealed, ABOUT) == b"hunter2"
    for data, thing in ((sealed, b"other"), (sealed[:-1] + bytes([sealed[-1] ^ 1]), ABOUT), (sealed[:20], ABOUT)):
        with pytest.raises(PerdureError) as caught:
            vault.unseal(data, thing)
        assert caught.value.code == "P0209"


def test_the_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path, {})
    assert not (tmp_path / KEY_FILE).exists()  # homes without secrets have none
    made = vault.make_ready()
    path = tmp_path / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert Vault.open(tmp_path, {}).make_ready() == made
    path.chmod(0o640)
    with pytest.raises(PerdureError) as caught:
        Vault.open(tmp_path, {})
    assert (caught.value.code, "read by others" in caught.value.message) == ("P0220", True)


@pytest.mark.parametrize("text", ["short", base64.b64encode(b"x" * 31).decode(), "ä" * 44, key(1) + "," + "?" * 44])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(PerdureError) as caught:
        Vault.open(tmp_path, {"PERDURE_KEY": text})
    assert caught.value.code == "P0220"
    assert text not in caught.value.render()


def test_a_key_of_the_environment_comes_first_and_the_files_still_open(tmp_path: Path) -> None:
    old = Vault.open(tmp_path, {})
    old.make_ready()
    sealed = old.seal(b"a", ABOUT)
    both = Vault.open(tmp_path, {"PERDURE_KEY": f"{key(1)}, {key(2)}"})
    assert both.make_ready() not in {"", old.key_id}
    assert both.unseal(sealed, ABOUT) == b"a"
    assert both.unseal(Vault.open(tmp_path / "none", {"PERDURE_KEY": key(2)}).seal(b"b", ABOUT), ABOUT) == b"b"
    with pytest.raises(PerdureError) as caught:
        Vault.open(tmp_path / "none", {"PERDURE_KEY": key(3)}).unseal(sealed, ABOUT)
    assert caught.value.code == "P0220"


async def test_a_rotation_seals_anew_and_needs_every_old_key(tmp_path: Path) -> None:
    store, vault = Store.open(tmp_path), Vault.open(tmp_path, {})
    await variables(store, vault).set("p", "TOKEN", b"hunter2", secret=True)
    await variables(store, vault).set("p", "MODE", b"clear", secret=False)
    first = vault.key_id
    assert needed_keys(store) == {first}
    (tmp_path / KEY_FILE).rename(tmp_path / "away")
    with pytest.raises(PerdureError) as caught:
        rotate(store, Vault.open(tmp_path, {}), 1)
    assert caught.value.code == "P0220"
    (tmp_path / "away").rename(tmp_path / KEY_FILE)
    made = rotate(store, Vault.open(tmp_path, {}), 1)
    assert (made.resealed, made.key_id != first) == (1, True)
    assert needed_keys(store) == {first, made.key_id}
    again = variables(store, Vault.open(tmp_path, {}))
    await again.start()
    assert (await again.of("p", "")).values == {"MODE": "clear", "TOKEN": "hunter2"}
    assert (await again.of("p", "")).secrets == ("TOKEN",)
    assert store.sealed_vars()[0].key_id == made.key_id
    store.close()


async def test_variables_are_set_listed_and_unset(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    told = variables(store, Vault.open(tmp_path, {}))
    await told.set("p", "A", b"1", secret=False)
    await told.set("p", "A", b"2", secret=True)
    await told.set("p", "A", b"3", secret=False)  # what was secret stays it
    await told.set("p", "B", "ä".encode(), secret=False)
    assert [(var.name, var.value, var.secret) for var in await told.list("p")] == [
        ("A", b"", True),
        ("B", "ä".encode(), False),
    ]
    assert (await told.of("p", "")).values == {"A": "3", "B": "ä"}
    assert (await told.of("other", "")).values == {}
    assert [await told.unset("p", "A"), await told.unset("p", "A")] == [True, False]
    assert (await told.of("p", "")).values == {"B": "ä"}
    store.close()


@pytest.mark.parametrize(
    ("project", "name", "value", "code"),
    [
        ("p:builds", "A", b"", "P0103"),
        ("", "A", b"", "P0103"),
        ("p", "1A", b"", "P0103"),
        ("p", "A=B", b"", "P0103"),
        ("p", "A", b"\xff", "P0103"),
        ("p", "A", b"a\0b", "P0103"),
        ("p", "A", b"x" * (MAX_VALUE_BYTES + 1), "P0402"),
    ],
)
async def test_what_can_be_no_variable(project: str, name: str, value: bytes, code: str) -> None:
    with pytest.raises(PerdureError) as caught:
        await variables(Store.memory(), Vault.in_memory()).set(project, name, value, secret=True)
    assert caught.value.code == code


async def test_a_project_has_a_bounded_number_of_them() -> None:
    told = variables(Store.memory(), Vault.in_memory())
    for n in range(MAX_ALL_BYTES // MAX_VALUE_BYTES):
        await told.set("large", f"A{n}", b"x" * MAX_VALUE_BYTES, secret=False)
    with pytest.raises(PerdureError) as caught:
        await told.set("large", "more", b"x", secret=True)
    assert caught.value.code == "P0402"
    for n in range(MAX_VARS):
        await told.set("p", f"A{n}", b"", secret=False)
    await told.set("p", "A0", b"again", secret=False)
    with pytest.raises(PerdureError) as caught:
        await told.set("p", "more", b"", secret=False)
    assert caught.value.code == "P0103"


def test_a_value_moved_to_another_name_does_not_open() -> None:
    vault = Vault.in_memory()
    vault.make_ready()
    sealed = vault.seal(b"a", about("p", "A"))
    for place in (about("p", "B"), about("q", "A")):
        with pytest.raises(PerdureError):
            vault.unseal(sealed, place)


@pytest.mark.parametrize("size", [100, 100_000])
def test_sealed_payloads_are_opened_for_the_runner_and_hidden_from_everybody_else(tmp_path: Path, size: int) -> None:
    vault, blobs = Vault.in_memory(), BlobStore(tmp_path)
    vault.make_ready()
    data = os.urandom(size)
    entry = pb.Entry(outcome=pb.Payload(encoding=pb.ENCODING_PICKLE, data=data, size=size, preview="a"))
    seal(entry.outcome, vault)
    seal(entry.outcome, vault)
    assert data not in entry.SerializeToString()
    stored = pb.Entry.FromString(entry.SerializeToString())
    spill(stored, blobs)
    if stored.outcome.blob:
        assert data not in blobs.get(stored.outcome.blob)
    hide(stored.outcome, blobs)
    assert (stored.outcome.data, stored.outcome.blob, stored.outcome.preview) == (b"", "", "a")
    unseal(entry, vault)
    assert entry.outcome.data == data


def test_the_row_of_a_session_does_not_say_why_an_attempt_failed() -> None:
    waited = pb.Entry(seq=3, kind=pb.ENTRY_KIND_RETRY, wait=pb.Wait(fires_at_us=5), outcome=pb.Payload(data=b"hunter2"))
    assert b"hunter2" not in pack([waited])
    assert unpack(pack([waited]))[0].wait.fires_at_us == 5
    assert waited.outcome.data == b"hunter2"
