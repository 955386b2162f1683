import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from evibridge.errors import SettingsError
from evibridge.events import CallKind
from evibridge.records import store as store_module
from evibridge.records.document import Record, Recording, encoded, outlined, parsed
from evibridge.records.store import MAX_BYTES, RecordStore, file_name, is_file_name
from tests.records.calls import record
from tests.records.little_room import room_for


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    store = RecordStore(tmp_path / "calls")
    store.open()
    return store


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Names


@pytest.mark.parametrize("call_id", ["CA" + 32 * "0", "a", "-", "_x-9", 64 * "z"])
def test_plain_ids_name_their_files(call_id: str) -> None:
    assert file_name(call_id) == call_id


@pytest.mark.parametrize(
    "call_id", ["", ".", "..", "../../etc/passwd", "a/b", "a\\b", "a\0", "a\n", "é", 65 * "z", "C:"]
)
def test_all_other_ids_name_them_by_a_hash(call_id: str) -> None:
    name = file_name(call_id)
    assert name.startswith("~")
    assert name[1:].isalnum()
    assert len(name) == 65


@given(st.text(), st.text())
def test_no_two_calls_have_the_same_file(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


@given(st.text())
def test_no_id_leads_out_of_the_folder(call_id: str) -> None:
    name, store = file_name(call_id), RecordStore(Path("/calls"))
    assert is_file_name(name)
    assert store.record_path(name) == Path(f"/calls/{name}.json")
    assert store.recording_path(call_id) == Path(f"/calls/{name}.wav")
    assert not set(name) & {"/", "\0", "."}


@given(st.text())
@settings(max_examples=50)
def test_the_name_of_another_calls_file_is_the_id_of_none(call_id: str) -> None:
    name = file_name(call_id)
    assert name == call_id or file_name(name) != name


# The folder


def test_folder_and_files_are_their_owners_alone(store: RecordStore) -> None:
    store.save(record("CA1"))
    assert mode(store.folder) == 0o700
    assert mode(store.record_path("CA1")) == 0o600


def test_a_folder_that_is_there_is_taken_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    RecordStore(tmp_path).open()
    assert mode(tmp_path) == 0o750
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_told_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SettingsError, match=r"EVIBRIDGE_DATA_DIR: .*taken/calls.*\."):
        RecordStore(tmp_path / "taken" / "calls").open()


# Records


@pytest.mark.parametrize("call_id", ["CA1", "../shop/7", ""])
def test_a_record_is_read_as_it_was_kept(store: RecordStore, call_id: str) -> None:
    kept = record(call_id)
    assert store.save(kept)
    assert store.read(file_name(call_id), parsed) == kept
    assert store.text(file_name(call_id)) == encoded(kept)


def test_a_call_that_was_not_kept_has_no_record(store: RecordStore) -> None:
    with capture_logs() as logs:
        assert store.text("CA1") is None
    assert not logs


def test_the_latest_record_of_a_call_is_the_one(store: RecordStore) -> None:
    store.save(record(caller="+1"))
    store.save(record(caller="+2"))
    kept = store.read("CA1", outlined)
    assert kept is not None
    assert kept.caller == "+2"
    assert [path.name for path in store.folder.iterdir()] == ["CA1.json"]


def sidecar(began_at_s: float, caller: str) -> Record:
    return record("chat-1", kind=CallKind.SIDECAR, began_at_s=began_at_s, caller=caller)


def test_each_sidecar_of_a_chat_has_its_record(store: RecordStore) -> None:
    for began_at_s, number in ((1.0, "+1"), (2.0, "+2"), (2.0, "+3"), (3.0, "+4")):
        assert store.save(sidecar(began_at_s, number))

    kept = {path.stem: store.read(path.stem, outlined) for path in store.folder.iterdir()}
    assert {name: one.caller for name, one in kept.items() if one is not None} == {
        "chat-1": "+4",
        "chat-1-2": "+1",
        "chat-1-3": "+3",
    }


def test_only_so_many_sidecars_of_a_chat_have(
    monkeypatch: pytest.MonkeyPatch, store: RecordStore
) -> None:
    monkeypatch.setattr(store_module, "MAX_SIDECARS", 2)
    for began_at_s in (1.0, 2.0, 3.0):
        assert store.save(sidecar(began_at_s, f"+{began_at_s:.0f}"))

    assert sorted(path.stem for path in store.folder.iterdir()) == ["chat-1", "chat-1-2"]


def test_a_full_disk_costs_a_record_and_leaves_the_older_one(store: RecordStore) -> None:
    store.save(record(caller="+1"))
    with room_for(100), capture_logs() as logs:
        assert not store.save(record(caller="+2"))

    (line,) = logs
    assert line["event"] == "call_record_not_kept"
    assert line["call_id"] == "CA1"
    assert line["why"] == f"The record cannot be written in {store.folder} (File too large)."
    kept = store.read("CA1", outlined)
    assert kept is not None
    assert kept.caller == "+1"
    assert [path.name for path in store.folder.iterdir()] == ["CA1.json"]


def test_a_folder_that_has_gone_costs_a_record(store: RecordStore) -> None:
    store.folder.rmdir()
    with capture_logs() as logs:
        assert not store.save(record())
    assert [line["event"] for line in logs] == ["call_record_not_kept"]


