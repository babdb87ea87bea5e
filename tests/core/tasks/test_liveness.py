"""Locks that die with their process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skillspace.core.errors import StorageUnavailable
from skillspace.core.tasks.liveness import ProcessLock

HOLD = """
import sys, time
from pathlib import Path
from skillspace.core.tasks.liveness import ProcessLock
lock = ProcessLock(Path(sys.argv[1]))
print(lock.owner, flush=True)
time.sleep(60)
"""


def test_a_process_lives_until_it_is_killed(tmp_path: Path) -> None:
    """SIGKILL lets go of the lock; its file is then removed by whoever comes next."""
    lock = ProcessLock(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    owner = child.stdout.readline().decode().strip()
    assert lock.is_dead(owner) is False
    assert lock.remove_dead() == 0
    child.kill()
    child.communicate()
    assert lock.is_dead(owner) is True
    assert lock.remove_dead() == 1
    assert lock.is_dead(owner) is True
    lock.close()


def test_a_closed_lock_counts_as_dead(tmp_path: Path) -> None:
    """Whoever closed its space holds nothing any more."""
    one, other = ProcessLock(tmp_path), ProcessLock(tmp_path)
    assert one.is_dead(other.owner) is False
    assert one.is_dead(one.owner) is False
    other.close()
    other.close()
    assert one.is_dead(other.owner) is True
    one.close()


def test_other_folders_and_hosts_cannot_be_judged(tmp_path: Path) -> None:
    """Only processes that share a folder can tell; of all others the lease decides."""
    here, there = ProcessLock(tmp_path / "a"), ProcessLock(tmp_path / "b")
    there.close()
    assert here.is_dead(there.owner) is None
    assert here.is_dead("what another version wrote") is None
    here.close()


def test_two_first_processes_agree_on_the_folder(tmp_path: Path) -> None:
    """The folder's id is written once, whoever comes first."""
    owners = set()
    children = [
        subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        owners.add(child.stdout.readline().decode().split("/")[0])
        child.kill()
        child.communicate()
    assert len(owners) == 1


def test_the_owner_names_host_and_process(tmp_path: Path) -> None:
    """So that a person can find it."""
    lock = ProcessLock(tmp_path)
    assert lock.owner.endswith(f":{os.getpid()}")
    assert len(lock.owner) <= 255
    lock.close()


def test_a_folder_that_cannot_be_written_is_told(read_only_folder: Path) -> None:
    """A read-only home gives an error of ours, with a remedy."""
    with pytest.raises(StorageUnavailable):
        ProcessLock(read_only_folder / "run")
