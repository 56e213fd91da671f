"""Sealing in other processes, with real ones: all work comes back, whatever becomes of them."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from tests.core.samples import INVOICE_NUMBER, PRESCRIPTION_NUMBER, invoice, prescription

from medledger.core.batch import SealedBatch, draft_of_kept, seal_batch, sealed_of
from medledger.core.sealing import Draft, draft_of
from medledger.errors import BadPatientKey
from medledger.sealers import Sealers, Ticket

pytestmark = pytest.mark.timeout(120)

MORE_THAN_A_PIPE_HOLDS = 4000
"""Documents: a megabyte as drafts, and more sealed."""


def drafts_of(count: int, label: str = "visit") -> list[Draft]:
    return [draft_of(invoice(business_key=f"{label}-{place}")) for place in range(count)]


def require_sealed(batch: SealedBatch, drafts: list[Draft], first: int) -> None:
    """The batch is what the caller makes of these drafts with the same secrets, and verifies."""
    kept = list(batch.kept(drafts))
    assert batch == seal_batch(drafts, first, batch.secrets)
    assert len({one.secret for one in kept}) == len(drafts)
    for place in {0, len(drafts) // 2, len(drafts) - 1}:
        sealed, draft = sealed_of(first + place, kept[place]), drafts[place]
        sealed.disclose().verify(sealed.header.body)
        assert draft_of_kept(draft.business_key, draft.patient_key, kept[place]) == draft


def kill(process: int) -> None:
    """Ends a process and waits until it has ended; its parent still has to ask for its status."""
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def begin_sending(sealers: Sealers, ticket: Ticket) -> None:
    """Waits for the first bytes of a result that is larger than the pipe holds."""
    assert ticket.worker is not None
    assert ticket.worker.pipe.poll(60)


@pytest.fixture
def sealers() -> Iterator[Sealers]:
    with Sealers(2) as found:
        yield found


# Work


@pytest.mark.parametrize("count", [0, 1, 2])
def test_result__of_some_batches__are_those_that_the_caller_would_seal(count: int) -> None:
    batches = [drafts_of(size, f"{place}") for place, size in enumerate([1, 300, 2, 257])]

    with Sealers(count) as sealers:
        tickets = [
            sealers.submit(drafts, INVOICE_NUMBER + 1000 * place)
            for place, drafts in enumerate(batches)
        ]
        found = [sealers.result(ticket) for ticket in tickets]

    for place, batch in enumerate(found):
        require_sealed(batch, batches[place], INVOICE_NUMBER + 1000 * place)


def test_result__of_prescriptions__is_that_which_the_caller_would_seal(sealers: Sealers) -> None:
    drafts = [draft_of(prescription(business_key=f"rx-{place}")) for place in range(3)]

    found = sealers.result(sealers.submit(drafts, PRESCRIPTION_NUMBER))

    require_sealed(found, drafts, PRESCRIPTION_NUMBER)


def test_submit__more_batches_than_processes__each_has_its_share(sealers: Sealers) -> None:
    tickets = [sealers.submit(drafts_of(2), INVOICE_NUMBER) for _ in range(6)]

    shares = [sum(ticket.worker is worker for ticket in tickets) for worker in (sealers._workers)]

    assert shares == [3, 3]


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [2, 0, 5, 3, 1, 4]])
def test_result__asked_for_in_another_order__each_is_its_own(
    sealers: Sealers, order: list[int]
) -> None:
    batches = [drafts_of(3 + place, f"{place}") for place in range(6)]
    tickets = [sealers.submit(drafts, INVOICE_NUMBER + 10 * i) for i, drafts in enumerate(batches)]

    found = {place: sealers.result(tickets[place]) for place in order}

    for place, drafts in enumerate(batches):
        require_sealed(found[place], drafts, INVOICE_NUMBER + 10 * place)


def test_result__asked_for_twice__is_the_same(sealers: Sealers) -> None:
    ticket = sealers.submit(drafts_of(2), INVOICE_NUMBER)

    assert sealers.result(ticket) is sealers.result(ticket)


def test_result__one_batch_submitted_twice__no_secret_is_used_again(sealers: Sealers) -> None:
    drafts = drafts_of(50)

    found = [sealers.result(sealers.submit(drafts, INVOICE_NUMBER)) for _ in range(4)]

    assert len({one.secret for batch in found for one in batch.kept(drafts)}) == 200


def test_submit__large_batches_before_any_result_is_taken__no_side_waits_for_ever(
    sealers: Sealers,
) -> None:
    drafts = drafts_of(MORE_THAN_A_PIPE_HOLDS)

    tickets = [sealers.submit(drafts, INVOICE_NUMBER + 10_000 * i) for i in range(6)]

    found = [sealers.result(ticket) for ticket in tickets]
    assert sealers.processes == [worker.process.pid for worker in sealers._workers]
    assert len(sealers.processes) == 2
    for place, batch in enumerate(found):
        require_sealed(batch, drafts, INVOICE_NUMBER + 10_000 * place)


def test_is_done__while_the_process_stands_still__is_false_until_it_goes_on() -> None:
    with Sealers(1) as sealers:
        (process,) = sealers.processes
        os.kill(process, signal.SIGSTOP)
        ticket = sealers.submit(drafts_of(2), INVOICE_NUMBER)

        before = sealers.is_done(ticket)
        os.kill(process, signal.SIGCONT)
        sealers.result(ticket)

        assert before is False
        assert sealers.is_done(ticket) is True


def test_is_done__nobody_else_seals__is_true() -> None:
    with Sealers(0) as sealers:
        ticket = sealers.submit(drafts_of(1), INVOICE_NUMBER)

        assert sealers.is_done(ticket) is True
        assert sealers.processes == []


def test_result__work_that_cannot_be_sealed__its_error_in_the_caller(
    sealers: Sealers, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = [draft_of(invoice())._replace(patient_key="nobody")]

    with pytest.raises(BadPatientKey):
        sealers.result(sealers.submit(bad, INVOICE_NUMBER))

    good = drafts_of(3)
    require_sealed(sealers.result(sealers.submit(good, INVOICE_NUMBER)), good, INVOICE_NUMBER)
    assert len(sealers.processes) == 1
    assert "nobody" not in capfd.readouterr().err


# Death


def test_result__a_process_killed_before_it_begins__all_its_work_comes_back(
    sealers: Sealers,
) -> None:
    os.kill(sealers.processes[0], signal.SIGSTOP)
    batches = [drafts_of(20, f"{place}") for place in range(4)]
    tickets = [sealers.submit(drafts, INVOICE_NUMBER + 100 * i) for i, drafts in enumerate(batches)]

    kill(sealers.processes[0])

    assert sum(ticket.worker is sealers._workers[0] for ticket in tickets) == 2
    for place, ticket in enumerate(tickets):
        require_sealed(sealers.result(ticket), batches[place], INVOICE_NUMBER + 100 * place)
    assert len(sealers.processes) == 1


def test_result__a_process_killed_in_the_middle_of_its_answer__all_its_work_comes_back() -> None:
    drafts, later = drafts_of(MORE_THAN_A_PIPE_HOLDS), drafts_of(3, "later")
    with Sealers(1) as sealers:
        tickets = [sealers.submit(drafts, INVOICE_NUMBER), sealers.submit(later, INVOICE_NUMBER)]
        begin_sending(sealers, tickets[0])

        kill(sealers.processes[0])

        require_sealed(sealers.result(tickets[1]), later, INVOICE_NUMBER)
        require_sealed(sealers.result(tickets[0]), drafts, INVOICE_NUMBER)
        assert sealers.processes == []


def test_result__a_process_killed_after_its_answer__the_answer_counts() -> None:
    drafts = drafts_of(3)
    with Sealers(1) as sealers:
        first = sealers.submit(drafts, INVOICE_NUMBER)
        begin_sending(sealers, first)
        answered = sealers.result(first)
        later = sealers.submit(drafts, INVOICE_NUMBER)

        kill(sealers.processes[0])

        assert sealers.result(first) is answered
        require_sealed(sealers.result(later), drafts, INVOICE_NUMBER)


def test_is_done__after_the_process_was_killed__is_true_and_the_caller_seals() -> None:
    drafts = drafts_of(3)
    with Sealers(1) as sealers:
        os.kill(sealers.processes[0], signal.SIGSTOP)
        ticket = sealers.submit(drafts, INVOICE_NUMBER)

        kill(sealers.processes[0])

        assert sealers.is_done(ticket) is True
        require_sealed(sealers.result(ticket), drafts, INVOICE_NUMBER)


def test_submit__a_process_killed_while_idle__the_other_takes_the_work(sealers: Sealers) -> None:
    drafts = drafts_of(5)
    first, second = sealers.processes
    kill(first)

    tickets = [sealers.submit(drafts, INVOICE_NUMBER) for _ in range(3)]

    for ticket in tickets:
        require_sealed(sealers.result(ticket), drafts, INVOICE_NUMBER)
    assert sealers.processes == [second]
    assert not is_there(first)


def test_submit__a_process_killed_while_work_is_handed_to_it__the_other_takes_the_work(
    sealers: Sealers,
) -> None:
    """However far it came: the outcome is the same."""
    drafts = drafts_of(MORE_THAN_A_PIPE_HOLDS)
    first, second = sealers.processes
    os.kill(first, signal.SIGSTOP)
    killer = threading.Thread(target=kill, args=[first])
    killer.start()

    ticket = sealers.submit(drafts, INVOICE_NUMBER)

    killer.join()
    require_sealed(sealers.result(ticket), drafts, INVOICE_NUMBER)
    assert sealers.processes in ([first, second], [second])


def test_submit__every_process_killed__the_caller_seals(sealers: Sealers) -> None:
    drafts = drafts_of(5)
    for process in sealers.processes:
        kill(process)

    tickets = [sealers.submit(drafts, INVOICE_NUMBER) for _ in range(3)]

    for ticket in tickets:
        require_sealed(sealers.result(ticket), drafts, INVOICE_NUMBER)
    assert sealers.processes == []


# The end


@pytest.mark.parametrize("work", [0, 4])
def test_close__twice__no_process_and_no_file_is_left(work: int) -> None:
    files = set(os.listdir("/proc/self/fd"))
    sealers = Sealers(2)
    processes = sealers.processes
    for _ in range(work):
        sealers.submit(drafts_of(MORE_THAN_A_PIPE_HOLDS), INVOICE_NUMBER)

    sealers.close()
    sealers.close()

    assert len(processes) == 2
    assert [process for process in processes if is_there(process)] == []
    assert sealers.processes == []
    assert set(os.listdir("/proc/self/fd")) - files == set()


def test_with__an_error_inside__no_process_is_left() -> None:
    sealers = Sealers(2)
    processes = sealers.processes

    with pytest.raises(BadPatientKey), sealers:
        raise BadPatientKey(problem="is for the test")

    assert [process for process in processes if is_there(process)] == []


def test_result__after_close__the_caller_seals() -> None:
    drafts = drafts_of(300)
    sealers = Sealers(1)
    ticket = sealers.submit(drafts, INVOICE_NUMBER)

    sealers.close()

    assert sealers.is_done(ticket)
    require_sealed(sealers.result(ticket), drafts, INVOICE_NUMBER)
    later = sealers.submit(drafts, INVOICE_NUMBER)
    require_sealed(sealers.result(later), drafts, INVOICE_NUMBER)


def test_sealers__of_several_threads__each_has_its_results() -> None:
    drafts = drafts_of(100)
    found: dict[int, SealedBatch] = {}

    def seal(place: int) -> None:
        with Sealers(1) as sealers:
            found[place] = sealers.result(sealers.submit(drafts, INVOICE_NUMBER + place))

    threads = [threading.Thread(target=seal, args=[place]) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for place in range(4):
        require_sealed(found[place], drafts, INVOICE_NUMBER + place)


# Scripts

PRELUDE = f"""
import os, pickle, signal, sys
from medledger.core.batch import seal_batch
from medledger.sealers import Sealers