def test_a_name_that_is_taken_costs_a_record_and_leaves_nothing(store: RecordStore) -> None:
    store.record_path("CA1").mkdir()
    with capture_logs() as logs:
        assert not store.save(record())
    assert [line["event"] for line in logs] == ["call_record_not_kept"]
    assert [path.name for path in store.folder.iterdir()] == ["CA1.json"]


@pytest.mark.parametrize("damage", [b"", b"{", encoded(record())[:-9], encoded(record("CA2"))])
def test_a_damaged_record_is_told_and_as_good_as_none(store: RecordStore, damage: bytes) -> None:
    store.record_path("CA1").write_bytes(damage)
    with capture_logs() as logs:
        assert store.text("CA1") is None
    (line,) = logs
    assert line["event"] == "call_record_unreadable"
    assert line["file"] == "CA1.json"


def test_a_record_that_may_not_be_read_is_told_without_its_path(store: RecordStore) -> None:
    store.record_path("CA1").mkdir()
    with capture_logs() as logs:
        assert store.text("CA1") is None
    assert [line["why"] for line in logs] == ["Is a directory"]


@pytest.mark.timeout(10)
def test_only_a_file_of_the_folder_itself_is_a_record(store: RecordStore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(encoded(record("CA1")))
    store.record_path("CA1").symlink_to(tmp_path / "elsewhere")
    store.record_path("CA2").symlink_to("CA2.json")
    store.record_path("CA3").symlink_to("nowhere")
    os.mkfifo(store.record_path("CA4"))
    os.mkfifo(store.record_path("CA5"))
    store.record_path("CA6").mkdir()
    somebody_who_writes_nothing = os.open(store.record_path("CA5"), os.O_RDWR)
    with capture_logs():
        found = [store.text(f"CA{number}") for number in range(1, 7)]
    os.close(somebody_who_writes_nothing)
    assert found == 6 * [None]
    assert not list(store.files())


def test_a_file_that_is_longer_than_any_record_is_none(store: RecordStore) -> None:
    store.record_path("CA1").touch()
    os.truncate(store.record_path("CA1"), MAX_BYTES + 1)
    with capture_logs() as logs:
        assert store.text("CA1") is None
    assert [line["why"] for line in logs] == ["It is longer than any record."]


def test_what_a_killed_process_has_half_written_is_removed(store: RecordStore) -> None:
    kept, notes = store.folder / "CA1.json", store.folder / ".notes.tmp"
    half, written_now = store.folder / ".ab_c1234.tmp", store.folder / ".ab_c1235.tmp"
    for path in (kept, notes, half, written_now):
        path.write_text("{")
        os.utime(path, (1.0, 1.0))
    os.utime(written_now)
    (store.folder / ".ab_c1236.tmp").mkdir()

    store.remove_half_written()

    assert not half.exists()
    assert all(path.exists() for path in (kept, notes, written_now))
    RecordStore(store.folder / "nowhere").remove_half_written()


# Recordings


def keep(store: RecordStore, file: str | None) -> None:
    """Keep a record that names a recording."""
    facts = Recording(file=file, seconds=1.0, rate_hz=8000, failure=None)
    assert store.save(record("CA1").model_copy(update={"recording": facts}))


@pytest.fixture
def sounds(store: RecordStore) -> list[Path]:
    """Three recordings of a call, the second of which was written last."""
    paths = [store.folder / name for name in ("CA1.wav", "CA1.2.wav", "CA1.3.wav")]
    for path, written_s in zip(paths, (1.0, 3.0, 2.0), strict=True):
        path.touch()
        os.utime(path, (written_s, written_s))
    return paths


def test_the_recording_of_a_call_is_the_one_that_its_record_names(
    store: RecordStore, sounds: list[Path]
) -> None:
    keep(store, "CA1.3.wav")
    assert store.recording("CA1", newest=False) == sounds[2]
    assert store.recording("CA1", newest=True) == sounds[1]


def test_without_a_record_the_newest_recording_is_the_one(
    store: RecordStore, sounds: list[Path]
) -> None:
    assert store.recording("CA1", newest=False) == sounds[1]
    store.record_path("CA1").write_bytes(b"{")
    assert store.recording("CA1", newest=False) == sounds[1]


@pytest.mark.usefixtures("sounds")
@pytest.mark.parametrize("file", ["CA2.wav", "../CA1.wav", "/etc/passwd", "CA1.json", "", None])
def test_a_record_names_no_file_but_a_recording_of_its_call(
    store: RecordStore, file: str | None
) -> None:
    (store.folder / "CA2.wav").touch()
    keep(store, file)
    assert store.recording("CA1", newest=False) is None


@pytest.mark.usefixtures("sounds")
def test_a_call_that_was_not_recorded_has_no_recording(store: RecordStore) -> None:
    store.save(record("CA1"))
    assert store.recording("CA1", newest=False) is None
    assert store.recording("CA2", newest=False) is None


def test_a_link_is_no_recording(store: RecordStore, sounds: list[Path]) -> None:
    sounds[1].unlink()
    sounds[1].symlink_to("/etc/passwd")
    assert store.recording("CA1", newest=True) == sounds[2]
