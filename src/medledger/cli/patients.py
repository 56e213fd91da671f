"""What a patient's phone does: keys, and signatures that others relay."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.command import Command, Family
from medledger.cli.options import (
    ADDRESS,
    AMOUNT_MINOR,
    IN_FOLDER,
    INSTITUTION,
    NUMBER,
    OUT_FILE,
    number_argument,
    number_kind_option,
    reading,
    reason_option,
)
from medledger.cli.output import Output, file_output, time_text, write_private
from medledger.cli.session import (
    Session,
    deadline_after,
    load_patient_key,
    read_patient_keys,
)
from medledger.core.numbers import DocumentNumber, format_number
from medledger.core.states import Purpose
from medledger.errors import BadKey

if TYPE_CHECKING:
    from medledger.core.authorisation import Signed
    from medledger.core.numbers import DocumentKind
    from medledger.core.patient_keys import PatientKey

SEED_BYTES = 32
FOREVER = 2**40 - 1
HOUR = 3600
LIST_OF_KEYS = "patient-keys.json"


@click.group("patient", cls=Family)
def patient() -> None:
    """Make and read the patient's own keys."""


@patient.command("new", cls=Command, examples=["medledger patient new patient.key"])
@click.argument("file", type=OUT_FILE)
def new(file: Path) -> Output:
    """Write a new patient key to FILE and print its public half.

    FILE, readable by you only, holds the extended private key (xprv...), with which the patient
    signs. What is printed is the extended public key (xpub...), which the patient gives to a
    hospital.
    """
    public = _new_key(file).public
    return Output({"file": file, "public_key": public}, [public])


@patient.command("public", cls=Command, examples=["medledger patient public patient.key"])
@click.argument("file", type=OUT_FILE)
def public(file: Path) -> Output:
    """Print the extended public key (xpub...) of the patient key in FILE."""
    found = load_patient_key(file).public
    return Output({"file": file, "public_key": found}, [found])


@patient.command(
    "address",
    cls=Command,
    examples=["medledger patient address patient.key --number 46060126-0000000017"],
)
@click.argument("file", type=OUT_FILE)
@click.option("--number", type=NUMBER, required=True, help="The document's number.")
@number_kind_option
def address(file: Path, number: DocumentNumber, kind: DocumentKind) -> Output:
    """Print the patient's one-time address of one document.

    Who lacks the patient's extended key cannot tell that two such addresses are one person's.
    """
    found = load_patient_key(file).address(kind, number)
    data = {"file": file, "kind": kind, "number": format_number(number), "address": found}
    return Output(data, [found])


@patient.command(
    "enrol", cls=Command, examples=["medledger patient enrol examples/synthea --out patients"]
)
@click.argument("source", type=IN_FOLDER)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    default=Path("patients"),
    show_default=True,
    help="Folder for <patient id>.key files and the list of public keys.",
)
def enrol(source: Path, out: Path) -> Output:
    """Make a key for every patient of a FHIR bulk folder, for trying things out.

    In earnest each patient makes a key and gives the hospital its public half. This writes one key
    file a patient and patient-keys.json, the list that issue and prescribe take. Keys that are
    there already are kept.
    """
    from medledger.formats.fhir import BulkFolder

    found: dict[str, str] = {}
    made = 0

    def key_of(patient: str) -> str:
        nonlocal made
        if patient not in found:
            file = out / f"{patient}.key"
            made += not file.exists()
            found[patient] = (load_patient_key(file) if file.exists() else _new_key(file)).public
        return found[patient]

    folder = BulkFolder(source)
    for _ in folder.bills(key_of):
        pass
    for _ in folder.prescriptions(key_of, valid_until=FOREVER):
        pass
    listed = out / LIST_OF_KEYS
    # Patients of another folder, listed there before, stay.
    kept = read_patient_keys(listed) if listed.exists() else {}
    write_private(listed, json.dumps(dict(sorted({**kept, **found}.items())), indent=2) + "\n")
    return Output(
        {"patients": len(found), "made": made, "patient_keys": listed},
        [f"{len(found)} patients, {made} new keys in {out}", f"Public keys: {listed}"],
    )


@click.group("authorise", cls=Family)
def authorise() -> None:
    """Sign the patient's authorisation for one act.

    Whoever holds the file may relay it: the ledger takes it once, for that one act, until its
    deadline.
    """


_patient_key_option = click.option(
    "--patient-key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar="MEDLEDGER_PATIENT_KEY_FILE",
    show_envvar=True,
    required=True,
    help="File with the patient's extended private key (xprv...).",
)
_out_option = click.option(
    "--out",
    type=OUT_FILE,
    metavar="FILE",
    help="Write to a private file, not to standard output.",
)


