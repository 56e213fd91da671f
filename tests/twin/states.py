"""The state that Python rebuilt, in the form in which the twin prints its own."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from pydantic.alias_generators import to_camel

from medledger.chain.deployment import Ledgers
from medledger.chain.replay import Replay
from medledger.roles.auditor import Audit


def printed(audit: Audit, ledgers: Ledgers) -> Any:
    """The twin's JSON."""
    state = audit.state
    return plain(
        {
            "block": audit.block,
            "time": audit.time,
            "institutions": state.institutions,
            "operators": {address.lower(): entry for address, entry in state.operators.items()},
            "ledgers": {
                ledger.NAME: {
                    "paused": held.paused,
                    "segments": held.segments,
                    "heads": held.heads,
                    "holds": held.holds,
                }
                for ledger in ledgers.documents.values()
                for held in [state.ledgers[ledger.address.lower()]]
            },
            "invoices": invoices(state),
            "claims": nested(
                {
                    key: {**terms(claim), "recouped": state.recouped.get(key, 0)}
                    for key, claim in state.claims.items()
                }
            ),
            "usage": {
                number: {"locked": locked, "reimbursed": reimbursed}
                for number, (locked, reimbursed) in state.usages(audit.time).items()
            },
            "deposits": state.deposits,
            "accounts": state.accounts,
            "payments": state.payments,
            "policies": state.policies,
            "prescriptions": state.prescriptions,
            "licences": {
                number: {**members(entry), "interruptions": state.interruptions.get(number, [])}
                for number, entry in state.licences.items()
            },
            "records": state.records,
            "amendments": state.amendments,
            "grants": nested(state.grants),
            "reads": nested(state.reads),
        }
    )


def invoices(state: Replay) -> dict[int, Any]:
    return {
        number: {
            **members(entry),
            "reversed": state.reversed_parts.get(number, 0),
            "reversedBy": state.reversed_by.get(number, 0),
            "originalOf": state.original_of.get(number, 0),
        }
        for number, entry in state.invoices.items()
    }


def terms(claim: Any) -> dict[str, Any]:
    """All but the payer, under whom it stands."""
    return {name: value for name, value in members(claim).items() if name != "payer"}


def nested(entries: dict[Any, Any]) -> dict[Any, Any]:
    """Entries by a tuple of keys, one level a key."""
    found: dict[Any, Any] = {}
    for keys, entry in entries.items():
        level = found
        for key in keys[:-1]:
            level = level.setdefault(key, {})
        level[keys[-1]] = entry
    return found


def members(entry: Any) -> dict[str, Any]:
    """A struct's members by their names in Solidity."""
    return {to_camel(member.name): getattr(entry, member.name) for member in fields(entry)}


def plain(value: Any) -> Any:
    """Integers as text, bytes and addresses as lower-case hexadecimal."""
    if isinstance(value, dict):
        return {
            str(int(key) if isinstance(key, int) else key): plain(v) for key, v in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if is_dataclass(value):
        return plain(members(value))
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, bool):
        return value
    return str(int(value)) if isinstance(value, int) else value.lower()
