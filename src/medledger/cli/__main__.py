"""`python -m medledger.cli`, the same as `medledger`."""

from medledger.cli import main

if __name__ == "__main__":
    main(prog_name="medledger")
