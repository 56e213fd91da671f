"""The whole story on real FHIR data: from bills and prescriptions to paid claims and an audit."""

from medledger.demo.run import DemoResult, run_demo

__all__ = ["DemoResult", "run_demo"]
