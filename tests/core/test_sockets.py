"""The unit tests stand alone."""

from __future__ import annotations

import socket

import pytest
from pytest_socket import SocketBlockedError


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_socket__in_a_unit_test__is_blocked() -> None:
    with pytest.raises(SocketBlockedError):
        socket.socket()
