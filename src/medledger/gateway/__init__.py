"""The gateway: HTTP for hospital systems and verifiers, and a page that checks evidence files.

    app = create_app(Settings(ledgers, operator=key, store="sqlite:///hospital.db", token=token))

Needs the extra `gateway` (FastAPI).
"""

from medledger.gateway.app import Settings, create_app

__all__ = ["Settings", "create_app"]
