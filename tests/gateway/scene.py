"""A chain with a hospital and a gateway in front of it, and the JSON bodies that go in."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from medledger.chain.deployment import Ledgers, Manifest, connect, deploy
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.core.patient_keys import PatientKey
from medledger.core.states import Kind
from medledger.gateway import Settings, create_app
from medledger.roles import Auditor, Supervisor

TOKEN = "a-token-of-this-test-only"
HOSPITAL = "澄迈县人民医院"
BILL_CODE, OTHER_BILL_CODE, PRESCRIPTION_CODE = 46060126, 46060226, 46080126
PATIENT = PatientKey.from_seed(bytes(range(16)))
FAR_FUTURE = 4_102_444_800

_keys = count(1)


def new_key(prefix: str = "visit") -> str:
    """A business key that no other test uses."""
    return f"{prefix}-{next(_keys)}"


def bill(business_key: str | None = None, **changes: Any) -> dict[str, Any]:
    """A bill of 126.00, of which the patient bears 25.00."""
    return {
        "businessKey": business_key or new_key(),
        "patientKey": PATIENT.public,
        "issuedAt": "2026-01-05T09:30:00+08:00",
        "invoicingParty": {"code": "12469023", "name": HOSPITAL},
        "payerParty": {"code": "469*************3X", "name": "测试患者", "type": 1},
        "currency": "CNY",
        "totalMinor": 12600,
        "ownPayMinor": 2500,
        "fundPayMinor": 8100,
        "otherPayMinor": 500,
        "accountPayMinor": 1500,
        "lines": [
            {"code": "0101", "name": "西药费", "amountMinor": 9600, "quantity": "1.5"},
            {"code": "0105", "name": "化验费", "amountMinor": 3000},
        ],
        "departmentName": "内科",
        **changes,
    }


def prescription(business_key: str | None = None, **changes: Any) -> dict[str, Any]:
    """Two drugs."""
    return {
        "businessKey": business_key or new_key("rx"),
        "patientKey": PATIENT.public,
        "authoredAt": "2026-01-05T09:30:00+08:00",
        "validUntil": FAR_FUTURE,
        "prescriber": {"code": "D1", "name": "测试医师", "type": 1},
        "patient": {"code": "469*************3X", "name": "测试患者", "type": 1},
        "lines": [
            {"code": "XA01", "name": "阿莫西林胶囊", "quantity": 24, "unit": "粒"},
            {"code": "XA02", "name": "布洛芬缓释胶囊", "quantity": 10, "unit": "粒"},
        ],
        **changes,
    }


@dataclass(slots=True)
class Scene:
    """One chain, the contracts on it, and the key of a hospital with numbers to issue."""

    chain: LocalChain
    ledgers: Ledgers
    manifest: Manifest
    supervisor: Supervisor
    hospital_key: bytes
    institution: int
    segment: int
    folder: Path
    auditor: Auditor = field(init=False)

    def __post_init__(self) -> None:
        self.auditor = Auditor(self.ledgers)

    def accredit(self, name: str, kind: Kind) -> tuple[bytes, int]:
        key = secrets.token_bytes(32)
        return key, self.supervisor.accredit(name, kind, address_of(key))

    def settings(self, **changes: Any) -> Settings:
        values: dict[str, Any] = {
            "operator": self.hospital_key,
            "store": f"sqlite:///{self.folder / 'hospital.db'}",
            "token": TOKEN,
        }
        return Settings(self.ledgers, **values | changes)


def set_scene(chain: LocalChain, folder: Path) -> Scene:
    """Deploys, accredits a hospital and allots it numbers of each kind."""
    rpc = Rpc(chain.url)
    supervisor_key, hospital_key = secrets.token_bytes(32), secrets.token_bytes(32)
    manifest, _ = deploy(rpc, supervisor_key, supervisor_name="财政局")
    ledgers = connect(rpc, manifest)
    supervisor = Supervisor(ledgers, supervisor_key)
    institution = supervisor.accredit(HOSPITAL, Kind.HOSPITAL, address_of(hospital_key))
    segment = supervisor.allot(institution, BILL_CODE, 1, 100_000)
    supervisor.allot(institution, PRESCRIPTION_CODE, 1, 100_000, "Prescription")
    return Scene(chain, ledgers, manifest, supervisor, hospital_key, institution, segment, folder)


@contextmanager
def serving(settings: Settings) -> Iterator[httpx.Client]:
    """A client with the token, of the real server on a free loopback port."""
    config = uvicorn.Config(create_app(settings), port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        headers = {} if settings.token is None else {"Authorization": f"Bearer {settings.token}"}
        limits = httpx.Limits(max_connections=None)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, limits=limits
        ) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(30)


def problem(response: httpx.Response) -> tuple[int, str]:
    """(status, class name) of a problem answer, which must be a proper one."""
    found = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert found["status"] == response.status_code
    assert found["title"]
    return response.status_code, found["type"].rpartition(":")[2]