def _access(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who may read a record, and what for."""
    command = click.option(
        "--purpose",
        type=click.Choice([purpose.name.lower() for purpose in Purpose]),
        required=True,
        help="What for, as in HL7's PurposeOfUse.",
    )(command)
    return click.option(
        "--institution", type=INSTITUTION, required=True, help="Institution that may read."
    )(command)


def _signing(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the authorisations with a deadline have in common."""
    for option in reversed(
        [
            number_argument,
            _patient_key_option,
            click.option(
                "--hours",
                type=click.IntRange(1, 24 * 366),
                default=24,
                show_default=True,
                help="For how many hours from now it may be used.",
            ),
            _out_option,
        ]
    ):
        command = option(command)
    return command


@authorise.command(
    "claim",
    cls=Command,
    examples=[
        "medledger authorise claim 46060126-0000000017 --payer 5 --amount-minor 2500 "
        "--patient-key patient.key --out claim.json"
    ],
)
@_signing
@click.option("--payer", type=INSTITUTION, required=True, help="Institution that may lock.")
@click.option(
    "--amount-minor",
    type=AMOUNT_MINOR,
    required=True,
    help="How much, in the currency's minor unit (fen, cents).",
)
@click.option(
    "--after-payer", type=INSTITUTION, default=None, help="Institution that must decide before."
)
@click.option(
    "--fixed-benefit", is_flag=True, help="The policy pays a sum of its own, whatever the bill."
)
@click.option(
    "--payee",
    type=ADDRESS,
    help="Address that the settlement token pays. One address on two bills links them: medledger "
    "patient address gives one for each.",
)
@reading
def authorise_claim(
    session: Session,
    number: DocumentNumber,
    patient_key: Path,
    hours: int,
    out: Path | None,
    payer: int,
    amount_minor: int,
    after_payer: int | None,
    fixed_benefit: bool,
    payee: str | None,
) -> Output:
    """Allow one payer to lock one amount of one bill."""
    from medledger.core.hashing import ZERO_ADDRESS

    role = session.patient(patient_key)
    deadline = deadline_after(role.ledgers, hours * HOUR)
    signed = role.authorise_claim(
        number,
        payer,
        amount_minor,
        deadline=deadline,
        after_payer=after_payer or 0,
        fixed_benefit=fixed_benefit,
        payee=payee or ZERO_ADDRESS,
    )
    act = f"payer {payer} may lock {amount_minor} (minor units)"
    return _signed_output(signed, act, number, deadline, out)


@authorise.command(
    "withdrawal",
    cls=Command,
    examples=[
        "medledger authorise withdrawal 46060126-0000000017 --payer 5 --patient-key patient.key "
        "--out withdrawal.json"
    ],
)
@_signing
@click.option("--payer", type=INSTITUTION, required=True, help="Institution that has the lock.")
@reason_option("Why it is taken back")
@reading
def authorise_withdrawal(
    session: Session,
    number: DocumentNumber,
    patient_key: Path,
    hours: int,
    out: Path | None,
    payer: int,
    reason: int,
) -> Output:
    """Take a claim back that is not decided; medledger relay sends it."""
    role = session.patient(patient_key)
    deadline = deadline_after(role.ledgers, hours * HOUR)
    signed = role.withdraw_claim(number, payer, deadline=deadline, reason=reason)
    return _signed_output(signed, f"payer {payer}'s lock may be ended", number, deadline, out)


@authorise.command(
    "waiver",
    cls=Command,
    examples=[
        "medledger authorise waiver 46060126-0000000017 --payer 5 --patient-key patient.key "
        "--out waiver.json"
    ],
)
@_signing
@click.option("--payer", type=INSTITUTION, required=True, help="Institution not to wait for.")
@reading
def authorise_waiver(
    session: Session,
    number: DocumentNumber,
    patient_key: Path,
    hours: int,
    out: Path | None,
    payer: int,
) -> Output:
    """Let other payers settle without one's decision; medledger relay sends it."""
    role = session.patient(patient_key)
    deadline = deadline_after(role.ledgers, hours * HOUR)
    signed = role.waive_payer(number, payer, deadline=deadline)
    return _signed_output(signed, f"payer {payer} is not waited for", number, deadline, out)


@authorise.command(
    "payment",
    cls=Command,
    examples=[
        "medledger authorise payment 46060126-0000000017 --payer 5 --payment 20260105-7731 "
        "--patient-key patient.key --out payment.json"
    ],
)
@_signing
@click.option("--payer", type=INSTITUTION, required=True, help="Institution that paid.")
@click.option("--payment", metavar="TEXT", required=True, help="Reference that the payer gave.")
@reading
def authorise_payment(
    session: Session,
    number: DocumentNumber,
    patient_key: Path,
    hours: int,
    out: Path | None,
    payer: int,
    payment: str,
) -> Output:
    """Confirm that a payer's payment has arrived; medledger relay sends it."""
    from medledger.core.hashing import keccak256

    role = session.patient(patient_key)
    deadline = deadline_after(role.ledgers, hours * HOUR)
    signed = role.confirm_payment(number, payer, keccak256(payment.encode()), deadline=deadline)
    return _signed_output(signed, f"payer {payer} has paid", number, deadline, out)


@authorise.command(
    "bill-payment",
    cls=Command,
    examples=[
        "medledger authorise bill-payment 46060126-0000000017 --amount-minor 2500 "
        "--payment 20260105-7731 --patient-key patient.key --out paid.json"
    ],
)
@_signing
@click.option(
    "--amount-minor", type=AMOUNT_MINOR, required=True, help="What was paid, in minor units."
)
@click.option("--payment", metavar="TEXT", required=True, help="Reference of the payment.")
@reading
def authorise_bill_payment(
    session: Session,
    number: DocumentNumber,
    patient_key: Path,
    hours: int,
    out: Path | None,
    amount_minor: int,
    payment: str,
) -> Output:
    """Confirm that a bill was paid off chain, as its hospital states; medledger relay sends it."""
    from medledger.core.hashing import keccak256

    role = session.patient(patient_key)
    deadline = deadline_after(role.ledgers, hours * HOUR)
    reference = keccak256(payment.encode())
    signed = role.confirm_bill_payment(
        number, amount=amount_minor, payment=reference, deadline=deadline
    )
    return _signed_output(signed, f"{amount_minor} paid (minor units)", number, deadline, out)


@authorise.command(
    "acceptance",
    cls=Command,
    examples=[
        "medledger authorise acceptance 46080126-0000000003 --pharmacy 3 "
        "--patient-key patient.key --out acceptance.json"
    ],
)
@_signing
@click.option("--pharmacy", type=INSTITUTION, required=True, help="Institution that may accept.")
@reading
def authorise_acceptance(
    session: Session,
    number: DocumentNumber,
    patient_key: Path,
    hours: int,
    out: Path | None,
    pharmacy: int,
) -> Output:
    """Allow one pharmacy to accept one prescription."""
    role = session.patient(patient_key)
    deadline = deadline_after(role.ledgers, hours * HOUR)
    signed = role.authorise_acceptance(number, pharmacy, deadline=deadline)
    return _signed_output(signed, f"pharmacy {pharmacy} may accept it", number, deadline, out)


@authorise.command(
    "delivery",
    cls=Command,
    examples=[
        "medledger authorise delivery 46080126-0000000003 --patient-key patient.key "
        "--out confirmation.json"
    ],
)
@_signing
@reading
def authorise_delivery(
    session: Session, number: DocumentNumber, patient_key: Path, hours: int, out: Path | None
) -> Output:
    """Confirm that what was dispensed has arrived."""
    role = session.patient(patient_key)
    deadline = deadline_after(role.ledgers, hours * HOUR)
    signed = role.confirm_delivery(number, deadline=deadline)
    return _signed_output(signed, "delivery is confirmed", number, deadline, out)


@authorise.command(
    "access",
    cls=Command,
    examples=[
        "medledger authorise access 21020126-0000000009 --institution 4 --purpose treat "
        "--hours 720 --patient-key patient.key --out access.json"
    ],
)
@_signing
@_access
@reading
def authorise_access(
    session: Session,
    number: DocumentNumber,
    patient_key: Path,
    hours: int,
    out: Path | None,
    institution: int,
    purpose: str,
) -> Output:
    """Let one institution read one record for one purpose."""
    role = session.patient(patient_key)
    until = deadline_after(role.ledgers, hours * HOUR)
    signed = role.grant(number, institution, Purpose[purpose.upper()], until=until)
    act = f"institution {institution} may read it ({purpose})"
    return _signed_output(signed, act, number, until, out)


@authorise.command(
    "revocation",
    cls=Command,
    examples=[
        "medledger authorise revocation 21020126-0000000009 --institution 4 --purpose treat "
        "--patient-key patient.key --out revocation.json"
    ],
)
@number_argument
@_patient_key_option
@_out_option
@_access
@reading
def authorise_revocation(
    session: Session,
    number: DocumentNumber,
    patient_key: Path,
    out: Path | None,
    institution: int,
    purpose: str,
) -> Output:
    """Take a grant back, relayed or not."""
    signed = session.patient(patient_key).revoke(number, institution, Purpose[purpose.upper()])
    shown = format_number(number)
    return file_output(
        signed.to_json(),
        out,
        f"{shown}: institution {institution} may no longer read it ({purpose}), says {out}",
        number=shown,
        type=type(signed.message).__name__,
    )


def _signed_output(
    signed: Signed, act: str, number: DocumentNumber, deadline: int, out: Path | None
) -> Output:
    shown = format_number(number)
    return file_output(
        signed.to_json(),
        out,
        f"{shown}: {act} until {time_text(deadline)}, says {out}",
        number=shown,
        type=type(signed.message).__name__,
        deadline=deadline,
    )


def _new_key(file: Path) -> PatientKey:
    from medledger.core.patient_keys import PatientKey

    made = PatientKey.from_seed(secrets.token_bytes(SEED_BYTES))
    try:
        write_private(file, made.extended_key() + "\n", replace=False)
    except FileExistsError as error:
        raise BadKey(path=file, problem="exists; a key is never overwritten") from error
    except OSError as error:
        raise BadKey(path=file, problem=f"cannot be written: {error.strerror}") from error
    return made
