"""FHIR R4 bulk exports in, medledger documents out.

A folder of NDJSON files becomes bills and prescriptions, one at a time; what cannot be taken is
set aside with its file, line and field, and never stops the rest.

>>> folder = BulkFolder("examples/synthea")
>>> bill = next(folder.bills(patient_key_of=lambda patient: "0x" + "11" * 20))
>>> bill.invoice.total_minor, bill.invoice.currency, folder.rejected
(12500, 'USD', [])

The rules of the mapping, with their reasons, stand at the top of `bills` and `prescriptions`,
those of reading at the top of `bulk`.
"""

from medledger.formats.fhir.bills import Benefit, BillRecord
from medledger.formats.fhir.folder import BulkFolder
from medledger.formats.fhir.prescriptions import PrescriptionRecord
from medledger.formats.fhir.tables import Organisation

__all__ = ["Benefit", "BillRecord", "BulkFolder", "Organisation", "PrescriptionRecord"]
