"""What is installed: the wheel carries the model and the prompts, and imports run one way."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that `pip install .` makes, built here without fetching anything."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("mcp_memory_layer-*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_carries_model_licence_and_prompts(wheel: zipfile.ZipFile) -> None:
    model = "mcp_memory/assets/all-MiniLM-L6-v2"
    digests = {
        f"{model}/model_int8.onnx": "8c425a0a3fa1138985c9e50e60f8c1a6999407d0f74227d4e258ebb15ef3beec",
        f"{model}/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    }
    for name, digest in digests.items():
        assert sha256(wheel.read(name)).hexdigest() == digest
    assert b"Apache License" in wheel.read(f"{model}/LICENSE")
    prompts = {f"mcp_memory/prompts/{path.name}" for path in (ROOT / "prompts").glob("*.md")}
    assert len(prompts) >= 4
    assert prompts <= set(wheel.namelist())


def test_the_wheel_offers_both_commands(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    entry_points = wheel.read(name).decode()
    assert "mcp-memory = mcp_memory.cli:main" in entry_points
    assert "mcp-memory-layer = mcp_memory.cli:main" in entry_points


def test_imports_run_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_the_server_starts_without_importing_the_stores() -> None:
    """A host waits for the first answer; LanceDB alone takes more than a second to import."""
    heavy = ("lancedb", "pyarrow", "kuzu", "onnxruntime", "tokenizers", "sqlalchemy", "numpy", "anthropic")
    assert _imported("mcp_memory.cli, mcp_memory.server", heavy) == []


def test_the_stores_are_tuned_before_numpy_makes_its_threads() -> None:
    """Its threads would take the cores from every search: the variable that forbids them is read once."""
    assert _imported("mcp_memory.owner, mcp_memory.service", ("numpy",)) == []


def _imported(modules: str, heavy: tuple[str, ...]) -> list[str]:
    """Those of `heavy` that importing `modules` brings along."""
    code = f"import sys, {modules}; print(*(one for one in {heavy} if one in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()