drafts, first = pickle.load(open(sys.argv[1], "rb")), {INVOICE_NUMBER}
print("begun", flush=True)


def is_right(batch):
    return batch == seal_batch(drafts, first, batch.secrets)
"""


def script(folder: Path, text: str) -> list[str]:
    """The command of a script that has `drafts`, `first` and `is_right`, without a guard."""
    (folder / "drafts").write_bytes(pickle.dumps(drafts_of(50)))
    (folder / "script.py").write_text(PRELUDE + dedent(text))
    return [sys.executable, str(folder / "script.py"), str(folder / "drafts")]


def outcome(command: list[str], **how: Any) -> tuple[int, list[str], str]:
    """Exit code, lines of output, and what went to standard error."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **how)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_script__without_a_guard__is_run_once_and_its_work_is_done(tmp_path: Path) -> None:
    command = script(
        tmp_path,
        """
        with Sealers(2) as sealers:
            tickets = [sealers.submit(drafts, first) for _ in range(4)]
            print([is_right(sealers.result(ticket)) for ticket in tickets], len(sealers.processes))
        """,
    )

    assert outcome(command) == (0, ["begun", "[True, True, True, True] 2"], "")


def test_script__run_among_files_named_like_modules__imports_none_of_them(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("queue", "pickle", "orjson", "medledger"):
        (elsewhere / f"{name}.py").write_text("raise SystemExit('imported by accident')")
    command = script(
        tmp_path,
        """
        with Sealers(1) as sealers:
            print(is_right(sealers.result(sealers.submit(drafts, first))), len(sealers.processes))
        """,
    )

    assert outcome(command, cwd=elsewhere) == (0, ["begun", "True 1"], "")


def test_script__interrupted_at_the_keyboard__may_finish_with_all_its_processes(
    tmp_path: Path,
) -> None:
    command = script(
        tmp_path,
        """
        signal.signal(signal.SIGINT, lambda *_: print("interrupted"))
        with Sealers(2) as sealers:
            ready = [sealers.result(sealers.submit(drafts, first)) for _ in range(2)]
            os.killpg(0, signal.SIGINT)
            tickets = [sealers.submit(drafts, first) for _ in range(4)]
            print([is_right(sealers.result(ticket)) for ticket in tickets], len(sealers.processes))
        """,
    )

    found = outcome(command, process_group=0)

    assert found == (0, ["begun", "interrupted", "[True, True, True, True] 2"], "")


@pytest.mark.parametrize(
    "end",
    ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(9)", "sys.exit(9)", "raise SystemExit(9)"],
)
@pytest.mark.parametrize("work", [0, 20])
def test_script__ends_without_closing__its_processes_end_and_say_nothing(
    tmp_path: Path, end: str, work: int
) -> None:
    """They hold its output open, so its end is theirs too."""
    command = script(
        tmp_path,
        f"""
        sealers = Sealers(2)
        sealers.result(sealers.submit(drafts, first))
        tickets = [sealers.submit(drafts * 20, first) for _ in range({work})]
        {end}
        """,
    )

    code, lines, complaints = outcome(command)

    assert code in (9, -9)
    assert (lines, complaints) == (["begun"], "")
