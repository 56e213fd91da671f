"""`medledger serve` as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.gateway.scene import TOKEN, Scene, bill

from medledger.chain.keys import new_key

pytestmark = pytest.mark.anvil


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "medledger.cli", "serve", *arguments]


def files_of(scene: Scene, folder: Path) -> list[str]:
    """The options for the scene's chain, with key and manifest in files."""
    deployment = scene.manifest.save(folder)
    new_key(folder / "hospital.key", scene.hospital_key)
    store = f"sqlite:///{folder / 'hospital.db'}"
    return [
        *("--rpc", scene.chain.url, "--deployment", str(deployment)),
        *("--key", str(folder / "hospital.key"), "--store", store, "--port", "0"),
    ]


def test_serve__until_sigterm__issues_and_ends_cleanly(scene: Scene, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    options = files_of(scene, tmp_path)
    with subprocess.Popen(
        command(*options, "--token-file", str(token_file), "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())

        headers = {"Authorization": f"Bearer {TOKEN}"}
        response = httpx.post(started["url"] + "/invoices", json=bill(), headers=headers)
        refused = httpx.post(started["url"] + "/invoices", json=bill())
        process.send_signal(signal.SIGTERM)
        out, log = process.communicate(timeout=30)

    assert started["issues"] is True
    assert (response.status_code, refused.status_code) == (201, 401)
    assert process.returncode == 0
    assert out == ""
    assert "Traceback" not in log
    assert TOKEN not in log
    assert scene.hospital_key.hex() not in log
    assert "测试患者" not in log


def test_serve__not_on_loopback_without_a_token__is_refused(scene: Scene, tmp_path: Path) -> None:
    options = files_of(scene, tmp_path)

    done = subprocess.run(
        command(*options, "--host", "0.0.0.0"), capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "--token-file" in done.stderr


def test_serve__a_token_that_is_too_short__is_refused(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("short")

    done = subprocess.run(
        command("--token-file", str(token_file)), capture_output=True, text=True, check=False
    )

    assert done.returncode == 7
    assert len(done.stderr.splitlines()) == 1
    assert "openssl rand" in done.stderr


def test_serve__without_the_extra__says_how_to_install_it() -> None:
    program = (
        "import sys; sys.modules['fastapi'] = None\n"
        "from medledger.cli import main; main(['serve'], prog_name='medledger')"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert done.returncode == 7
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'medledger[gateway]'" in done.stderr


def test_serve__a_port_in_use__says_so(client: httpx.Client) -> None:
    port = str(client.base_url.port)

    done = subprocess.run(command("--port", port), capture_output=True, text=True, check=False)

    assert done.returncode == 6
    assert done.stderr == f"medledger: port {port} is in use; name another with --port\n"


def test_serve__an_address_of_another_machine__says_so() -> None:
    done = subprocess.run(
        command("--host", "192.0.2.1"), capture_output=True, text=True, check=False
    )

    assert done.returncode == 7
    assert len(done.stderr.splitlines()) == 1
    assert "192.0.2.1" in done.stderr


def test_serve__no_chain__says_so_in_one_line(tmp_path: Path) -> None:
    options = ("--rpc", "http://127.0.0.1:9", "--port", "0")
    environment = {key: value for key, value in os.environ.items() if "MEDLEDGER" not in key}

    done = subprocess.run(
        command(*options), capture_output=True, text=True, check=False, env=environment
    )

    assert done.returncode == 6
    assert len(done.stderr.splitlines()) == 1
